import os

import grpc
from imprest.v1 import quota_pb2 as pb, quota_pb2_grpc

channel = grpc.insecure_channel(os.environ.get("IMPREST_ADDRESS", "unix:/tmp/imprest.sock"))
quota = quota_pb2_grpc.QuotaServiceStub(channel)

# Before the model call: hold the most that it may cost.
held = quota.Reserve(
    pb.ReserveRequest(
        subject=pb.Subject(tenant="acme", dimensions={"run": "run-1"}),
        action=pb.Action(kind="llm.completion", name="gpt-4o"),
        usage=pb.ModelUsage(input_tokens=1200, output_tokens=800),
    ),
    timeout=1,
)
if held.verdict.decision not in (pb.DECISION_ALLOW, pb.DECISION_ALLOW_WITH_CAPS):
    raise SystemExit(f"refused: {held.verdict.denial.message}")

# … call the model here … and settle with what it really used.
done = quota.Commit(
    pb.CommitRequest(
        reservation_id=held.reservation_id,
        usage=pb.ModelUsage(input_tokens=1200, output_tokens=350),
    ),
    timeout=1,
)
charged = {amount.meter: amount.units for amount in done.charged}
print(f"charged ${charged['usd_micros'] / 1e6}")
