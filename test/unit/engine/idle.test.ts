import { describe, expect, test } from "vitest";
import { isRejection } from "../../../src/core/rejection.ts";
import { aCommit, aConsume, aRelease, aReserve } from "../../support/builders.ts";
import { boundedEngine } from "../../support/bounded-engine.ts";
import { engineWith } from "../../support/engine-harness.ts";

const policyOf = (limits: string): string =>
  `dimensions: [run, user]\nplans: {p: {limits: [${limits}]}}\ntenants: {acme: {plan: p}}\n`;
const perRun = policyOf(
  "{name: run, meter: tokens, per: [run], budget: {units: 100, period: day}}",
);
const inRun = (run: string) => ({ dimensions: { run } });
const MINUTE = 60_000;
const DAY = 86_400_000;

describe("AC4: idle accounts", () => {
  test("AC4: go when nothing was used or the period is over", () => {
    const { ok, clock, engine, ledgers } = boundedEngine(perRun);
    const { reservationId } = ok(aReserve({ subject: inRun("1"), amounts: { tokens: 9 } }));
    ok(aRelease(reservationId));
    ok(aConsume({ subject: inRun("2"), amounts: { tokens: 9 } }));
    expect(engine.liveBuckets()).toBe(2);
    clock.advance(3_000);
    expect(engine.liveBuckets()).toBe(1);
    clock.advance(DAY);
    clock.advance(3_000);
    expect([engine.liveBuckets(), ledgers().size]).toEqual([0, 0]);
  });

  test.each([
    ["a budget", "budget: {units: 100, period: day}", 60],
    ["a budget for once", "budget: {units: 100, period: once, ttl: 2h}", 60],
    ["a rate", "rate: {units: 10, every: 1h, burst: 100}", 60],
    ["a soft budget past its end", "mode: soft, budget: {units: 20, period: day}", -20],
    ["a shadow budget past its end", "mode: shadow, budget: {units: 20, period: day}", -20],
  ])("AC4: %s loses nothing of what is used by any number of sweeps", (_, shape, remaining) => {
    const { ok, clock, balance } = engineWith(policyOf(`{name: a, meter: tokens, ${shape}}`));
    ok(aConsume({ amounts: { tokens: 40 } }));
    clock.advance(10_000);
    expect(balance({}, "a")).toMatchObject({ remainingUnits: remaining });
  });

  test("AC4: a debt is not slept away", () => {
    const { ok, clock, balance } = engineWith(
      policyOf("{name: a, meter: tokens, rate: {units: 1, every: 1m, burst: 10}}"),
    );
    const { reservationId } = ok(aReserve({ amounts: { tokens: 10 } }));
    ok(aCommit(reservationId, { amounts: { tokens: 15 } }));
    clock.advance(60_000);
    expect(balance({}, "a")).toMatchObject({ remainingUnits: -4, debtUnits: 4 });
  });

  test("AC4: a rate goes when it is full again, and not a refill sooner", () => {
    const { ok, clock, engine } = boundedEngine(
      policyOf("{name: a, meter: tokens, rate: {units: 1, every: 1s, burst: 10}}"),
    );
    ok(aConsume({ amounts: { tokens: 10 } }));
    clock.advance(9_000);
    expect(engine.liveBuckets()).toBe(1);
    clock.advance(3_000);
    expect(engine.liveBuckets()).toBe(0);
  });

  test("AC4: what is held stays: an open reservation of nothing, a slot, one in grace", () => {
    const { ok, clock, engine } = boundedEngine(
      policyOf(
        "{name: slots, per: [run], concurrency: {max: 2}}, {name: run, meter: tokens, per: [run], budget: {units: 9, period: minute}}",
      ),
    );
    ok(aReserve({ subject: inRun("1"), amounts: { tokens: 0 }, ttlMs: 90_000 }));
    clock.advance(85_000);
    expect(engine.liveBuckets()).toBe(2);
    clock.advance(10_000);
    expect(engine.liveBuckets()).toBe(2);
    clock.advance(600_000);
    expect(engine.liveBuckets()).toBe(0);
  });

  test("policy.md, once: a bucket is another one only when nobody used it for its ttl", () => {
    const { ok, clock, balance } = engineWith(
      policyOf("{name: a, meter: tokens, per: [run], budget: {units: 100, period: once, ttl: 1h}}"),
    );
    const subject = inRun("1");
    const { reservationId } = ok(
      aReserve({ subject, amounts: { tokens: 50 }, ttlMs: 3 * 3_600_000 }),
    );
    clock.advance(2 * 3_600_000);
    ok(aCommit(reservationId, { amounts: { tokens: 70 } }));
    clock.advance(3_599_000);
    expect(balance(subject, "a")).toMatchObject({ spentUnits: 70 });
    clock.advance(2_000);
    expect(balance(subject, "a")).toMatchObject({ spentUnits: 0, remainingUnits: 100 });
  });

  test("AC4: limits that carry debt let go of those who owe nothing", () => {
    const { ok, clock, engine, ledgers } = boundedEngine(
      policyOf(
        "{name: a, meter: tokens, per: [user], carry_debt: true, budget: {units: 10, period: month}}",
      ),
    );
    const of = (user: string) => ({ subject: { dimensions: { user } } });
    for (let i = 0; i < 50; i += 1) ok(aConsume({ ...of(`u${i}`), amounts: { tokens: 1 } }));
    ok(aConsume({ ...of("debtor"), amounts: { tokens: 35 }, alreadySpent: true }));
    clock.advance(12 * DAY);
    clock.advance(3_000);
    expect(engine.liveBuckets()).toBe(1);
    ok(aConsume({ ...of("debtor"), amounts: { tokens: 0 }, alreadySpent: true }));
    expect([...ledgers().values()]).toMatchObject([{ spent: 25, available: -15, debt: 15 }]);
  });

  test("AC4: carried units are not slept away, however quiet the new period is", () => {
    const { ok, clock, balance } = engineWith(
      policyOf("{name: a, meter: tokens, budget: {units: 100, period: month, rollover: 30}}"),
      { now: "2026-11-30T23:59:00Z" },
    );
    ok(aConsume({ amounts: { tokens: 80 } }));
    clock.advance(MINUTE);
    expect(balance({}, "a")).toMatchObject({ remainingUnits: 120 });
    clock.advance(5 * DAY);
    clock.advance(3_000);
    expect(balance({}, "a")).toMatchObject({ remainingUnits: 120, limitUnits: 120 });
  });

  test.each(["minute", "month"])(
    "AC4: a debt that a late commit carries into a quiet %s outlives the sweeps",
    (period) => {
      const { ok, clock, balance } = engineWith(
        policyOf(
          `{name: a, meter: tokens, carry_debt: true, budget: {units: 100, period: ${period}}}`,
        ),
        { now: "2026-11-30T23:59:00Z" },
      );
      const long = ok(aReserve({ amounts: { tokens: 100 }, ttlMs: DAY / 2 })).reservationId;
      clock.advance(MINUTE);
      ok(aRelease(ok(aReserve({ amounts: { tokens: 0 } })).reservationId));
      ok(aCommit(long, { amounts: { tokens: 180 } }));
      clock.advance(3_000);
      expect(balance({}, "a")).toMatchObject({ remainingUnits: 20, spentUnits: 80 });
    },
  );
});

describe("AC5: a wall clock that steps", () => {
  const daily = policyOf("{name: a, meter: tokens, budget: {units: 100, period: day}}");

  test("AC5: back into a period that is over opens none of its units again", () => {
    const { ok, clock, balance } = engineWith(daily, { now: "2026-11-21T23:59:59Z" });
    ok(aConsume({ amounts: { tokens: 100 } }));
    clock.advance(2_000);
    ok(aConsume({ amounts: { tokens: 70 } }));
    clock.stepWall(-3_600_000);
    expect(balance({}, "a")).toMatchObject({ spentUnits: 70, remainingUnits: 30 });
    expect(ok(aConsume({ amounts: { tokens: 31 } })).verdict.decision).toBe("deny");
  });

  test("AC5: also when the sweep has dropped what was used in it", () => {
    const { ok, clock } = engineWith(daily);
    ok(aConsume({ amounts: { tokens: 100 } }));
    clock.stepWall(DAY);
    clock.advance(3_000);
    ok(aConsume({ amounts: { tokens: 100 } }));
    clock.stepWall(-DAY);
    clock.advance(3_000);
    expect(ok(aConsume({ amounts: { tokens: 1 } })).verdict.decision).toBe("deny");
  });

  test("AC5: and after a reload, which looks for the period anew", () => {
    const { ok, clock, reload, balance } = engineWith(daily, { now: "2026-11-21T23:59:59Z" });
    clock.advance(2_000);
    ok(aConsume({ amounts: { tokens: 70 } }));
    clock.stepWall(-3_600_000);
    reload(daily.replace("100", "110"));
    expect(balance({}, "a")).toMatchObject({ spentUnits: 70, remainingUnits: 40 });
  });

  test("AC5: holds, rates and slots do not care", () => {
    const { ok, clock, run } = engineWith(
      policyOf(
        "{name: slots, concurrency: {max: 1}}, {name: r, meter: tokens, rate: {units: 1, every: 1s, burst: 10}}",
      ),
    );
    const { reservationId } = ok(aReserve({ amounts: { tokens: 10 }, ttlMs: 60_000 }));
    clock.stepWall(-DAY);
    expect(ok(aReserve({ amounts: { tokens: 0 } })).verdict.denial?.reason).toBe(
      "CONCURRENCY_EXHAUSTED",
    );
    clock.stepWall(3 * DAY);
    clock.advance(1_000);
    const settled = run(aCommit(reservationId));
    expect(isRejection(settled) ? settled : settled.late).toBe(false);
  });
});
