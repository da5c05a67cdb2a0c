import { describe, expect, test } from "vitest";
import type { Operation } from "../../../src/core/operation.ts";
import { aConsume, anExtend, aReserve } from "../../support/builders.ts";
import { boundedEngine } from "../../support/bounded-engine.ts";
import { engineWith } from "../../support/engine-harness.ts";

const withPlan = (plan: string): string => `plans: {p: {${plan}}}\ntenants: {acme: {plan: p}}`;
const roomy = "{name: roomy, meter: tokens, budget: {units: 1000, period: day}}";
const call = { action: { kind: "llm.completion", name: "m", fingerprint: "f" } };

describe("AD1: a refused operation changes no balance anywhere", () => {
  const refusing: readonly (readonly [string, string])[] = [
    ["budget", "{name: x, meter: usd_micros, budget: {units: 5, period: day}}"],
    ["rate", "{name: x, meter: usd_micros, rate: {units: 5, every: 1h}}"],
    ["slot", "{name: x, concurrency: {max: 0}}"],
    ["maximum", "{name: x, meter: usd_micros, request: {max: 5}}"],
  ];
  const operations: readonly (readonly [string, Operation])[] = [
    ["reserve", aReserve({ ...call, amounts: { tokens: 10, usd_micros: 6 } })],
    ["consume", aConsume({ ...call, amounts: { tokens: 10, usd_micros: 6 } })],
  ];

  test.each(
    refusing.flatMap(([kind, x]) => operations.map(([op, it]) => [kind, op, x, it] as const)),
  )("AD1: a %s refuses a %s, whatever stands before or after it", (_kind, _op, x, operation) => {
    const shadow = "{name: watch, mode: shadow, meter: tokens, budget: {units: 1, period: day}}";
    const soft = "{name: soft, mode: soft, meter: tokens, rate: {units: 1, every: 1h}}";
    const slot = "{name: slot, concurrency: {max: 9}}";
    const all = [roomy, shadow, x, soft, slot];
    for (const limits of [all, all.toReversed()]) {
      const { ok, balances, engine } = engineWith(withPlan(`limits: [${limits.join(", ")}]`));
      ok(aConsume({ amounts: { tokens: 1 }, action: { kind: "warm.up" }, alreadySpent: true }));
      const before = balances({});
      const answer = ok(operation);
      expect("verdict" in answer && answer.verdict.decision).toBe("deny");
      expect(balances({})).toEqual(before);
      expect(engine.openReservations()).toBe(0);
    }
  });

  test("AD1: a refused extension leaves hold and expiry as they were", () => {
    const { ok, balances } = engineWith(withPlan(`limits: [${roomy}]`));
    const { reservationId, expiresAt } = ok(aReserve({ amounts: { tokens: 900 } }));
    const before = balances({});
    const answer = ok(anExtend(reservationId, { byMs: 5_000, add: { tokens: 101 } }));
    expect(answer).toMatchObject({ verdict: { decision: "deny" }, expiresAt });
    expect(balances({})).toEqual(before);
  });

  test("AD1: what is refused counts at no loop and is no trial of a breaker", () => {
    const { ok, clock } = engineWith(
      withPlan(
        `limits: [${roomy}, {name: x, match: {action: "llm.*"}, meter: usd_micros, request: {max: 5}}],
         loops: [{name: l, repeats: 1, window: 1m}],
         breakers: [{name: b, errors: 50%, of: 1, window: 1m, open: 10s}]`,
      ),
    );
    const refused = aReserve({ ...call, amounts: { usd_micros: 6 } });
    for (let i = 0; i < 3; i += 1) {
      expect(ok(refused).verdict.denial?.reason).toBe("REQUEST_TOO_LARGE");
    }
    const passing = aConsume({ ...call, amounts: { tokens: 1 }, outcome: "error" });
    expect(ok(passing).verdict.decision).toBe("allow");
    clock.advance(60_000);
    ok(refused);
    expect(ok({ ...passing, outcome: "success" }).verdict.decision).toBe("allow");
  });
});

describe("AD2: what is held", () => {
  const limits = `{name: hard, meter: tokens, budget: {units: 100, period: day}},
    {name: soft, mode: soft, meter: tokens, budget: {units: 10, period: day}},
    {name: watch, mode: shadow, meter: tokens, budget: {units: 10, period: day}},
    {name: rate, mode: shadow, meter: tokens, rate: {units: 1, every: 1h, burst: 10}},
    {name: slots, mode: shadow, concurrency: {max: 0}}`;

  test("AD2: enforced limits hold units that were granted; soft and shadow ones count beyond", () => {
    const { ok, ledgers } = boundedEngine(withPlan(`limits: [${limits}]`));
    ok(aReserve({ amounts: { tokens: 60 } }));
    const view = (name: string) => [...ledgers()].find(([key]) => key.includes(`\0${name}/`))?.[1];
    expect(view("hard")).toMatchObject({ out: 60, available: 40 });
    expect(view("soft")).toMatchObject({ out: 60, available: -50, debt: 0 });
    expect(view("watch")).toMatchObject({ out: 60, available: -50, debt: 0 });
    expect(view("rate")).toMatchObject({ out: 0, available: -50 });
    expect(view("slots")).toMatchObject({ out: 1, available: -1 });
  });

  test("AD2: and give back what they counted", () => {
    const { ok, balances } = engineWith(withPlan(`limits: [${limits}]`));
    const before = balances({});
    const { reservationId } = ok(aReserve({ amounts: { tokens: 60 } }));
    expect(balances({})).not.toEqual(before);
    ok({ op: "release", reservationId, idempotencyKey: "", reason: "" });
    expect(balances({})).toEqual(before);
  });

  test("AD2: an enforced limit in a shadow plan counts beyond as well", () => {
    const { ok, balance } = engineWith(
      withPlan(
        "mode: shadow, limits: [{name: a, meter: tokens, budget: {units: 10, period: day}}]",
      ),
    );
    ok(aConsume({ amounts: { tokens: 60 } }));
    ok(aConsume({ amounts: { tokens: 9 } }));
    expect(balance({}, "a")).toMatchObject({ spentUnits: 69, remainingUnits: -59, debtUnits: 0 });
  });
});
