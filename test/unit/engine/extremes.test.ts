/** The largest amounts, and amounts that go round for ever: nothing breaks, and no figure is rounded. */
import { describe, expect, test } from "vitest";
import { isRejection } from "../../../src/core/rejection.ts";
import { MAX_UNITS } from "../../../src/core/units.ts";
import { aCommit, aConsume, anExtend, aRelease, aReserve } from "../../support/builders.ts";
import { engineWith } from "../../support/engine-harness.ts";

const withLimit = (limit: string) =>
  engineWith(
    `plans: {p: {limits: [{name: a, meter: tokens, ${limit}}]}}\ntenants: {acme: {plan: p}}`,
  );
const all = { amounts: { tokens: MAX_UNITS } };
const KINDS = [
  ["a budget", "budget: {units: 1T, period: day}"],
  ["a soft budget", "mode: soft, budget: {units: 1T, period: day}"],
  ["a shadow budget that is too small", "mode: shadow, budget: {units: 1, period: day}"],
  ["a rate", "rate: {units: 1T, every: 24h}"],
  ["a soft rate", "mode: soft, rate: {units: 5, every: 24h}"],
  ["a budget that carries debt", "carry_debt: true, budget: {units: 1T, period: minute}"],
].map(([name = "", limit = ""]) => [name, limit.replace("1T", "1000000000000")] as const);

describe("LG6: no figure leaves the range of exact numbers", () => {
  test.each(KINDS)("LG6: %s that is overspent by all there is, again and again", (_, limit) => {
    const { ok, balances, clock } = withLimit(limit);
    for (let i = 0; i < 4; i += 1) {
      ok(aConsume({ ...all, alreadySpent: true }));
      ok(aConsume({ amounts: { tokens: 2 }, alreadySpent: true }));
      const figures = balances({}).flatMap((one) => Object.values(one));
      const inexact = figures.filter((v) => typeof v === "number" && !Number.isSafeInteger(v));
      expect(inexact).toEqual([]);
      clock.advance(20_000);
    }
  });

  test.each(KINDS)("LG6: %s whose units go out and come back 20,000 times", (_, limit) => {
    const { ok, run, balances } = withLimit(limit);
    const before = balances({});
    const trillion = { amounts: { tokens: 1e12 } };
    for (let i = 0; i < 20_000; i += 1) {
      ok(aRelease(ok(aReserve(trillion)).reservationId));
    }
    expect(balances({})).toEqual(before);
    expect(isRejection(run(aReserve(trillion)))).toBe(false);
  });

  test("LG6: holds, extensions and commits of all there is", () => {
    const { ok, balances } = withLimit("mode: soft, budget: {units: 0, period: day}");
    const { reservationId } = ok(aReserve(all));
    ok(anExtend(reservationId, { add: { tokens: MAX_UNITS } }));
    ok(aConsume({ amounts: { tokens: 1_000_000 } }));
    ok(aCommit(reservationId, all));
    const figures = balances({}).flatMap((one) => Object.values(one));
    expect(figures.filter((v) => typeof v === "number" && !Number.isSafeInteger(v))).toEqual([]);
  });
});
