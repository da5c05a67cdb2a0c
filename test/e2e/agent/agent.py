"""An agent in a pod. It calls its sidecar through the address that the pod gave it, and prints what happens, a JSON line each.

It knows the contract alone. POST /Reserve on port 8080, with a request as proto3 JSON, makes that call and answers with the
response, or with the error and status 500. Told "once", it holds, settles and ends instead. On SIGTERM it goes on for LINGER
seconds, makes one last call, and ends: whoever stops its sidecar before it makes that call fail.
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf import json_format
from imprest.v1 import quota_pb2 as pb, quota_pb2_grpc

DEADLINE = 5
SETTLED = {"usage": {"model": "gpt-4o", "input_tokens": 400, "output_tokens": 40}}
SUBJECT = {"tenant": os.environ.get("TENANT", "acme"), "dimensions": {"run": os.environ.get("RUN", "r-1")}}
ACTION = {"kind": "llm.completion", "name": "gpt-4o"}

stub = quota_pb2_grpc.QuotaServiceStub(grpc.insecure_channel(os.environ["IMPREST_SOCKET"]))


def say(what, **more):
    print(json.dumps({"at": time.time() * 1000, "what": what, **more}), flush=True)


def call(rpc, request):
    message = json_format.ParseDict(request, getattr(pb, rpc + "Request")())
    answer = getattr(stub, rpc)(message, timeout=DEADLINE)
    return json_format.MessageToDict(answer, preserving_proto_field_name=True)


def try_call(what, rpc, request):
    try:
        answer = call(rpc, request)
        say(what, decision=answer.get("verdict", {}).get("decision", "ok"))
        return answer
    except grpc.RpcError as error:
        say(what, error=error.code().name, details=error.details())
        return None


class Door(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        try:
            answer, status = call(self.path[1:], json.loads(self.rfile.read(length))), 200
        except grpc.RpcError as error:
            answer, status = {"error": error.code().name, "details": error.details()}, 500
        self.answer(status, answer)

    def do_GET(self):
        self.answer(200, {"uid": os.getuid()})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def once():
    held = try_call("reserved", "Reserve", {"subject": SUBJECT, "action": ACTION, "usage": SETTLED["usage"]})
    if held is None or "reservation_id" not in held:
        return 1
    done = try_call("committed", "Commit", {"reservation_id": held["reservation_id"], **SETTLED})
    return 0 if done else 1


def main():
    say("started", uid=os.getuid(), socket=os.environ["IMPREST_SOCKET"])
    if sys.argv[1:] == ["once"]:
        return once()
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    try_call("first call", "Check", {"subject": SUBJECT, "action": ACTION, "usage": SETTLED["usage"]})
    server = ThreadingHTTPServer(("", 8080), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say("open")
    told.wait()
    say("SIGTERM")
    time.sleep(float(os.environ.get("LINGER", "0")))
    try_call("last call", "Consume", {"subject": SUBJECT, "action": ACTION, **SETTLED})
    say("exit")
    return 0


sys.exit(main())
