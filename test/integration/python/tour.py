"""Every RPC once with Python's stock libraries, and every way in which the sidecar says no."""

import argparse

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from imprest.v1 import quota_pb2 as pb, quota_pb2_grpc

from books import expect, to_dict

DEADLINE = 10
DENY_AS_STATUS = [("imprest-deny", "status")]


def amounts_of(answer):
    """What the limits of tour.yaml count."""
    return to_dict(answer, {"usd_micros", "pages"})


def subject(run="r-1", tenant="acme"):
    return pb.Subject(tenant=tenant, dimensions={"run": run})


def pages(units):
    return [pb.Amount(meter="pages", units=units)]


def llm(output_tokens):
    """A call of 1,000 input tokens: $0.0025 and a cent for each 1,000 output tokens."""
    return {
        "action": pb.Action(kind="llm.completion", name="gpt-4o"),
        "usage": pb.ModelUsage(input_tokens=1_000, output_tokens=output_tokens),
    }


def balances(quota, run="r-1"):
    answer = quota.GetBalance(pb.GetBalanceRequest(subject=subject(run)), timeout=DEADLINE)
    return {balance.limit: balance for balance in answer.balances}


def life_of_a_reservation(quota):
    checked = quota.Check(pb.CheckRequest(subject=subject(), verbose=True, **llm(1_000)), timeout=DEADLINE)
    expect(checked.verdict.decision == pb.DECISION_ALLOW, "Check allows", checked)
    expect({limit.limit for limit in checked.verdict.limits} == {"dollars", "pages"}, "verbose limits", checked)

    held = quota.Reserve(pb.ReserveRequest(subject=subject(), amounts=pages(2), **llm(1_000)), timeout=DEADLINE)
    expect(amounts_of(held.reserved) == {"usd_micros": 12_500, "pages": 2}, "what is reserved", held)
    expect(0 < len(held.reservation_id) <= 64, "an id", held)
    expect(held.verdict.decision_id != "", "a decision id", held)
    expect(held.verdict.source == pb.DECISION_SOURCE_LEASE, "from memory", held)
    before = balances(quota)["dollars"]
    expect((before.remaining_units, before.local_reserved_units) == (987_500, 12_500), "held", before)

    extended = quota.Extend(
        pb.ExtendRequest(reservation_id=held.reservation_id, by={"seconds": 60}, add=pages(1)), timeout=DEADLINE
    )
    longer = extended.expires_at.ToMilliseconds() - held.expires_at.ToMilliseconds()
    # Told in wall time, kept in monotonic time.
    expect(abs(longer - 60_000) <= 5, "a minute longer", longer)

    part = quota.Commit(
        pb.CommitRequest(
            reservation_id=held.reservation_id,
            usage=pb.ModelUsage(input_tokens=1_000, output_tokens=100),
            partial=True,
        ),
        timeout=DEADLINE,
    )
    expect(len(part.released) == 0, "a partial commit releases nothing", part)
    last = pb.CommitRequest(
        reservation_id=held.reservation_id,
        amounts=pages(3),
        usage=pb.ModelUsage(input_tokens=1_000, output_tokens=400),
        labels={"conversation_id": "c-1"},
    )
    done = quota.Commit(last, timeout=DEADLINE)
    expect(amounts_of(done.charged) == {"usd_micros": 6_500, "pages": 3}, "charged as used", done)
    expect(amounts_of(done.released) == {"usd_micros": 6_000}, "the rest released", done)
    expect(quota.Commit(last, timeout=DEADLINE).charged == done.charged, "a repeat gets the first answer")
    expect(balances(quota)["dollars"].remaining_units == 993_500, "charged once", balances(quota))

    spare = quota.Reserve(pb.ReserveRequest(subject=subject(), **llm(0)), timeout=DEADLINE)
    freed = quota.Release(pb.ReleaseRequest(reservation_id=spare.reservation_id), timeout=DEADLINE)
    expect(amounts_of(freed.released) == {"usd_micros": 2_500}, "all of it back", freed)
    paid = quota.Consume(pb.ConsumeRequest(subject=subject(), **llm(0)), timeout=DEADLINE)
    expect(amounts_of(paid.charged) == {"usd_micros": 2_500}, "paid at once", paid)

    why = quota.Explain(pb.ExplainRequest(subject=subject(), **llm(10)), timeout=DEADLINE)
    expect(why.plan == "small" and amounts_of(why.derived)["usd_micros"] == 2_600, "Explain", why)
    expect({limit.limit for limit in why.verdict.limits} == {"dollars", "pages"}, "its limits", why)


def refusals(quota):
    large = pb.ConsumeRequest(subject=subject("r-2"), amounts=pages(11))
    denied = quota.Consume(large, timeout=DEADLINE)
    expect(denied.verdict.decision == pb.DECISION_DENY, "a denial is an answer", denied)
    denial = denied.verdict.denial
    expect(denial.reason == pb.DENY_REASON_REQUEST_TOO_LARGE, "too large for ever", denial)
    expect(denial.scope == "tenant:acme/run:r-2" and denial.limit == "pages", "which limit", denial)
    expect(not denial.HasField("retry_after"), "no retry will help", denial)
    expect(denial.message == "The small plan's limit is reached.", "the plan's own words", denial)
    expect(denial.help_url == "https://example.com/upgrade", "and its url", denial)

    status = status_of(lambda: quota.Consume(large, timeout=DEADLINE, metadata=DENY_AS_STATUS))
    expect(status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], "RESOURCE_EXHAUSTED", status)
    info, retry, detail = details_of(status)
    expect(info.reason == "REQUEST_TOO_LARGE" and info.domain == "imprest.dev", "ErrorInfo", info)
    expect(retry is None and detail.limit == "pages", "the Denial as a detail", detail)

    knock = pb.ConsumeRequest(subject=subject("r-3"), action=pb.Action(kind="door.knock"))
    for _ in range(2):
        expect(quota.Consume(knock, timeout=DEADLINE).verdict.decision == pb.DECISION_ALLOW, "two a minute")
    status = status_of(lambda: quota.Consume(knock, timeout=DEADLINE, metadata=DENY_AS_STATUS))
    info, retry, detail = details_of(status)
    expect(info.reason == "RATE_LIMITED", "RATE_LIMITED", info)
    expect(0 < retry.retry_delay.ToMilliseconds() <= 30_000, "half a minute for one of two", retry)
    expect(retry.retry_delay == detail.retry_after, "the same in both", retry, detail)

    suspended = quota.Check(pb.CheckRequest(subject=subject(tenant="mallory")), timeout=DEADLINE)
    expect(suspended.verdict.denial.reason == pb.DENY_REASON_TENANT_SUSPENDED, "suspended", suspended)


def errors(quota):
    def expect_error(code, reason, field, call):
        status = status_of(call)
        expect(status.code == code.value[0], f"{code} for {reason}", status)
        info, _, _ = details_of(status)
        expect((info.reason, info.domain) == (reason, "imprest.dev"), reason, info)
        if field is not None:
            expect(info.metadata["field"] == field, f"field {field}", info)

    invalid = grpc.StatusCode.INVALID_ARGUMENT
    consume = lambda **fields: quota.Consume(pb.ConsumeRequest(**fields), timeout=DEADLINE)
    negative, unknown = [pb.Amount(meter="pages", units=-1)], [pb.Amount(meter="page", units=1)]
    expect_error(invalid, "BAD_AMOUNT", "amounts[0].units", lambda: consume(subject=subject(), amounts=negative))
    expect_error(invalid, "UNKNOWN_METER", "amounts[0].meter", lambda: consume(subject=subject(), amounts=unknown))
    expect_error(invalid, "DUPLICATE_METER", None, lambda: consume(subject=subject(), amounts=pages(1) * 2))
    expect_error(invalid, "MISSING_TENANT", "subject.tenant", lambda: consume(subject=pb.Subject()))
    expect_error(invalid, "BAD_NAME", "subject.tenant", lambda: consume(subject=subject(tenant="a b")))
    expect_error(
        invalid, "BAD_ENUM", "outcome", lambda: quota.Commit(pb.CommitRequest(reservation_id="r", outcome=99), timeout=DEADLINE)
    )
    expect_error(
        invalid,
        "BAD_TTL",
        "ttl",
        lambda: quota.Reserve(pb.ReserveRequest(subject=subject(), ttl={"nanos": 1}), timeout=DEADLINE),
    )
    expect_error(
        invalid,
        "NOT_ALLOWED_HERE",
        "release_on_disconnect",
        lambda: quota.Reserve(
            pb.ReserveRequest(subject=subject(), release_on_disconnect=True), timeout=DEADLINE
        ),
    )
    expect_error(
        grpc.StatusCode.NOT_FOUND,
        "RESERVATION_UNKNOWN",
        None,
        lambda: quota.Commit(pb.CommitRequest(reservation_id="nobody-knows"), timeout=DEADLINE),
    )
    key = {"subject": subject("r-4"), "idempotency_key": "k-1"}
    consume(amounts=pages(1), **key)
    expect_error(
        grpc.StatusCode.ALREADY_EXISTS,
        "IDEMPOTENCY_CONFLICT",
        "amounts",
        lambda: consume(amounts=pages(2), **key),
    )
    held = quota.Reserve(pb.ReserveRequest(subject=subject("r-4"), amounts=pages(2)), timeout=DEADLINE)
    commit = lambda units: quota.Commit(
        pb.CommitRequest(reservation_id=held.reservation_id, amounts=pages(units)), timeout=DEADLINE
    )
    expect_error(grpc.StatusCode.FAILED_PRECONDITION, "OVERAGE_REJECTED", None, lambda: commit(50))
    commit(2)
    expect_error(grpc.StatusCode.FAILED_PRECONDITION, "ALREADY_SETTLED", None, lambda: commit(1))


def batch(quota):
    answer = quota.Batch(
        pb.BatchRequest(
            operations=[
                pb.Operation(consume=pb.ConsumeRequest(subject=subject("r-5"), amounts=pages(6))),
                pb.Operation(consume=pb.ConsumeRequest(subject=subject("r-5"), amounts=pages(6))),
                pb.Operation(),
                pb.Operation(consume=pb.ConsumeRequest(subject=subject("r-5"), amounts=pages(4))),
            ]
        ),
        timeout=DEADLINE,
    )
    first, second, empty, last = answer.results
    expect(first.consume.verdict.decision == pb.DECISION_ALLOW, "six of ten", first)
    expect(second.consume.verdict.decision == pb.DECISION_DENY, "not six more", second)
    expect((empty.error.code, empty.error.reason) == (3, "EMPTY_OPERATION"), "an error of its own", empty)
    expect(last.consume.verdict.decision == pb.DECISION_ALLOW, "but four", last)


def stream(quota):
    reserve = pb.ReserveRequest(subject=subject("r-6"), amounts=pages(7), release_on_disconnect=True)
    message = lambda sequence, *operations: pb.StreamRequest(sequence=sequence, operations=operations)
    answers = list(
        quota.Stream(
            iter([message(7, pb.Operation(reserve=reserve)), message(8), message(9, pb.Operation(reserve=reserve))]),
            timeout=DEADLINE,
        )
    )
    by_sequence = {answer.sequence: answer for answer in answers}
    expect(sorted(by_sequence) == [7, 8, 9], "an answer for each, then OK", answers)
    expect(by_sequence[7].results[0].reserve.reservation_id != "", "held", by_sequence[7])
    expect(by_sequence[8].error.code == 3, "a malformed message is answered", by_sequence[8])
    denial = by_sequence[9].results[0].reserve.verdict.denial
    expect(denial.reason == pb.DENY_REASON_BUDGET_EXHAUSTED, "not twice seven of ten", denial)
    again = quota.Check(pb.CheckRequest(subject=subject("r-6"), amounts=pages(10)), timeout=DEADLINE)
    expect(again.verdict.decision == pb.DECISION_ALLOW, "released when the stream ended", again)


def listing(quota):
    for _ in range(3):
        quota.Reserve(pb.ReserveRequest(subject=subject("r-7"), amounts=pages(1)), timeout=DEADLINE)
    request = pb.ListReservationsRequest(subject=subject("r-7"), page_size=2)
    first = quota.ListReservations(request, timeout=DEADLINE)
    request.page_token = first.next_page_token
    rest = quota.ListReservations(request, timeout=DEADLINE)
    expect((len(first.reservations), len(rest.reservations)) == (2, 1), "two pages", first, rest)
    expect(rest.next_page_token == "", "there is no more", rest)
    created = [one.created_at.ToNanoseconds() for one in [*first.reservations, *rest.reservations]]
    expect(created == sorted(created), "oldest first", created)


def status_of(call):
    try:
        answer = call()
    except grpc.RpcError as error:
        status = rpc_status.from_call(error)
        expect(status is not None, "details that grpc_status can read", error)
        return status
    expect(False, "an error", answer)


def details_of(status):
    """(ErrorInfo, RetryInfo or None, Denial or None)."""
    found = {}
    for detail in status.details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo, pb.Denial):
            if detail.Is(kind.DESCRIPTOR):
                found[kind] = kind.FromString(detail.value)
    return (
        found[error_details_pb2.ErrorInfo],
        found.get(error_details_pb2.RetryInfo),
        found.get(pb.Denial),
    )


TOUR = [life_of_a_reservation, refusals, errors, batch, stream, listing]

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    quota = quota_pb2_grpc.QuotaServiceStub(grpc.insecure_channel(parser.parse_args().address))
    for stop in TOUR:
        stop(quota)
        print(stop.__name__, "ok")
