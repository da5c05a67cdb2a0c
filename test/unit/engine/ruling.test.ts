import { describe, expect, test } from "vitest";
import type { Verdict } from "../../../src/core/verdict.ts";
import { aCheck, aConsume, aReserve } from "../../support/builders.ts";
import { engineWith } from "../../support/engine-harness.ts";

const withPlan = (plan: string, more = ""): string =>
  `${more}\nplans: {p: {${plan}}}\ntenants: {acme: {plan: p}}`;
const reasons = ({ limits }: Verdict): (string | undefined)[] =>
  limits.map(({ limit, wouldDeny }) => wouldDeny && `${limit} ${wouldDeny.reason}`);

/** One rule of each kind, all of which refuse the second call. */
const everyKind = (mode: string): string => `
  limits: [
    {name: budget, mode: ${mode}, meter: tokens, budget: {units: 10, period: day}},
    {name: rate, mode: ${mode}, meter: tokens, rate: {units: 10, every: 1h}},
    {name: slots, mode: ${mode}, concurrency: {max: 1}},
    {name: size, mode: ${mode}, meter: tokens, request: {max: 10}}],
  breakers: [{name: breaker, mode: ${mode === "soft" ? "shadow" : mode}, errors: 1%, of: 1, window: 1h, open: 1h}],
  loops: [{name: loop, mode: ${mode === "soft" ? "shadow" : mode}, repeats: 1, window: 1h}]`;
const call = { action: { kind: "tool.call", fingerprint: "f" } };

describe("RU1: soft and shadow", () => {
  test("RU1: soft limits of every kind refuse nothing and report nothing", () => {
    const { ok } = engineWith(
      withPlan(`limits: [
        {name: budget, mode: soft, meter: tokens, budget: {units: 10, period: day}},
        {name: rate, mode: soft, meter: tokens, rate: {units: 10, every: 1h}},
        {name: slots, mode: soft, concurrency: {max: 1}},
        {name: size, mode: soft, meter: tokens, request: {max: 10}}]`),
    );
    for (let i = 0; i < 3; i += 1) {
      const { verdict } = ok(aReserve({ amounts: { tokens: 11 } }));
      expect([verdict.decision, verdict.limits]).toEqual(["allow", []]);
    }
  });

  test("RU1: shadow rules of every kind report what they would refuse, and refuse nothing", () => {
    const { ok } = engineWith(withPlan(everyKind("shadow")));
    ok(aReserve({ ...call, amounts: { tokens: 10 } }));
    ok(aConsume({ ...call, amounts: { tokens: 0 }, outcome: "error" }));
    const { verdict } = ok(aReserve({ ...call, amounts: { tokens: 5 } }));
    expect(verdict.decision).toBe("allow");
    expect(new Set(reasons(verdict))).toEqual(
      new Set([
        "breaker CIRCUIT_OPEN",
        "budget BUDGET_EXHAUSTED",
        "loop LOOP_DETECTED",
        "rate RATE_LIMITED",
        "slots CONCURRENCY_EXHAUSTED",
      ]),
    );
    const large = ok(aReserve({ ...call, amounts: { tokens: 11 } })).verdict;
    expect(reasons(large)).toContain("size REQUEST_TOO_LARGE");
  });

  test("RU1: what a shadow rule would refuse is said of denials too, in every class", () => {
    const { ok } = engineWith(
      withPlan(`limits: [
        {name: watch, mode: shadow, meter: usd_micros, budget: {units: 1, period: day}},
        {name: size, meter: tokens, request: {max: 10}}]`),
    );
    ok(aConsume({ amounts: { usd_micros: 1 } }));
    const { verdict } = ok(aReserve({ amounts: { tokens: 11, usd_micros: 1 } }));
    expect(verdict.denial).toMatchObject({ limit: "size", reason: "REQUEST_TOO_LARGE" });
    expect(reasons(verdict)).toEqual(["watch BUDGET_EXHAUSTED"]);
  });

  test("RU1: a shadow limit neither lengthens the wait of another nor governs", () => {
    const enforced = "{name: day, meter: tokens, budget: {units: 10, period: day}}";
    const watched =
      "{name: month, mode: shadow, per: [run], meter: tokens, budget: {units: 10, period: month}}";
    const denialOf = (limits: string) => {
      const { ok } = engineWith(withPlan(`limits: [${limits}]`));
      const subject = { dimensions: { run: "r" } };
      ok(aConsume({ subject, amounts: { tokens: 10 } }));
      return ok(aCheck({ subject, amounts: { tokens: 1 } })).verdict.denial;
    };
    expect(denialOf(`${watched}, ${enforced}`)).toEqual(denialOf(enforced));
  });
});

describe("RU2: whose mode holds", () => {
  const priced = "{name: usd, meter: usd_micros, budget: {units: 100, period: day}}";
  const usage = { model: "unknown", inputTokens: 1, outputTokens: 1 };
  const denied = aReserve({ action: { kind: "llm.x", name: "unknown" } });
  const unpriced = aReserve({ usage });
  const verdictIn = (modes: { document?: string; plan?: string; usd?: string }, op = denied) => {
    const { document = "enforce", plan = "enforce", usd = "enforce" } = modes;
    const limit = priced.replace("meter", `mode: ${usd}, meter`);
    const { ok } = engineWith(
      withPlan(`mode: ${plan}, deny: {"llm.x": ["*"]}, limits: [${limit}]`, `mode: ${document}`),
    );
    return ok(op).verdict;
  };

  test.each([
    [{}, "deny"],
    [{ plan: "soft" }, "allow"],
    [{ plan: "shadow" }, "allow"],
    [{ document: "shadow" }, "allow"],
    [{ usd: "shadow" }, "deny"],
  ])("RU2: deny under %j: %s", (modes, decision) => {
    expect(verdictIn(modes).decision).toBe(decision);
  });

  test.each([
    [{}, "deny"],
    [{ plan: "soft" }, "allow"],
    [{ plan: "shadow" }, "allow"],
    [{ document: "shadow" }, "allow"],
    [{ usd: "soft" }, "deny"],
    [{ usd: "shadow" }, "allow"],
  ])("RU2: an unpriced model under %j: %s", (modes, decision) => {
    const verdict = verdictIn(modes, unpriced);
    expect(verdict.decision).toBe(decision);
    if (decision === "deny") expect(verdict.denial?.reason).toBe("UNPRICED_MODEL");
  });

  test.each([
    ["enforce", "enforce", "deny"],
    ["enforce", "shadow", "deny"],
    ["shadow", "enforce", "allow"],
  ])("RU2: suspension under document %s and plan %s: %s", (document, plan, decision) => {
    const { ok } = engineWith(
      `mode: ${document}\nplans: {p: {mode: ${plan}, limits: [${priced}]}}\ntenants: {acme: {plan: p, suspended: true}}`,
    );
    const { verdict } = ok(aReserve());
    expect(verdict.decision).toBe(decision);
    expect(reasons(verdict)).toEqual(decision === "deny" ? [] : [" TENANT_SUSPENDED"]);
  });
});
