import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isRejection } from "../../../src/core/rejection.ts";
import {
  aCall,
  aCheck,
  aCommit,
  aConsume,
  anExtend,
  aRelease,
  aReserve,
} from "../../support/builders.ts";
import { boundedEngine } from "../../support/bounded-engine.ts";
import { counterexample } from "../../support/counterexample.ts";
import { engineWith } from "../../support/engine-harness.ts";

const limits = `{name: day, meter: tokens, budget: {units: 100, period: day}},
  {name: minute, meter: tokens, on_expiry: charge, budget: {units: 90, period: minute}},
  {name: rate, meter: tokens, rate: {units: 100, every: 1m, burst: 95}},
  {name: soft, mode: soft, meter: tokens, budget: {units: 20, period: day}},
  {name: watch, mode: shadow, meter: tokens, rate: {units: 1, every: 1m, burst: 20}},
  {name: cap, meter: pages, overage: cap, budget: {units: 50, period: day}},
  {name: reject, meter: pages, overage: reject, budget: {units: 60, period: day}},
  {name: slots, concurrency: {max: 3}}`;
const policyOf = (list: string): string =>
  `plans: {p: {limits: [${list}]}}\ntenants: {acme: {plan: p}}`;
const day = policyOf("{name: day, meter: tokens, budget: {units: 100, period: day}}");
const hundred = { amounts: { tokens: 100 } };

describe("EN1: before anything is decided, what is due has expired", () => {
  test.each([
    ["check", aCheck(hundred)],
    ["reserve", aReserve(hundred)],
    ["consume", aConsume(hundred)],
    ["dry run", aReserve({ ...hundred, dryRun: true })],
  ])("EN1: a %s sees the units of a reservation that ends in this millisecond", (_, operation) => {
    const { ok, clock } = engineWith(day);
    ok(aReserve({ ...hundred, ttlMs: 1_000 }));
    clock.advanceWithoutTimers(1_000);
    const answer = ok(operation);
    expect("verdict" in answer && answer.verdict.decision).toBe("allow");
  });

  test("EN1: so do an extension, a balance and a list", () => {
    const { ok, clock, balance, reservations } = engineWith(day);
    const { reservationId } = ok(aReserve({ amounts: { tokens: 10 } }));
    ok(aReserve({ amounts: { tokens: 90 }, ttlMs: 1_000 }));
    expect(reservations().reservations).toHaveLength(2);
    clock.advanceWithoutTimers(1_000);
    expect(balance({}, "day")).toMatchObject({ remainingUnits: 90 });
    expect(reservations().reservations).toHaveLength(1);
    const more = ok(anExtend(reservationId, { add: { tokens: 90 } }));
    expect(more.verdict.decision).toBe("allow");
  });

  test("EN1: what expired pays a debt before the same turn decides", () => {
    const { ok, clock } = engineWith(day);
    ok(aReserve({ amounts: { tokens: 60 }, ttlMs: 1_000 }));
    const { reservationId } = ok(aReserve({ amounts: { tokens: 40 } }));
    ok(aCommit(reservationId, { amounts: { tokens: 70 } }));
    expect(ok(aCheck()).verdict.denial?.reason).toBe("BUDGET_EXHAUSTED");
    clock.advanceWithoutTimers(1_000);
    expect(ok(aConsume({ amounts: { tokens: 30 } })).verdict.decision).toBe("allow");
  });
});

const aStep = fc.oneof(
  fc.record({
    do: fc.constantFrom("reserve", "consume", "check"),
    tokens: fc.nat({ max: 60 }),
    pages: fc.nat({ max: 40 }),
    flag: fc.boolean(),
  }),
  fc.record({
    do: fc.constantFrom("commit", "commit", "partial", "release", "extend", "abandon"),
    tokens: fc.nat({ max: 90 }),
    pages: fc.nat({ max: 70 }),
    which: fc.nat({ max: 9 }),
  }),
  fc.record({ do: fc.constant("wait"), ms: fc.nat({ max: 40_000 }) }),
);
type Step = typeof aStep extends fc.Arbitrary<infer S> ? S : never;

function play(engine: ReturnType<typeof boundedEngine>, ids: string[], step: Step): void {
  if ("ms" in step) return engine.clock.advance(step.ms);
  const { tokens, pages } = step;
  const amounts = { tokens, pages };
  if ("flag" in step) {
    if (step.do === "check") engine.run(aCheck({ amounts }));
    else if (step.do === "consume") engine.run(aConsume({ amounts, alreadySpent: step.flag }));
    else {
      const answer = engine.run(aReserve({ amounts, bestEffort: step.flag, ttlMs: 20_000 }));
      if (!isRejection(answer) && answer.reservationId !== "") ids.push(answer.reservationId);
    }
    return;
  }
  const id = ids[step.which % Math.max(1, ids.length)] ?? "";
  if (step.do === "release") engine.run(aRelease(id));
  else if (step.do === "abandon") engine.engine.abandon(id);
  else if (step.do === "extend") engine.run(anExtend(id, { add: amounts, byMs: 1_000 }));
  else engine.run(aCommit(id, { amounts, partial: step.do === "partial" }));
}

describe("EN2: after every turn", () => {
  test("EN2: the store knows what is held and settled here, and nothing free is kept", () => {
    const steps = fc.array(aStep, { minLength: 3, maxLength: 40, size: "max" });
    const found = counterexample(steps, (sequence) => {
      const bounded = boundedEngine(policyOf(limits));
      const ids: string[] = [];
      for (const step of sequence) {
        play(bounded, ids, step);
        const out = [...bounded.ledgers().values()].reduce((sum, view) => sum + view.out, 0);
        let held = 0;
        bounded.engine.balance(aCall(), aCheck().subject, false, (balances) => {
          if (isRejection(balances)) throw new Error(balances.message);
          for (const { limit, spentUnits, localAvailableUnits } of balances) {
            assert.equal(localAvailableUnits, 0, `EN2: nothing free is kept at ${limit}`);
            assert.ok(spentUnits >= 0);
          }
        });
        for (const units of bounded.engine.leasedUnits().values()) held += units;
        held += bounded.engine.openReservations();
        // Holds of a period that is over are out as well, but no account names them any more.
        const past = bounded.clock.wall() >= Date.UTC(2026, 10, 21, 10, 1);
        if (past) assert.ok(out >= held, "EN2: what is held is out");
        else assert.equal(out, held, "EN2: what is out is held");
      }
    });
    expect(found).toBe("");
  });

  test("EN2: when all is settled or past, nothing is out, whatever happened", () => {
    const steps = fc.array(aStep, { minLength: 3, maxLength: 40, size: "max" });
    const found = counterexample(
      steps,
      (sequence) => {
        const bounded = boundedEngine(policyOf(limits));
        const ids: string[] = [];
        for (const step of sequence) play(bounded, ids, step);
        bounded.clock.advance(60_000);
        bounded.clock.advance(660_000);
        for (const { out } of bounded.ledgers().values()) assert.equal(out, 0);
        assert.equal(bounded.engine.openReservations(), 0);
      },
      { numRuns: 60 },
    );
    expect(found).toBe("");
  });
});

describe("S27: a drain", () => {
  test("S27: settles open reservations as expiry would, and nothing is out any more", async () => {
    const bounded = boundedEngine(policyOf(limits));
    bounded.ok(aReserve({ amounts: { tokens: 30, pages: 5 } }));
    bounded.ok(aReserve({ amounts: { tokens: 20 }, ttlMs: 1_000 }));
    bounded.clock.advance(2_000);
    await bounded.engine.drain();
    expect(bounded.engine.openReservations()).toBe(0);
    const left = [...bounded.ledgers()].map(([key, { out, spent }]) => [
      key.split("\0")[1],
      out,
      spent,
    ]);
    expect(left).toEqual([
      ["day/tokens", 0, 0],
      ["minute/tokens", 0, 50], // on_expiry: charge
      ["rate/tokens", 0, 0],
      ["soft/tokens", 0, 0],
      ["watch/tokens", 0, 0],
      ["cap/pages", 0, 0],
      ["reject/pages", 0, 0],
      ["slots/", 0, 0],
    ]);
    await bounded.engine.drain();
    expect([...bounded.ledgers().values()].map(({ spent }) => spent)).toContain(50);
  });

  test("S27: a call that was under way may still commit, and is late", async () => {
    const { ok, engine, balance } = engineWith(day);
    const { reservationId } = ok(aReserve(hundred));
    await engine.drain();
    expect(ok(aCommit(reservationId, { amounts: { tokens: 40 } }))).toMatchObject({
      late: true,
      charged: [{ meter: "tokens", units: 40 }],
    });
    expect(balance({}, "day")).toMatchObject({ spentUnits: 40, localReservedUnits: 0 });
  });
});

describe("an answer that nobody heard", () => {
  test("S28: abandoned, the reservation is released at once", () => {
    const { ok, engine, balance, counters } = engineWith(day);
    const { reservationId } = ok(aReserve(hundred));
    engine.abandon(reservationId);
    expect(balance({}, "day")).toMatchObject({ remainingUnits: 100 });
    expect(counters.get("ended end=released")).toBe(1);
  });

  test("S28: unknown, settled and expired ones are left as they are", () => {
    const { ok, engine, clock, balance } = engineWith(day);
    const settled = ok(aReserve({ amounts: { tokens: 30 } })).reservationId;
    ok(aCommit(settled));
    const expired = ok(aReserve({ amounts: { tokens: 30 }, ttlMs: 1_000 })).reservationId;
    clock.advance(1_000);
    const before = balance({}, "day");
    for (const id of ["nobody", settled, expired]) engine.abandon(id);
    expect(balance({}, "day")).toEqual(before);
    expect(ok(aCommit(expired)).late).toBe(true);
  });

  test("S22: what partial commits have charged stays charged", () => {
    const { ok, engine, balance } = engineWith(day);
    const { reservationId } = ok(aReserve(hundred));
    ok(aCommit(reservationId, { amounts: { tokens: 30 }, partial: true }));
    engine.abandon(reservationId);
    expect(balance({}, "day")).toMatchObject({ spentUnits: 30, remainingUnits: 70 });
  });
});

describe("what a scrape reads", () => {
  test("units that are out, open reservations and live buckets", () => {
    const { ok, engine } = engineWith(policyOf(limits));
    ok(aReserve({ amounts: { tokens: 30, pages: 5 } }));
    expect(Object.fromEntries(engine.leasedUnits())).toEqual({ tokens: 90, pages: 10 });
    expect([engine.openReservations(), engine.liveBuckets()]).toEqual([1, 8]);
    expect([engine.storeUp(), engine.degraded()]).toEqual([true, false]);
  });
});

test("a stopped engine leaves no timer behind", () => {
  const { engine, clock } = engineWith(day);
  clock.advance(5_000);
  expect(clock.pending()).toBe(1);
  engine.stop();
  expect(clock.pending()).toBe(0);
});
