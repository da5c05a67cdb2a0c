"""The outsider's own books: what the public rules say that each operation may do and costs.

Written from the contract's text alone, in plain integers. A lane (one agent, one run at a time) is touched by one
operation after the other, so that what happens to it can be foretold exactly; buckets of a tenant and of the
platform are shared by all threads and too large to run out, so that only their sums matter.
"""

from dataclasses import dataclass, field

# Thousandths of a micro-dollar per token: input, output, cache read, cache write.
PRICES = [
    ("gpt-4o-mini", (150, 600, 75, 150)),
    ("gpt-4o", (2_500, 10_000, 1_250, 2_500)),
    ("claude-", (3_000, 15_000, 300, 3_750)),
]
CLAUDE_ABOVE_200K = (6_000, 22_500, 300, 3_750)
SEARCH_MICROS = 10_000

RUN_CAPACITY = {"usd_micros": 2_000_000, "pages": 100, "seats": 60}
RUN_LIMIT = {"usd_micros": "run-money", "pages": "run-pages", "seats": "run-seats"}
SLOTS = 6
SHARED_CAPACITY = {
    "account": 5_000_000_000_000,
    "money": 2_000_000_000_000,
    "tokens": 100_000_000_000,
    "calls": 10_000_000,
    "scarce": 97,
}
# The limits that all threads share, with the meter that each counts.
SHARED_METER = {"account": "usd_micros", "money": "usd_micros", "tokens": "tokens", "calls": "requests"}


def price(model, input_tokens, output_tokens, cache_read=0, cache_write=0):
    """In usd_micros: summed exactly, rounded up once."""
    rates = next(rates for prefix, rates in PRICES if model.startswith(prefix))
    if model.startswith("claude-") and input_tokens > 200_000:
        rates = CLAUDE_ABOVE_200K
    fresh = input_tokens - cache_read - cache_write
    total = fresh * rates[0] + output_tokens * rates[1] + cache_read * rates[2] + cache_write * rates[3]
    return -(-total // 1_000)


@dataclass
class Bucket:
    capacity: int
    spent: int = 0
    held: int = 0

    @property
    def left(self):
        return self.capacity - self.spent - self.held


@dataclass
class Run:
    name: str
    buckets: dict = field(
        default_factory=lambda: {meter: Bucket(units) for meter, units in RUN_CAPACITY.items()}
    )

    @property
    def in_debt(self):
        # Only run-money lets a commit pass the end; the others cap or refuse.
        return self.buckets["usd_micros"].left < 0

    def refusal(self, amounts):
        """(reason, limits of which one has to be named), or None where the amounts fit."""
        large = {RUN_LIMIT[m] for m, b in self.buckets.items() if amounts.get(m, 0) > b.capacity}
        if large:
            return "REQUEST_TOO_LARGE", large
        full = {RUN_LIMIT[m] for m, b in self.buckets.items() if amounts.get(m, 0) > max(b.left, 0)}
        if self.in_debt:
            full.add(RUN_LIMIT["usd_micros"])
        return ("BUDGET_EXHAUSTED", full) if full else None


@dataclass
class Hold:
    """An open reservation."""

    run: Run
    lane: object
    is_llm: bool
    model: str
    held: dict
    charged: dict = field(default_factory=dict)
    # What a cap left uncharged of the totals stated so far.
    uncharged: dict = field(default_factory=dict)
    # What is still held: less than held - charged where a commit went over and the hold was extended after it.
    rest: dict = field(default_factory=dict)
    id: str = ""
    # The commit or release that settled it, and what it was answered.
    settled_by: object = None
    answer: object = None

    def actual(self, meter):
        """The total that commits have stated so far: it never falls."""
        return self.charged.get(meter, 0) + self.uncharged.get(meter, 0)

    def __post_init__(self):
        self.rest = dict(self.held)

    def extend(self, add):
        for meter, units in add.items():
            self.held[meter] = self.held.get(meter, 0) + units
            self.rest[meter] = self.rest.get(meter, 0) + units
            self.run.buckets[meter].held += units


class Books:
    """One thread's sums over the shared buckets, by (tenant, limit); "" is the platform's tenant."""

    def __init__(self):
        self.spent = {}
        self.held = {}

    def add(self, tenant, is_llm, spent=None, held=None):
        for sums, amounts in ((self.spent, spent), (self.held, held)):
            for limit, meter in SHARED_METER.items():
                units = (amounts or {}).get(meter, 0)
                if units == 0 or (limit == "tokens" and not is_llm):
                    continue
                key = ("" if limit == "account" else tenant, limit)
                sums[key] = sums.get(key, 0) + units

    def add_scarce(self, tenant, units):
        key = (tenant, "scarce")
        self.spent[key] = self.spent.get(key, 0) + units

    def merge(self, other):
        for mine, theirs in ((self.spent, other.spent), (self.held, other.held)):
            for key, units in theirs.items():
                mine[key] = mine.get(key, 0) + units


def counted(amounts, is_llm):
    """The amounts that some limit of the policy counts for this operation: what answers list."""
    meters = {"usd_micros", "requests", "pages", "seats"} | ({"tokens"} if is_llm else set())
    return {meter: units for meter, units in amounts.items() if meter in meters and units > 0}


def settle(hold, stated, final):
    """What a commit that states these totals does: (charged, uncharged), or None where it is refused.

    Charged and uncharged are totals over the life of the reservation.
    """
    charged, uncharged = dict(hold.charged), dict(hold.uncharged)
    for meter in set(hold.held) | set(stated):
        if meter in stated:
            total = max(stated[meter], hold.actual(meter))
        elif final:
            total = max(hold.held.get(meter, 0), hold.actual(meter))
        else:
            continue
        more = total - hold.actual(meter)
        bucket = hold.run.buckets.get(meter)
        covered = hold.rest.get(meter, 0) + (0 if bucket is None else max(0, bucket.left))
        if meter == "seats" and more > covered:
            return None
        if meter == "pages" and more > covered:
            uncharged[meter] = uncharged.get(meter, 0) + more - covered
            more = covered
        charged[meter] = charged.get(meter, 0) + more
    return charged, uncharged


def apply(books, tenant, hold, charged, final, uncharged=None):
    """Books what settle() told; a final one gives back what is left of the hold."""
    spent = {m: units - hold.charged.get(m, 0) for m, units in charged.items()}
    rest = {m: 0 if final else max(0, units - spent.get(m, 0)) for m, units in hold.rest.items()}
    held = {meter: units - hold.rest[meter] for meter, units in rest.items()}
    hold.charged, hold.rest = dict(charged), rest
    hold.uncharged = dict(uncharged or hold.uncharged)
    for meter, bucket in hold.run.buckets.items():
        bucket.spent += spent.get(meter, 0)
        bucket.held += held.get(meter, 0)
    books.add(tenant, hold.is_llm, spent=spent, held=held)
