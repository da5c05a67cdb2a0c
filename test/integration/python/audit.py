"""Holds the books against GetBalance and ListReservations, to the unit."""

import time

from imprest.v1 import quota_pb2 as pb

from books import Mismatch, expect
from ledger import RUN_LIMIT, SHARED_CAPACITY, SLOTS

SETTLES_WITHIN = 10


def balances(stub, subject, deadline, refresh=False):
    answer = stub.GetBalance(pb.GetBalanceRequest(subject=subject, refresh=refresh), timeout=deadline)
    return {balance.limit: balance for balance in answer.balances}


def audit_lane(stub, lane, run, deadline):
    """A lane's own buckets, at any time between two of its operations."""
    found = balances(stub, lane.subject(run), deadline)
    for meter, bucket in run.buckets.items():
        balance = found[RUN_LIMIT[meter]]
        seen = (balance.limit_units, balance.remaining_units, balance.local_reserved_units)
        expect(seen == (bucket.capacity, bucket.left, bucket.held), f"{RUN_LIMIT[meter]} {bucket}", balance)
        expect(balance.debt_units == max(0, -bucket.left), f"debt of {bucket}", balance)
    slots = found["slots"]
    seen = (slots.limit_units, slots.leased_units, slots.remaining_units)
    expect(seen == (SLOTS, lane.slots, SLOTS - lane.slots), f"{lane.slots} open slots", slots)


def audit_settled_run(stub, lane, run, deadline):
    """After the last operation: what was spent has reached the store."""

    def look():
        audit_lane(stub, lane, run, deadline)
        found = balances(stub, lane.subject(run), deadline, refresh=True)
        for meter, bucket in run.buckets.items():
            balance = found[RUN_LIMIT[meter]]
            expect(balance.spent_units == bucket.spent, f"spent {bucket}", balance)

    until_true(look)


def audit_shared(stub, books, tenants, deadline):
    """The tenants' and the platform's buckets against the sums of all threads."""

    def look():
        for tenant in tenants:
            subject = pb.Subject(tenant=tenant, workspace="contended")
            found = balances(stub, subject, deadline, refresh=True)
            for limit, capacity in SHARED_CAPACITY.items():
                balance = found[limit]
                key = ("" if limit == "account" else tenant, limit)
                spent, held = books.spent.get(key, 0), books.held.get(key, 0)
                expect(balance.limit_units == capacity, f"limit {capacity}", balance)
                expect(
                    balance.remaining_units == capacity - spent - held,
                    f"{tenant} {limit}: remaining {capacity} - {spent} - {held}",
                    balance,
                )
                if limit == "calls":  # a rate is its level: it spends nothing for good
                    expect(balance.spent_units == 0, "a rate spends nothing", balance)
                    continue
                expect(balance.local_reserved_units == held, f"{tenant} {limit}: reserved {held}", balance)
                expect(balance.spent_units == spent, f"{tenant} {limit}: spent {spent}", balance)
                expect(balance.debt_units == 0, "no debt", balance)

    until_true(look)


def until_true(look):
    """What is charged reaches the store a moment later; a wrong sum stays wrong."""
    ends = time.monotonic() + SETTLES_WITHIN
    while True:
        try:
            return look()
        except Mismatch:
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)


def audit_reservations(stub, tenant, ids, deadline):
    """Every open reservation is listed once, page by page."""
    listed, token = [], ""
    while True:
        request = pb.ListReservationsRequest(subject=pb.Subject(tenant=tenant), page_size=50, page_token=token)
        page = stub.ListReservations(request, timeout=deadline)
        listed += [reservation.reservation_id for reservation in page.reservations]
        token = page.next_page_token
        if token == "":
            break
    expect(sorted(listed) == sorted(ids), f"{len(ids)} open reservations of {tenant}", len(listed))
