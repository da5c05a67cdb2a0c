import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isRejection } from "../../../src/core/rejection.ts";
import { aCommit, aConsume, aRelease, aReserve } from "../../support/builders.ts";
import { counterexample } from "../../support/counterexample.ts";
import { engineWith, type Harness } from "../../support/engine-harness.ts";

const limit = (name: string, units: number, rest: string): string =>
  `{name: ${name}, meter: tokens, ${rest}, budget: {units: ${units}, period: day}}`;
const withLimits = (...limits: string[]): Harness =>
  engineWith(`plans: {p: {limits: [${limits.join(", ")}]}}\ntenants: {acme: {plan: p}}`);
const tokens = (units: number) => ({ amounts: { tokens: units } });
const of = (units: number) => [{ meter: "tokens", units }];

describe("CH1: one rejecting limit", () => {
  const limits = [
    limit("debt", 1_000, "overage: debt"),
    limit("reject", 100, "overage: reject"),
    limit("cap", 1_000, "overage: cap"),
  ];

  test("CH1: refuses the whole commit; nothing is charged, held or lost anywhere", () => {
    const { ok, run, balances, counters } = withLimits(...limits);
    const { reservationId } = ok(aReserve(tokens(50)));
    const before = balances({});
    expect(run(aCommit(reservationId, tokens(101)))).toMatchObject({ reason: "OVERAGE_REJECTED" });
    expect(balances({})).toEqual(before);
    expect(before.map(({ localReservedUnits }) => localReservedUnits)).toEqual([50, 50, 50]);
    expect([...counters.keys()].filter((name) => name.startsWith("charged"))).toEqual([]);
  });

  test("CH1: wherever it stands among them, and partial commits are refused in the same way", () => {
    for (const order of [limits, limits.toReversed()]) {
      const { ok, run, balances } = withLimits(...order);
      const { reservationId } = ok(aReserve(tokens(50)));
      ok(aCommit(reservationId, { ...tokens(20), partial: true }));
      const before = balances({});
      const over = aCommit(reservationId, { ...tokens(500), partial: true });
      expect(run(over)).toMatchObject({ reason: "OVERAGE_REJECTED" });
      expect(balances({})).toEqual(before);
    }
  });

  test("CH1: the hold stays, and a commit that fits is taken afterwards", () => {
    const { ok, run } = withLimits(...limits);
    const { reservationId } = ok(aReserve(tokens(50)));
    run(aCommit(reservationId, tokens(101)));
    expect(ok(aCommit(reservationId, tokens(100))).charged).toEqual(of(100));
  });

  test("CH1: units that other limits had found for it are theirs again at once", () => {
    const { ok, run, balance } = withLimits(...limits);
    const { reservationId } = ok(aReserve(tokens(50)));
    run(aCommit(reservationId, tokens(900)));
    expect(balance({}, "debt")).toMatchObject({ localAvailableUnits: 0, leasedUnits: 50 });
  });
});

describe("CH2: charged and uncharged are the actual", () => {
  test.each([
    ["below the hold", 30, 30, 0],
    ["what was held", 50, 50, 0],
    ["covered by what is left", 80, 80, 0],
    ["more than all", 130, 80, 50],
  ])("CH2: at a limit that caps, %s", (_, actual, charged, uncharged) => {
    const { ok, balance } = withLimits(limit("a", 100, "overage: cap"));
    const { reservationId } = ok(aReserve(tokens(50)));
    ok(aConsume(tokens(20)));
    const answer = ok(aCommit(reservationId, tokens(actual)));
    expect(answer.charged).toEqual(of(charged));
    expect(answer.uncharged).toEqual(uncharged === 0 ? [] : of(uncharged));
    expect(balance({}, "a")).toMatchObject({ spentUnits: 20 + charged, debtUnits: 0 });
  });

  test("CH2: a capping and an owing limit of one meter each follow their own rule", () => {
    const { ok, balance } = withLimits(
      limit("cap", 100, "overage: cap"),
      limit("debt", 60, "overage: debt"),
    );
    const { reservationId } = ok(aReserve(tokens(50)));
    const answer = ok(aCommit(reservationId, tokens(130)));
    expect([answer.charged, answer.uncharged]).toEqual([of(100), of(30)]);
    expect(balance({}, "cap")).toMatchObject({ spentUnits: 100, debtUnits: 0 });
    expect(balance({}, "debt")).toMatchObject({ spentUnits: 130, debtUnits: 70 });
  });

  test("CH2: for every mix of limits and running totals", () => {
    const rules = fc.array(
      fc.tuple(fc.integer({ min: 40, max: 120 }), fc.constantFrom("debt", "cap")),
      { minLength: 1, maxLength: 3 },
    );
    const totals = fc.array(fc.nat({ max: 150 }), { minLength: 1, maxLength: 4 });
    const found = counterexample(fc.tuple(rules, totals), ([limits, play]) => {
      const { ok, balances } = withLimits(
        ...limits.map(([units, rule], i) => limit(`l${i}`, units, `overage: ${rule}`)),
      );
      const { reservationId } = ok(aReserve(tokens(40)));
      let most = 0;
      for (const [i, total] of play.entries()) {
        const partial = i < play.length - 1;
        const answer = ok(aCommit(reservationId, { ...tokens(total), partial }));
        most = Math.max(most, total);
        const charged = answer.charged[0]?.units ?? 0;
        const uncharged = answer.uncharged[0]?.units ?? 0;
        assert.equal(charged + uncharged, most, "CH2");
        for (const [at, balance] of balances({}).entries()) {
          const owing = limits[at]?.[1] === "debt";
          const expected = owing ? most : Math.min(most, balance.limitUnits);
          assert.equal(balance.spentUnits, expected, balance.limit);
          assert.equal(balance.localReservedUnits, partial ? Math.max(0, 40 - most) : 0);
        }
      }
    });
    expect(found).toBe("");
  });

  test("CH2: soft and shadow limits count it all and owe nothing", () => {
    const { ok, balance } = withLimits(
      limit("soft", 10, "mode: soft, overage: cap"),
      limit("shadow", 10, "mode: shadow, overage: reject"),
    );
    const { reservationId } = ok(aReserve(tokens(50)));
    expect(ok(aCommit(reservationId, tokens(70)))).toMatchObject({
      charged: of(70),
      uncharged: [],
    });
    for (const name of ["soft", "shadow"]) {
      expect(balance({}, name)).toMatchObject({
        spentUnits: 70,
        remainingUnits: -60,
        debtUnits: 0,
      });
    }
  });
});

describe("CH3: a running total", () => {
  test("CH3: never falls: a lower one changes nothing, a higher one charges the difference", () => {
    const { ok, balance } = withLimits(limit("a", 100, "overage: debt"));
    const { reservationId } = ok(aReserve(tokens(50)));
    const at = (total: number) => {
      const { charged } = ok(aCommit(reservationId, { ...tokens(total), partial: true }));
      const { spentUnits, localReservedUnits } = balance({}, "a") ?? {};
      return [charged, spentUnits, localReservedUnits];
    };
    expect(at(20)).toEqual([of(20), 20, 30]);
    expect(at(10)).toEqual([of(20), 20, 30]);
    expect(at(20)).toEqual([of(20), 20, 30]);
    expect(at(65)).toEqual([of(65), 65, 0]);
    expect(ok(aCommit(reservationId, tokens(5)))).toMatchObject({
      charged: of(65),
      overage: of(15),
    });
  });

  test("CH3: a held meter that it does not state waits, and the last commit charges it (S21)", () => {
    const { ok, balance } = engineWith(
      "plans: {p: {limits: [{name: t, meter: tokens, budget: {units: 99, period: day}}, {name: u, meter: pages, budget: {units: 99, period: day}}]}}\ntenants: {acme: {plan: p}}",
    );
    const { reservationId } = ok(aReserve({ amounts: { tokens: 50, pages: 7 } }));
    expect(ok(aCommit(reservationId, { ...tokens(20), partial: true })).charged).toEqual(of(20));
    expect(balance({}, "u")).toMatchObject({ spentUnits: 0, localReservedUnits: 7 });
    ok(aCommit(reservationId, tokens(30)));
    expect(balance({}, "u")).toMatchObject({ spentUnits: 7, localReservedUnits: 0 });
  });

  test("CH3: its release gives back what is left of the hold, and no more", () => {
    const { ok, balance } = withLimits(limit("a", 100, "overage: debt"));
    const { reservationId } = ok(aReserve(tokens(50)));
    ok(aCommit(reservationId, { ...tokens(20), partial: true }));
    expect(ok(aRelease(reservationId)).released).toEqual(of(30));
    expect(balance({}, "a")).toMatchObject({ spentUnits: 20, remainingUnits: 80 });
  });

  test("CH3: late ones too, where the limit keeps its hold", () => {
    const { ok, clock, balance, run } = withLimits(limit("a", 100, "on_expiry: charge"));
    const { reservationId } = ok(aReserve({ ...tokens(50), ttlMs: 1_000 }));
    clock.advance(2_000);
    ok(aCommit(reservationId, { ...tokens(20), partial: true }));
    expect(balance({}, "a")).toMatchObject({ spentUnits: 50, remainingUnits: 50 });
    expect(ok(aCommit(reservationId, tokens(30))).charged).toEqual(of(30));
    expect(balance({}, "a")).toMatchObject({ spentUnits: 30, remainingUnits: 70 });
    expect(isRejection(run(aRelease(reservationId)))).toBe(true);
  });
});
