import { describe, expect, test } from "vitest";
import { MINUTE, SECOND } from "../../../src/core/time.ts";
import {
  createReservations,
  GRACE,
  type Reservation,
  type Reservations,
} from "../../../src/engine/reservations.ts";
import type { Tally } from "../../../src/engine/tally.ts";
import {
  aCommit,
  anAction,
  anExtend,
  aRelease,
  aReserve,
  aSubject,
} from "../../support/builders.ts";
import { boundedEngine } from "../../support/bounded-engine.ts";
import { engineWith } from "../../support/engine-harness.ts";

const policy =
  "plans: {p: {limits: [{name: a, meter: tokens, budget: {units: 100, period: day}}]}}\ntenants: {acme: {plan: p}, globex: {plan: p}}";
const hundred = { amounts: { tokens: 100 } };

describe("RE1: settled at most once", () => {
  const open = () => {
    const harness = engineWith(policy);
    return { ...harness, id: harness.ok(aReserve(hundred)).reservationId };
  };
  const settled = { rejected: true, reason: "ALREADY_SETTLED" };

  test("RE1: a second commit, release or extension changes nothing", () => {
    const { id, ok, run, balance } = open();
    const first = ok(aCommit(id, { amounts: { tokens: 30 } }));
    const after = balance({}, "a");
    expect(run(aCommit(id, { amounts: { tokens: 30 } }))).toEqual(first);
    expect(run(aCommit(id, { amounts: { tokens: 31 } }))).toMatchObject(settled);
    expect(run(aCommit(id))).toMatchObject(settled);
    expect(run(aRelease(id))).toMatchObject(settled);
    expect(run(anExtend(id, { byMs: 1, add: { tokens: 1 } }))).toMatchObject(settled);
    expect(balance({}, "a")).toEqual(after);
  });

  test("RE1: nor after a release", () => {
    const { id, ok, run, balance } = open();
    const first = ok(aRelease(id));
    expect(run(aRelease(id))).toEqual(first);
    expect(run(aCommit(id))).toMatchObject(settled);
    expect(balance({}, "a")).toMatchObject({ spentUnits: 0, remainingUnits: 100 });
  });

  test("RE1: nor after a late commit, and its expiry does not come a second time", () => {
    const { id, ok, run, clock, balance, counters } = open();
    clock.advance(2 * MINUTE);
    const first = ok(aCommit(id, { amounts: { tokens: 30 } }));
    expect(first.late).toBe(true);
    clock.advance(GRACE);
    expect(run(aCommit(id, { amounts: { tokens: 30 } }))).toEqual(first);
    expect(run(aRelease(id))).toMatchObject(settled);
    expect(balance({}, "a")).toMatchObject({ spentUnits: 30, remainingUnits: 70 });
    expect(counters.get("ended end=expired")).toBe(1);
    expect(counters.get("ended end=late")).toBe(1);
  });
});

describe("RE2: expiry is decided by the clock", () => {
  test("RE2: units are free at expires_at though no timer ran, and not a millisecond sooner", () => {
    const { ok, clock } = engineWith(policy);
    ok(aReserve({ ...hundred, ttlMs: 5 * SECOND }));
    clock.advanceWithoutTimers(5 * SECOND - 1);
    expect(ok(aReserve(hundred)).verdict.decision).toBe("deny");
    clock.advanceWithoutTimers(1);
    expect(ok(aReserve(hundred)).verdict.decision).toBe("allow");
  });

  test("RE2: a commit at that moment is late, an extension comes too late", () => {
    const { ok, run, clock } = engineWith(policy);
    const { reservationId } = ok(aReserve({ ...hundred, ttlMs: 5 * SECOND }));
    clock.advanceWithoutTimers(5 * SECOND);
    expect(run(anExtend(reservationId, { byMs: MINUTE }))).toMatchObject({
      reason: "RESERVATION_EXPIRED",
    });
    expect(ok(aCommit(reservationId)).late).toBe(true);
  });

  test("RE2: a release after it gives back nothing twice, and leaves the late commit to come (S20)", () => {
    const { ok, clock, balance } = engineWith(policy);
    const { reservationId } = ok(aReserve({ ...hundred, ttlMs: 5 * SECOND }));
    clock.advanceWithoutTimers(5 * SECOND);
    expect(ok(aRelease(reservationId)).released).toEqual([]);
    expect(ok(aCommit(reservationId, { amounts: { tokens: 40 } })).late).toBe(true);
    expect(balance({}, "a")).toMatchObject({ spentUnits: 40, remainingUnits: 60 });
  });

  test("RE2: a process that slept through expiry and grace finds both done", () => {
    const { ok, run, clock, balance } = engineWith(
      policy.replace("budget:", "on_expiry: charge, budget:"),
    );
    const { reservationId } = ok(aReserve({ ...hundred, ttlMs: 5 * SECOND }));
    clock.advanceWithoutTimers(5 * SECOND + GRACE);
    expect(run(aCommit(reservationId))).toMatchObject({ reason: "RESERVATION_EXPIRED" });
    expect(balance({}, "a")).toMatchObject({ spentUnits: 100, localReservedUnits: 0 });
  });

  test("RE2: and a timer alone is enough where nobody calls", () => {
    const { ok, clock, counters, engine } = engineWith(policy);
    ok(aReserve({ ...hundred, ttlMs: 5 * SECOND }));
    clock.advance(5 * SECOND);
    expect([counters.get("ended end=expired"), engine.openReservations()]).toEqual([1, 0]);
  });
});

/** Straight on the book of reservations. */
const aReservation = (book: Reservations, id: string, deadline: number): Reservation => ({
  id,
  sequence: book.nextSequence(),
  uid: "acme",
  tenant: "acme",
  subject: aSubject(),
  action: anAction(),
  lines: [],
  holds: [],
  circuits: [],
  createdAt: 0,
  createdMono: 0,
  ttlMs: deadline,
  generation: 1,
  state: "open",
  deadline,
  slot: -1,
  expiresAt: deadline,
  keys: undefined,
});
const NOTHING: Tally = {
  meters: [],
  units: [],
  late: false,
  verdict: { decision: "allow", source: "lease", degraded: false, limits: [], decisionId: "" },
};
function aBook(keysMax: number) {
  const evicted: number[] = [];
  const book = createReservations(keysMax, () => evicted.push(1));
  const add = (id: string, deadline = MINUTE): Reservation => {
    const reservation = aReservation(book, id, deadline);
    book.add(reservation);
    return reservation;
  };
  const end = (reservation: Reservation, mono = 0): void => {
    book.end(reservation, { state: "committed", tally: NOTHING }, mono);
    book.tidy(mono);
  };
  const knows = (...ids: string[]): string[] => ids.filter((id) => book.get(id) !== undefined);
  return { book, add, end, knows, evictions: () => evicted.length };
}

describe("RE3: what is forgotten", () => {
  test("RE3: open ones and those in grace never, the oldest settled one first", () => {
    const { book, add, end, knows, evictions } = aBook(2);
    add("open", 10 * MINUTE);
    const expired = add("expired", MINUTE);
    book.takeOut(expired);
    book.lapse(expired);
    for (const id of ["1", "2", "3", "4"]) end(add(id));
    expect(knows("open", "expired", "1", "2", "3", "4")).toEqual(["open", "expired", "3", "4"]);
    expect(evictions()).toBe(2);
  });

  test("RE3: of the settled the order of settlement counts, not that of their making", () => {
    const { add, end, knows } = aBook(2);
    const [a, b, c] = [add("a"), add("b"), add("c")];
    for (const one of [c, b, a]) end(one);
    expect(knows("a", "b", "c")).toEqual(["a", "b"]);
  });

  test("RE3: the key of an open reservation is kept with it, whatever comes", () => {
    const { book, add, end } = aBook(1);
    const open = add("open");
    book.remember("key", { content: [], answer: {} }, open, 0);
    for (const id of ["1", "2", "3"]) end(add(id));
    expect(book.keyed("key")).toEqual({ content: [], answer: {} });
    end(open);
    expect(book.keyed("key")).toEqual({ content: [], answer: {} });
    end(add("4"));
    expect(book.keyed("key")).toBeUndefined();
  });
});

describe("RE4: how long and how many are remembered", () => {
  test("RE4: each for 15 minutes, to the millisecond", () => {
    const { book, add, end, knows, evictions } = aBook(9);
    end(add("a"));
    book.remember("key", { content: [], answer: {} }, undefined, 0);
    book.tidy(15 * MINUTE - 1);
    expect([knows("a"), book.keyed("key") !== undefined]).toEqual([["a"], true]);
    book.tidy(15 * MINUTE);
    expect([knows("a"), book.keyed("key"), evictions()]).toEqual([[], undefined, 0]);
  });

  test("RE4: and until it is past grace, however early it was settled", () => {
    const { book, add, end, knows } = aBook(9);
    end(add("long", 60 * MINUTE));
    book.tidy(60 * MINUTE + GRACE - 1);
    expect(knows("long")).toEqual(["long"]);
    book.tidy(60 * MINUTE + GRACE);
    expect(knows("long")).toEqual([]);
  });

  test("RE4: one that is wanted for long keeps no other beyond its time, nor is it evicted for them", () => {
    const { book, add, end, knows, evictions } = aBook(3);
    end(add("long", 120 * MINUTE));
    end(add("a"));
    end(add("b"));
    book.tidy(20 * MINUTE);
    expect(knows("long", "a", "b")).toEqual(["long"]);
    end(add("c"), 20 * MINUTE);
    end(add("d"), 20 * MINUTE);
    expect([knows("long", "c", "d"), evictions()]).toEqual([["long", "c", "d"], 0]);
    end(add("e"), 20 * MINUTE);
    expect([knows("long", "c", "d", "e"), evictions()]).toEqual([["c", "d", "e"], 1]);
  });

  test("RE4: keyed answers and settled reservations share the bound, and evictions are counted", () => {
    const { book, add, end, knows, evictions } = aBook(2);
    book.remember("consume", { content: [], answer: {} }, undefined, 0);
    end(add("a"));
    end(add("b"));
    expect([book.keyed("consume"), knows("a", "b"), evictions()]).toEqual([
      undefined,
      ["a", "b"],
      1,
    ]);
  });

  test("RE4: any number of settled reservations leave no more than the bound behind", () => {
    const { ok, run, clock, evicted } = boundedEngine(policy, { idempotencyKeys: 100 });
    const ids: string[] = [];
    for (let i = 0; i < 1_000; i += 1) {
      const { reservationId } = ok(aReserve({ amounts: { tokens: 0 } }));
      ids.push(reservationId);
      ok(aCommit(reservationId));
      clock.advance(1);
    }
    expect(evicted()).toBe(900);
    expect(run(aCommit(ids[899] ?? ""))).toMatchObject({ reason: "RESERVATION_UNKNOWN" });
    expect(run(aCommit(ids[900] ?? ""))).toMatchObject({ op: "commit" });
  });
});

describe("how many may be open", () => {
  const bounds = { reservationsPerTenant: 2, reservationsMax: 3 };
  const reserving = (tenant: string, ttlMs = MINUTE) =>
    aReserve({ subject: { tenant }, amounts: { tokens: 0 }, ttlMs });

  test("a tenant at its bound is refused alone, until one of its reservations settles", () => {
    const { ok, outcome } = boundedEngine(policy, { bounds });
    const { reservationId } = ok(reserving("acme"));
    ok(reserving("acme"));
    expect(outcome(reserving("acme"))).toBe("TOO_MANY_RESERVATIONS");
    expect(outcome(reserving("globex"))).toBe("allow");
    ok(aRelease(reservationId));
    expect(outcome(reserving("acme"))).toBe("allow");
  });

  test("all tenants together have a bound as well", () => {
    const { ok, outcome } = boundedEngine(policy, { bounds });
    ok(reserving("acme"));
    ok(reserving("acme"));
    ok(reserving("globex"));
    expect(outcome(reserving("globex"))).toBe("TOO_MANY_RESERVATIONS");
  });

  test("those in grace count too: a caller who never settles does not fill the memory", () => {
    const { ok, outcome, clock } = boundedEngine(policy, { bounds });
    ok(reserving("acme", SECOND));
    ok(reserving("acme", SECOND));
    clock.advance(2 * SECOND);
    expect(outcome(reserving("acme"))).toBe("TOO_MANY_RESERVATIONS");
    clock.advance(GRACE);
    expect(outcome(reserving("acme"))).toBe("allow");
  });

  test("a dry run needs no room", () => {
    const { ok, outcome } = boundedEngine(policy, { bounds });
    ok(reserving("acme"));
    ok(reserving("acme"));
    expect(outcome({ ...reserving("acme"), dryRun: true })).toBe("allow");
  });
});
