"""A client that knows nothing but the proto and the contract's text, and does not trust the sidecar.

Eight threads make random operations through unary calls, Batch and Stream and foretell each answer from their own
books (worker.py, ledger.py); at the end their sums have to equal GetBalance to the unit (audit.py). Prints one JSON
line; exits with 1 where anything differed.
"""

import argparse
import json
import os
import sys
import time

import grpc
from imprest.v1 import quota_pb2 as pb, quota_pb2_grpc

from audit import audit_lane, audit_reservations, audit_settled_run, audit_shared
from books import SEEN, Mismatch, expect, to_dict
from ledger import SHARED_CAPACITY, Books, apply
from operations import TENANTS
from worker import DEADLINE, Worker

# A reservation's life, and the quarter of a second in which its end is acted on.
EXPIRED_AFTER = 1.3


def all_books(workers):
    total = Books()
    for worker in workers:
        total.merge(worker.books)
    return total


def expire(workers):
    """Everything that a forgetful agent held is free again."""
    for worker in workers:
        for hold in worker.forgetful.open:
            apply(worker.books, worker.forgetful.tenant, hold, {}, final=True)
            worker.forgetful.slots -= 1


def commit_late(stub, worker):
    """Half of what expired is charged all the same, as it was reserved; the other half is given back in vain."""
    for hold in worker.forgetful.open[::2]:
        answer = stub.Commit(pb.CommitRequest(reservation_id=hold.id), timeout=DEADLINE)
        expect(answer.late, "late", answer)
        SEEN.add("late")
        expect(to_dict(answer.charged) == hold.held, f"charged {hold.held}", answer)
        for meter, bucket in hold.run.buckets.items():
            bucket.spent += hold.held.get(meter, 0)
        worker.books.add(worker.forgetful.tenant, hold.is_llm, spent=hold.held)
    for hold in worker.forgetful.open[1::2]:
        answer = stub.Release(pb.ReleaseRequest(reservation_id=hold.id), timeout=DEADLINE)
        expect(len(answer.released) == 0, "nothing left to release", answer)


def settle_all(worker):
    for lane in worker.lanes:
        steps = []
        while lane.open:
            hold = lane.open.pop()
            steps.append(worker.release(lane, hold))
        for at in range(0, len(steps), 1000):
            part = steps[at : at + 1000]
            request = pb.BatchRequest(operations=[operation for operation, _ in part])
            worker.check_results(part, worker.stub.Batch(request, timeout=DEADLINE).results)


def drain_scarce(stub, books):
    """Of a budget that threads raced for, every unit can be had: refused is only what is not there."""
    for tenant in TENANTS:
        request = pb.ConsumeRequest(
            subject=pb.Subject(tenant=tenant, workspace="contended"),
            action=pb.Action(kind="tool.call", name="race"),
            amounts=[pb.Amount(meter="scarce", units=1)],
        )
        while stub.Consume(request, timeout=DEADLINE).verdict.decision == pb.DECISION_ALLOW:
            books.add_scarce(tenant, 1)
            books.add(tenant, False, spent={"requests": 1})
        expect(books.spent[(tenant, "scarce")] == SHARED_CAPACITY["scarce"], "all of it", books.spent)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    stub = quota_pb2_grpc.QuotaServiceStub(grpc.insecure_channel(options.address))

    started = time.monotonic()
    workers = [Worker(n, options, stub) for n in range(options.threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        if worker.failure is not None:
            raise worker.failure
    took = time.monotonic() - started

    time.sleep(max(0, EXPIRED_AFTER - (time.monotonic() - max(worker.forgot_at for worker in workers))))
    expire(workers)
    open_ids = {tenant: [] for tenant in TENANTS}
    for worker in workers:
        for lane in worker.lanes:
            open_ids[lane.tenant] += [hold.id for hold in lane.open]
            for run in lane.runs:
                audit_lane(stub, lane, run, DEADLINE)
    audit_shared(stub, all_books(workers), TENANTS, DEADLINE)
    for tenant, ids in open_ids.items():
        audit_reservations(stub, tenant, ids, DEADLINE)

    for worker in workers:
        commit_late(stub, worker)
        settle_all(worker)
    total = all_books(workers)
    drain_scarce(stub, total)
    audit_shared(stub, total, TENANTS, DEADLINE)
    expect(all(units == 0 for units in total.held.values()), "nothing held", total.held)
    runs = 0
    for worker in workers:
        for lane in [*worker.lanes, worker.forgetful]:
            for run in lane.runs:
                audit_settled_run(stub, lane, run, DEADLINE)
                runs += 1

    counts = {}
    for worker in workers:
        for way, operations in worker.counts.items():
            counts[way] = counts.get(way, 0) + operations
    summary = {
        "operations": sum(counts.values()),
        "by": counts,
        "threads": options.threads,
        "seed": options.seed,
        "runs": runs,
        "openBeforeTheEnd": sum(len(ids) for ids in open_ids.values()),
        "spentMicros": total.spent[("", "account")],
        "seen": sorted(SEEN),
        "seconds": round(took, 1),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    try:
        main()
    except Mismatch as mismatch:
        print(f"mismatch: {mismatch}", file=sys.stderr, flush=True)
        os._exit(1)  # at once: other threads are in the middle of their streams
