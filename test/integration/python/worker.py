"""One thread of the outsider: sends operations through unary calls, Batch and Stream, and checks the answers."""

import queue
import random
import threading
import time

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from imprest.v1 import quota_pb2 as pb

from audit import audit_lane
from books import Mismatch, expect, to_dict
from ledger import Books
from operations import Lane, Operations

LANES = 4
DEADLINE = 30
EXPIRING = 6


class Worker(Operations, threading.Thread):
    def __init__(self, number, options, stub):
        super().__init__(daemon=True)
        self.number, self.options, self.stub = number, options, stub
        self.random = random.Random(options.seed * 1_000 + number)
        self.books = Books()
        self.lanes = [Lane(number, n) for n in range(LANES)]
        # An agent that makes reservations of a second's life and forgets them.
        self.forgetful = Lane(number, LANES)
        self.forgot_at = 0.0
        self.counts = {}
        self.failure = None
        self.keys = 0

    METHODS = {
        "check": "Check",
        "reserve": "Reserve",
        "commit": "Commit",
        "release": "Release",
        "extend": "Extend",
        "consume": "Consume",
    }

    def unary(self, operation):
        kind = operation.WhichOneof("op")
        method = getattr(self.stub, self.METHODS[kind])
        try:
            return kind, method(getattr(operation, kind), timeout=DEADLINE)
        except grpc.RpcError as error:
            status = rpc_status.from_call(error)
            if status is None:
                raise
            info = error_details_pb2.ErrorInfo()
            for detail in status.details:
                if detail.Is(info.DESCRIPTOR):
                    detail.Unpack(info)
            expect(info.domain == "imprest.dev", "ErrorInfo", status)
            return "error", info.reason

    def check_results(self, steps, results):
        expect(len(steps) == len(results), f"{len(steps)} results", len(results))
        for (operation, check), result in zip(steps, results):
            kind = result.WhichOneof("result")
            answer = result.error.reason if kind == "error" else getattr(result, kind)
            try:
                check(kind, answer)
            except Mismatch as mismatch:
                raise Mismatch(f"{mismatch}\nasked: {operation}") from None

    def steps(self, lane, most):
        return [self.step(lane) for _ in range(self.random.randint(1, most))]

    def count(self, way, operations):
        self.counts[way] = self.counts.get(way, 0) + operations

    def by_unary(self):
        operation, check = self.step(self.random.choice(self.lanes))
        kind, answer = self.unary(operation)
        self.count("unary", 1)
        try:
            check(kind, answer)
        except Mismatch as mismatch:
            raise Mismatch(f"{mismatch}\nasked: {operation}") from None

    def by_batch(self):
        steps = self.steps(self.random.choice(self.lanes), 40)
        request = pb.BatchRequest(operations=[operation for operation, _ in steps])
        self.check_results(steps, self.stub.Batch(request, timeout=DEADLINE).results)
        self.count("batch", len(steps))

    def by_stream(self):
        """A message for each lane, all of them under way at once; answers are matched by their sequence."""
        outbox = queue.SimpleQueue()
        answers = self.stub.Stream(iter(outbox.get, None), timeout=DEADLINE)
        try:
            self.converse(outbox, answers)
        finally:
            outbox.put(None)
        expect(next(answers, None) is None, "the end of the stream after the last answer")

    def converse(self, outbox, answers):
        for _ in range(self.random.randint(1, 4)):
            waiting = {}
            for lane in self.lanes:
                steps = self.steps(lane, 20)
                sequence = self.random.getrandbits(63)
                waiting[sequence] = steps
                outbox.put(pb.StreamRequest(sequence=sequence, operations=[op for op, _ in steps]))
            while waiting:
                answer = next(answers)
                expect(not answer.HasField("error"), "no error", answer)
                steps = waiting.pop(answer.sequence)
                self.check_results(steps, answer.results)
                self.count("stream", len(steps))
    def look(self):
        """What a lane's own buckets hold while all else goes on."""
        lane = self.random.choice(self.lanes)
        self.count("balance", 1)
        audit_lane(self.stub, lane, lane.run, DEADLINE)
        explained = self.stub.Explain(
            pb.ExplainRequest(
                subject=lane.subject(),
                action=pb.Action(kind="llm.completion", name="gpt-4o"),
                usage=pb.ModelUsage(input_tokens=3, output_tokens=1),
            ),
            timeout=DEADLINE,
        )
        expect(explained.plan == "metered" and len(explained.policy_version) == 12, "Explain", explained)
        expect(to_dict(explained.derived).get("usd_micros") == 18, "$0.0000175, rounded up", explained)

    def run(self):
        try:
            self.forgot_at = time.monotonic()
            share = self.options.operations // self.options.threads
            for _ in range(EXPIRING):
                operation, check = self.reserve(self.forgetful, ttl=1)
                check(*self.unary(operation))
            while sum(self.counts.values()) < share:
                draw = self.random.random()
                if draw < 0.55:
                    for _ in range(20):
                        self.by_unary()
                elif draw < 0.8:
                    self.by_batch()
                elif draw < 0.97:
                    self.by_stream()
                else:
                    self.look()
        except Exception as failure:  # told by the main thread
            self.failure = failure
