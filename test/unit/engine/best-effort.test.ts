import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { aCheck, aConsume, aReserve } from "../../support/builders.ts";
import { counterexample } from "../../support/counterexample.ts";
import { engineWith, type Harness } from "../../support/engine-harness.ts";

const withLimits = (...limits: string[]): Harness =>
  engineWith(
    `prices: [{model: m, input: 1, output: 3}]\nplans: {p: {limits: [${limits.join(", ")}]}}\ntenants: {acme: {plan: p}}`,
  );
const budget = (meter: string, units: number): string =>
  `{name: ${meter}, meter: ${meter}, budget: {units: ${units}, period: day}}`;
const usage = (outputTokens: number) => ({ model: "m", inputTokens: 100, outputTokens });
const best = { bestEffort: true };

describe("BE1: with usage", () => {
  test("BE1: the most output tokens that fit are held, and what is derived from them", () => {
    const { ok } = withLimits(budget("tokens", 1_000), budget("usd_micros", 1_300));
    const answer = ok(aReserve({ ...best, usage: usage(5_000) }));
    // 100 in: 100 micros; 400 out: 1,200 micros.
    expect(answer.verdict).toMatchObject({
      decision: "allow_with_caps",
      caps: { maxOutputTokens: 400, limit: "usd_micros" },
    });
    expect(Object.fromEntries(answer.reserved.map(({ meter, units }) => [meter, units]))).toEqual({
      tokens: 500,
      input_tokens: 100,
      output_tokens: 400,
      usd_micros: 1_300,
    });
  });

  test("BE1: for all limits and wishes it fits, and one token more would not", () => {
    const figures = fc.tuple(
      fc.nat({ max: 3_000 }),
      fc.nat({ max: 3_000 }),
      fc.nat({ max: 2_000 }),
      fc.integer({ min: 1, max: 4_000 }),
    );
    const found = counterexample(figures, ([tokens, dollars, most, wish]) => {
      const { ok } = withLimits(
        budget("tokens", tokens),
        budget("usd_micros", dollars),
        `{name: most, meter: output_tokens, request: {max: ${most}}}`,
      );
      const fits = (output: number): boolean =>
        ok(aCheck({ usage: usage(output) })).verdict.decision === "allow";
      const { verdict, reserved } = ok(aReserve({ ...best, dryRun: true, usage: usage(wish) }));
      const held = reserved.find(({ meter }) => meter === "output_tokens")?.units ?? 0;
      if (verdict.decision === "deny") assert.ok(!fits(1), "BE2: nothing would be left");
      else {
        assert.ok(held >= 1 && fits(held), "BE1: it fits");
        assert.ok(held === wish || !fits(held + 1), "BE1: one more would not");
        const cap = verdict.caps?.maxOutputTokens;
        assert.equal(cap, held === wish ? undefined : held);
        const real = ok(aReserve({ ...best, usage: usage(wish) }));
        assert.deepEqual(real.reserved, reserved);
      }
    });
    expect(found).toBe("");
  });
});

describe("BE1: with amounts alone", () => {
  test("BE1: all are cut by one share, rounded down, and nothing says that it was a cap", () => {
    const { ok } = withLimits(budget("tokens", 70), budget("pages", 1_000));
    const answer = ok(aReserve({ ...best, amounts: { tokens: 100, pages: 33 } }));
    expect(answer.verdict.decision).toBe("allow");
    expect(answer.reserved).toEqual([
      { meter: "tokens", units: 70 },
      { meter: "pages", units: 23 },
    ]);
  });

  test("BE1: for all limits and amounts it fits, and the share is that of the tightest limit", () => {
    const figures = fc.tuple(
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 1, max: 900 }),
      fc.integer({ min: 1, max: 900 }),
    );
    const found = counterexample(figures, ([tokenUnits, pageUnits, tokens, pages]) => {
      const { ok } = withLimits(budget("tokens", tokenUnits), budget("pages", pageUnits));
      const { verdict, reserved } = ok(aReserve({ ...best, amounts: { tokens, pages } }));
      const tight =
        tokenUnits * pages <= pageUnits * tokens ? [tokenUnits, tokens] : [pageUnits, pages];
      const [room = 1, need = 1] = tight;
      const cut = (units: number): number =>
        room >= need ? units : Number((BigInt(units) * BigInt(room)) / BigInt(need));
      const expected = [
        { meter: "tokens", units: cut(tokens) },
        { meter: "pages", units: cut(pages) },
      ];
      if (expected.some(({ units }) => units === 0)) assert.equal(verdict.decision, "deny");
      else assert.deepEqual(reserved, expected);
    });
    expect(found).toBe("");
  });

  test("BE1: shares of the largest amounts are exact", () => {
    const { ok } = withLimits(budget("tokens", 9_007_199_254_740_989));
    const amounts = { tokens: Number.MAX_SAFE_INTEGER, pages: Number.MAX_SAFE_INTEGER };
    const { reserved } = withLimits(
      budget("tokens", 9_007_199_254_740_989),
      budget("pages", Number.MAX_SAFE_INTEGER),
    ).ok(aReserve({ ...best, amounts }));
    expect(ok(aReserve({ ...best, amounts: { tokens: 5 } })).verdict.decision).toBe("allow");
    expect(reserved.map(({ units }) => units)).toEqual([
      9_007_199_254_740_989, 9_007_199_254_740_989,
    ]);
  });

  test("what fits is not cut, and soft and shadow limits cut nothing", () => {
    const { ok } = withLimits(
      budget("tokens", 100),
      "{name: soft, mode: soft, meter: tokens, budget: {units: 1, period: day}}",
      "{name: watch, mode: shadow, meter: tokens, request: {max: 1}}",
    );
    const { reserved } = ok(aReserve({ ...best, amounts: { tokens: 100 } }));
    expect(reserved).toEqual([{ meter: "tokens", units: 100 }]);
  });
});

describe("BE2: nothing left", () => {
  test("BE2: is a refusal of what was asked, and holds nothing", () => {
    const { ok, balances } = withLimits(budget("tokens", 200), budget("usd_micros", 1_000));
    ok(aConsume({ amounts: { tokens: 110 } }));
    const before = balances({});
    const { verdict, reservationId, reserved } = ok(aReserve({ ...best, usage: usage(500) }));
    expect(verdict.denial).toMatchObject({ limit: "tokens", reason: "BUDGET_EXHAUSTED" });
    expect([verdict.decision, reservationId, reserved]).toEqual(["deny", "", []]);
    expect(balances({})).toEqual(before);
  });

  test("BE2: one amount of 0 would be nothing left, an amount of 0 that was asked is not", () => {
    const { ok } = withLimits(budget("tokens", 10), budget("pages", 10));
    const ask = (tokens: number, pages: number) =>
      ok(aReserve({ ...best, dryRun: true, amounts: { tokens, pages } })).verdict.decision;
    expect([ask(100, 9), ask(100, 10), ask(100, 0)]).toEqual(["deny", "allow", "allow"]);
  });

  test("BE2: requests, slots and debt are all or nothing", () => {
    const { ok } = withLimits(budget("tokens", 100), budget("requests", 1));
    ok(aConsume({ amounts: { tokens: 10 } }));
    const { denial } = ok(aReserve({ ...best, amounts: { tokens: 500 } })).verdict;
    expect(denial).toMatchObject({ limit: "requests" });
    const owing = withLimits(budget("tokens", 100));
    owing.ok(aConsume({ amounts: { tokens: 101 }, alreadySpent: true }));
    expect(owing.ok(aReserve({ ...best, amounts: { tokens: 5 } })).verdict.decision).toBe("deny");
  });

  test("S15: its retry_after is of what keeps refusing when it is cut, not of a size that would be cut", () => {
    const { ok, clock } = withLimits(
      "{name: most, meter: tokens, request: {max: 200}}",
      budget("tokens", 1_000),
    );
    ok(aConsume({ amounts: { tokens: 1_000 }, alreadySpent: true }));
    const wish = aReserve({ ...best, usage: usage(5_000) });
    const { denial } = ok(wish).verdict;
    expect(denial).toMatchObject({ reason: "BUDGET_EXHAUSTED", limit: "tokens" });
    clock.advance(denial?.retryAfterMs ?? 0);
    expect(ok(wish).verdict.caps?.maxOutputTokens).toBe(100);
  });
});
