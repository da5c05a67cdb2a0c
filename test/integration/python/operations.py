"""Random operations, each with a function that checks its answer against what the books foretold."""

from imprest.v1 import quota_pb2 as pb

from books import SEEN, expect, to_dict
from ledger import SEARCH_MICROS, SLOTS, Hold, Run, apply, counted, price, settle

TENANTS = ["acme", "globex", "initech"]
MODELS = ["gpt-4o-mini", "gpt-4o", "claude-sonnet-4"]
OPERATIONS_A_RUN = 60


class Lane:
    """One agent of a thread, which makes its runs one after the other."""

    def __init__(self, thread, number):
        self.thread, self.number = thread, number
        self.tenant = TENANTS[(thread + number) % len(TENANTS)]
        self.agent = f"agent-{thread}-{number}"
        self.slots = 0
        self.runs = []
        self.open = []  # holds whose ids are known
        self.settled = []  # a few settled ones, to repeat
        self.used = 0
        self.next_run()

    def next_run(self):
        self.run = Run(f"run-{self.thread}-{self.number}-{len(self.runs)}")
        self.runs.append(self.run)
        self.used = 0

    def subject(self, run=None):
        return pb.Subject(tenant=self.tenant, agent=self.agent, dimensions={"run": (run or self.run).name})

    def refusal(self, amounts):
        """As Run.refusal; budgets come before concurrency."""
        refused = self.run.refusal(amounts)
        if refused is None and self.slots >= SLOTS:
            return "CONCURRENCY_EXHAUSTED", {"slots"}
        return refused


def to_amounts(units):
    return [pb.Amount(meter=meter, units=n) for meter, n in units.items()]


def expect_verdict(verdict, refused):
    if refused is None:
        expect(verdict.decision == pb.DECISION_ALLOW, "foretold ALLOW", verdict)
        return
    reason, limits = refused
    SEEN.add(reason)
    expect(verdict.decision == pb.DECISION_DENY, f"foretold DENY {reason} {limits}", verdict)
    told = pb.DenyReason.Name(verdict.denial.reason)
    expect(told == f"DENY_REASON_{reason}", f"foretold {reason}", verdict)
    expect(verdict.denial.limit in limits, f"foretold a limit of {limits}", verdict)


class Operations:
    """Each method makes an Operation and a function that checks its answer: (kind, message) or ("error", reason).

    What the answer will be is decided, and booked, when the operation is made. Whoever mixes this in has
    `random`, `number`, `books`, `keys` and `unary`.
    """

    # ---- what is asked ------------------------------------------------------------------------------------

    def key(self):
        self.keys += 1
        return f"key-{self.number}-{self.keys}"

    def work(self, lane):
        """Something to do: (action, usage, amounts as stated, amounts as derived, is_llm, model)."""
        draw = self.random.random()
        stated, usage, model = {}, None, ""
        if draw < 0.55:
            model = self.random.choice(MODELS)
            usage, derived = self.usage(model, large=self.random.random() < 0.01)
            action = pb.Action(kind="llm.completion", name=model, fingerprint=self.random.choice(["", "same"]))
        elif draw < 0.7:
            action, derived = pb.Action(kind="tool.call", name="web.search"), {"usd_micros": SEARCH_MICROS}
        else:
            action, derived = pb.Action(kind="tool.call", name="read.pages"), {}
        if usage is None or self.random.random() < 0.2:
            if self.random.random() < 0.8:
                stated["pages"] = self.random.choice([0, 1, 3, 10, 40, 401 if self.random.random() < 0.02 else 7])
            if self.random.random() < 0.4:
                stated["seats"] = self.random.randint(1, 20)
        derived = {"requests": 1, **derived, **stated}
        return action, usage, stated, derived, usage is not None, model

    def usage(self, model, large=False):
        rnd = self.random
        input_tokens = rnd.randint(150_000, 900_000) if large else rnd.randint(0, 6_000)
        output_tokens = rnd.randint(0, 1_500)
        cache_read = rnd.randint(0, input_tokens) if rnd.random() < 0.3 else 0
        cache_write = rnd.randint(0, input_tokens - cache_read) if model.startswith("claude") else 0
        usage = pb.ModelUsage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache_read_tokens=cache_read,
            cache_write_tokens=cache_write,
            reasoning_tokens=rnd.randint(0, output_tokens),
        )
        derived = {
            "tokens": input_tokens + output_tokens,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "usd_micros": price(model, input_tokens, output_tokens, cache_read, cache_write),
        }
        return usage, derived

    def step(self, lane):
        lane.used += 1
        if lane.used > OPERATIONS_A_RUN or (lane.run.in_debt and self.random.random() < 0.2):
            lane.next_run()
        draw = self.random.random()
        if draw < 0.54:
            return self.on_a_reservation(lane, draw) if lane.open else self.reserve(lane)
        if draw < 0.58 and lane.settled:
            return self.repeat(lane.settled.pop())
        if draw < 0.62:
            return self.nonsense(lane)
        if draw < 0.68:
            return self.check(lane)
        if draw < 0.80:
            return self.consume(lane)
        if draw < 0.84:
            return self.contend(lane)
        return self.reserve(lane)

    def on_a_reservation(self, lane, draw):
        at = self.random.randrange(len(lane.open))
        if draw < 0.42:
            return self.commit(lane, lane.open.pop(at))
        if draw < 0.48:
            return self.release(lane, lane.open.pop(at))
        return self.extend(lane, lane.open[at])

    # ---- operations ---------------------------------------------------------------------------------------

    def reserve(self, lane, ttl=None):
        action, usage, stated, derived, is_llm, model = self.work(lane)
        refused = lane.refusal(derived)
        dry = ttl is None and self.random.random() < 0.05
        request = pb.ReserveRequest(
            subject=lane.subject(),
            action=action,
            amounts=to_amounts(stated),
            usage=usage,
            dry_run=dry,
            verbose=self.random.random() < 0.05,
            idempotency_key=self.key() if self.random.random() < 0.3 else "",
        )
        request.ttl.FromSeconds(ttl or self.random.randint(600, 3_600))
        listed = counted(derived, is_llm)
        hold = Hold(lane.run, lane, is_llm, model, listed)
        if refused is None and not dry:
            self.take(lane, hold)

        def check(kind, answer):
            expect(kind == "reserve", "a Reserve", kind, answer)
            expect_verdict(answer.verdict, refused)
            expect((answer.reservation_id == "") == (refused is not None or dry), "an id", answer)
            if refused is None:
                expect(to_dict(answer.reserved) == listed, f"reserved {listed}", answer)
            if answer.reservation_id != "":
                hold.id = answer.reservation_id
                (lane.open).append(hold)
                if request.idempotency_key and ttl is None and self.random.random() < 0.2:
                    self.retry(pb.Operation(reserve=request), hold.id)

        return pb.Operation(reserve=request), check

    def retry(self, operation, id):
        """The same request with the same key: the same answer, and nothing is held twice."""
        kind, answer = self.unary(operation)
        expect(kind == "reserve" and answer.reservation_id == id, "the first answer again", kind, answer)
        SEEN.add("retried")

    def take(self, lane, hold):
        lane.slots += 1
        for meter, bucket in hold.run.buckets.items():
            bucket.held += hold.held.get(meter, 0)
        self.books.add(lane.tenant, hold.is_llm, held=hold.held)

    def commit(self, lane, hold):
        stated, usage, request = {}, None, pb.CommitRequest(reservation_id=hold.id)
        partial = self.random.random() < 0.2
        draw = self.random.random()
        if hold.is_llm and (draw < 0.75 or hold.charged):
            # A fallback to another model is priced as that one.
            model = self.random.choice(MODELS) if self.random.random() < 0.1 else hold.model
            usage, derived = self.usage(model, large=self.random.random() < 0.03)
            if hold.charged:  # totals do not fall
                before = hold.charged
                derived = {m: max(units, before.get(m, 0)) for m, units in derived.items()}
                usage, stated = None, dict(derived)
            else:
                usage.model = model if model != hold.model else ""
        elif "usd_micros" in hold.held and draw > 0.9:
            derived = stated = {"usd_micros": self.random.randint(0, 2 * hold.held["usd_micros"])}
        else:
            derived = {}
        for meter in ("pages", "seats"):
            if meter in hold.held and (self.random.random() < 0.6 or meter in hold.charged):
                total = self.random.randint(0, 2 * hold.held[meter])
                stated[meter] = max(total, hold.charged.get(meter, 0))
        if "usd_micros" in hold.charged and "usd_micros" not in derived:
            stated["usd_micros"] = hold.charged["usd_micros"]
        totals = {**derived, **stated}
        request.amounts.extend(to_amounts(stated))
        if usage is not None:
            request.usage.CopyFrom(usage)
        request.partial = partial
        if self.random.random() < 0.2:
            request.idempotency_key = self.key()
        request.labels["trace"] = "t"
        totals = {m: n for m, n in totals.items() if m in counted({**totals, m: 1}, hold.is_llm)}
        outcome = settle(hold, totals, final=not partial)
        charged_before = dict(hold.charged)
        if outcome is not None:
            charged, uncharged = outcome
            apply(self.books, lane.tenant, hold, charged, not partial, uncharged)
            if not partial:
                lane.slots -= 1

        def check(kind, answer):
            if outcome is None:
                expect(kind == "error" and answer == "OVERAGE_REJECTED", "OVERAGE_REJECTED", kind, answer)
                lane.open.append(hold)
                SEEN.add(answer)
                return
            expect(kind == "commit", "a Commit", kind, answer)
            listed = {meter: units for meter, units in charged.items() if units > 0}
            expect(to_dict(answer.charged) == listed, f"charged {listed} after {charged_before}", request, answer)
            expect(to_dict(answer.uncharged) == uncharged, f"uncharged {uncharged}", request, answer)
            over = {m: n - hold.held.get(m, 0) for m, n in charged.items() if n > hold.held.get(m, 0)}
            expect(to_dict(answer.overage) == over, f"overage {over}", request, answer)
            SEEN.update(name for name, told in [("overage", over), ("uncharged", uncharged), ("partial", partial)] if told)
            if hold.run.in_debt:
                SEEN.add("debt")
            rest = {m: n - charged.get(m, 0) for m, n in hold.held.items() if n > charged.get(m, 0)}
            rest = {} if partial else rest
            expect(to_dict(answer.released) == rest, f"released {rest}", request, answer)
            expect(not answer.late, "in time", answer)
            if partial:
                lane.open.append(hold)
            else:
                hold.settled_by, hold.answer = pb.Operation(commit=request), answer
                lane.settled = lane.settled[-4:] + [hold]

        return pb.Operation(commit=request), check

    def release(self, lane, hold):
        request = pb.ReleaseRequest(reservation_id=hold.id, reason="changed its mind")
        rest = {meter: units for meter, units in hold.rest.items() if units > 0}
        apply(self.books, lane.tenant, hold, hold.charged, final=True)
        lane.slots -= 1

        def check(kind, answer):
            expect(kind == "release", "a Release", kind, answer)
            expect(to_dict(answer.released) == rest, f"released {rest}", answer)
            hold.settled_by, hold.answer = pb.Operation(release=request), answer
            lane.settled = lane.settled[-4:] + [hold]

        return pb.Operation(release=request), check

    def extend(self, lane, hold):
        add = {}
        if hold.run.in_debt:
            add["usd_micros"] = 1
        elif self.random.random() < 0.6:
            meter = self.random.choice(["pages", "seats", "usd_micros"])
            add[meter] = self.random.randint(1, 50)
        # What an extension means after a partial commit went over the hold is not said; so it is not asked.
        add = {m: n for m, n in add.items() if hold.actual(m) <= hold.held.get(m, 0)}
        request = pb.ExtendRequest(reservation_id=hold.id, add=to_amounts(add))
        request.by.FromSeconds(self.random.randint(0, 60))
        refused = hold.run.refusal(add) if add else None
        if refused is None:
            hold.extend(add)
            self.books.add(lane.tenant, hold.is_llm, held=add)

        def check(kind, answer):
            expect(kind == "extend", "an Extend", kind, answer)
            expect_verdict(answer.verdict, refused)

        return pb.Operation(extend=request), check

    def repeat(self, hold):
        """A settled reservation: the same again gets the first answer, anything else is refused."""
        if self.random.random() < 0.6:
            field = hold.settled_by.WhichOneof("op")

            def check(kind, answer):
                expect(kind == field, f"the first {field} again", kind, answer)
                if kind == "commit":
                    expect(list(answer.charged) == list(hold.answer.charged), "the same charge", answer, hold.answer)

            return hold.settled_by, check
        other = pb.CommitRequest(reservation_id=hold.id, amounts=[pb.Amount(meter="pages", units=999_999)])
        return pb.Operation(commit=other), self.expect_error("ALREADY_SETTLED")

    def nonsense(self, lane):
        action = pb.Action(kind="tool.call", name="read.pages")
        pages = pb.Amount(meter="pages", units=1)
        subject = lane.subject()
        requests = [
            (pb.Operation(commit=pb.CommitRequest(reservation_id="nobody-knows-this")), "RESERVATION_UNKNOWN"),
            (pb.Operation(release=pb.ReleaseRequest(reservation_id="nor-this")), "RESERVATION_UNKNOWN"),
            (pb.Operation(check=pb.CheckRequest(subject=subject, amounts=[pages, pages])), "DUPLICATE_METER"),
            (
                pb.Operation(
                    consume=pb.ConsumeRequest(
                        subject=subject, action=action, amounts=[pb.Amount(meter="pages", units=-1)]
                    )
                ),
                "BAD_AMOUNT",
            ),
            (
                pb.Operation(
                    reserve=pb.ReserveRequest(
                        subject=subject, action=action, amounts=[pb.Amount(meter="page", units=1)]
                    )
                ),
                "UNKNOWN_METER",
            ),
            (pb.Operation(consume=pb.ConsumeRequest(subject=pb.Subject(), action=action)), "MISSING_TENANT"),
        ]
        operation, reason = self.random.choice(requests)
        return operation, self.expect_error(reason)

    @staticmethod
    def expect_error(reason):
        SEEN.add(reason)
        return lambda kind, answer: expect((kind, answer) == ("error", reason), f"error {reason}", kind, answer)

    def check(self, lane):
        action, usage, stated, derived, is_llm, _ = self.work(lane)
        refused = lane.refusal(derived)
        request = pb.CheckRequest(
            subject=lane.subject(), action=action, amounts=to_amounts(stated), usage=usage
        )

        def check(kind, answer):
            expect(kind == "check", "a Check", kind, answer)
            expect_verdict(answer.verdict, refused)

        return pb.Operation(check=request), check

    def consume(self, lane):
        action, usage, stated, derived, is_llm, _ = self.work(lane)
        spent_already = self.random.random() < 0.1
        if spent_already:  # nothing is refused, so no limit that would have to refuse
            stated.pop("seats", None), derived.pop("seats", None)
        refused = None if spent_already else lane.refusal(derived)
        request = pb.ConsumeRequest(
            subject=lane.subject(),
            action=action,
            amounts=to_amounts(stated),
            usage=usage,
            already_spent=spent_already,
            idempotency_key=self.key() if self.random.random() < 0.2 else "",
        )
        listed = counted(derived, is_llm)
        if refused is None:
            pages = lane.run.buckets["pages"]
            listed["pages"] = min(listed.get("pages", 0), max(0, pages.left))
            listed = counted(listed, is_llm)
            for meter, bucket in lane.run.buckets.items():
                bucket.spent += listed.get(meter, 0)
            self.books.add(lane.tenant, is_llm, spent=listed)

        def check(kind, answer):
            expect(kind == "consume", "a Consume", kind, answer)
            expect_verdict(answer.verdict, refused)
            charged = {} if refused is not None else listed
            expect(to_dict(answer.charged) == charged, f"charged {charged}", request, answer)

        return pb.Operation(consume=request), check

    def contend(self, lane):
        """Threads race for a budget that runs out: who gets what is not foretold, only added up."""
        units = self.random.randint(1, 5)
        request = pb.ConsumeRequest(
            subject=pb.Subject(tenant=lane.tenant, workspace="contended"),
            action=pb.Action(kind="tool.call", name="race"),
            amounts=[pb.Amount(meter="scarce", units=units)],
        )

        def check(kind, answer):
            expect(kind == "consume", "a Consume", kind, answer)
            if answer.verdict.decision == pb.DECISION_DENY:
                expect_verdict(answer.verdict, ("BUDGET_EXHAUSTED", {"scarce"}))
                return
            expect(to_dict(answer.charged) == {"scarce": units, "requests": 1}, "all of it", answer)
            self.books.add_scarce(lane.tenant, units)
            self.books.add(lane.tenant, False, spent={"requests": 1})

        return pb.Operation(consume=request), check
