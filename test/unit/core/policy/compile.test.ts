import { describe, expect, test } from "vitest";
import { type CompiledTenant, compilePolicy } from "../../../../src/core/policy/compile.ts";
import type { Mode } from "../../../../src/core/policy/document.ts";
import { aPolicy } from "../../../support/engine-harness.ts";

function compiled(policy: string, tenant = "acme"): CompiledTenant {
  const found = compilePolicy(aPolicy(policy), 1).tenant(tenant);
  if (!found) throw new Error(`no tenant ${tenant}`);
  return found;
}

const MODES: readonly Mode[] = ["enforce", "soft", "shadow"];
const every = MODES.flatMap((document) =>
  MODES.flatMap((plan) => MODES.map((limit) => [document, plan, limit] as const)),
).filter(([document]) => document !== "soft"); // the document knows enforce and shadow alone
const weakest = (...modes: Mode[]): Mode =>
  modes.includes("shadow") ? "shadow" : modes.includes("soft") ? "soft" : "enforce";

describe("the effective mode", () => {
  test.each(every)("CP1: of document %s, plan %s and limit %s is the weakest", (doc, plan, own) => {
    const tenant = compiled(`
mode: ${doc}
limits: [{name: all, meter: tokens, mode: ${own}, budget: {units: 1, period: day}}]
plans:
  p:
    mode: ${plan}
    limits: [{name: a, meter: tokens, mode: ${own}, budget: {units: 1, period: day}}]
    breakers: [{name: b, errors: 50%, of: 2, window: 1m, open: 1m}]
    loops: [{name: l, repeats: 2, window: 1m}]
tenants: {acme: {plan: p}}`);
    expect(tenant.limits.map(({ mode }) => mode)).toEqual([
      weakest(doc, own),
      weakest(doc, plan, own),
    ]);
    expect(tenant.rulesMode).toBe(weakest(doc, plan));
    expect(tenant.documentMode).toBe(doc);
  });

  test("CP1: breakers and loops follow it too", () => {
    const tenant = compiled(`
breakers: [{name: all, errors: 50%, of: 2, window: 1m, open: 1m, mode: shadow}]
plans:
  p:
    mode: shadow
    breakers: [{name: b, errors: 50%, of: 2, window: 1m, open: 1m}]
    loops: [{name: l, repeats: 2, window: 1m}]
tenants: {acme: {plan: p}}`);
    expect(tenant.breakers.map(({ mode }) => mode)).toEqual(["shadow", "shadow"]);
    expect(tenant.loops.map(({ mode }) => mode)).toEqual(["shadow"]);
  });

  test("CP1: a tenant's own mode takes the place of its plan's, and no other tenant's", () => {
    const policy = `
plans: {p: {mode: enforce, limits: [{name: a, meter: tokens, budget: {units: 1, period: day}}]}}
tenants: {acme: {plan: p, mode: shadow}, globex: {plan: p}}`;
    expect(compiled(policy).limits[0]?.mode).toBe("shadow");
    expect(compiled(policy, "globex").limits[0]?.mode).toBe("enforce");
  });
});

describe("the order of rules", () => {
  test("CP2: platform, then plan, then tenant; what a tenant lays over keeps the plan's place", () => {
    const { limits, breakers, loops } = compiled(`
limits:
  - {name: z-platform, meter: tokens, budget: {units: 1, period: day}}
  - {name: y-platform, meter: tokens, budget: {units: 1, period: day}}
breakers: [{name: platform-breaker, errors: 50%, of: 2, window: 1m, open: 1m}]
plans:
  p:
    limits:
      - {name: x-plan, meter: tokens, budget: {units: 1, period: day}}
      - {name: w-plan, meter: tokens, budget: {units: 1, period: day}}
    breakers: [{name: plan-breaker, errors: 50%, of: 2, window: 1m, open: 1m}]
    loops: [{name: b-loop, repeats: 2, window: 1m}, {name: a-loop, repeats: 2, window: 1m}]
tenants:
  acme:
    plan: p
    limits:
      - {name: own, meter: tokens, budget: {units: 1, period: day}}
      - {name: x-plan, budget: {units: 2}}`);
    const names = ["z-platform", "y-platform", "x-plan", "w-plan", "own"];
    expect(limits.map(({ name }) => name)).toEqual(names);
    const order = limits.map((limit) => limit.order);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(new Set(order).size).toBe(names.length);
    expect(breakers.map(({ name }) => name)).toEqual(["platform-breaker", "plan-breaker"]);
    expect(loops.map(({ name }) => name)).toEqual(["b-loop", "a-loop"]);
    expect(limits.map(({ platform }) => platform)).toEqual([true, true, false, false, false]);
  });
});

describe("compiled tenants", () => {
  const policy = `
default_plan: p
plans: {p: {limits: [{name: a, meter: pages, budget: {units: 1, period: day}}]}}
tenants: {acme: {plan: p}, globex: {uid: t-1, plan: p, timezone: Asia/Tokyo, suspended: true}, oldco: {deleted: true}}`;

  test("that add nothing share the compiled rules of their plan", () => {
    const of = compilePolicy(aPolicy(policy), 1);
    const shared = of.tenant("acme")?.limits[0];
    expect(shared?.name).toBe("a");
    expect(of.tenant("globex")?.limits[0]).toBe(shared);
    expect(of.tenant("stranger")?.limits[0]).toBe(shared);
  });

  test("have their own uid, zone and standing", () => {
    expect(compiled(policy, "globex")).toMatchObject({
      uid: "t-1",
      zone: "Asia/Tokyo",
      blocked: "suspended",
    });
    expect(compiled(policy, "oldco").blocked).toBe("deleted");
    expect(compiled(policy)).toMatchObject({ uid: "acme", zone: "UTC", blocked: "" });
  });

  test("S3: meters are known that are built in or that some limit names", () => {
    const of = compilePolicy(aPolicy(policy), 1);
    const known = ["requests", "tokens", "input_tokens", "output_tokens", "usd_micros", "pages"];
    expect([...known, "page", "constructor"].filter((meter) => of.knowsMeter(meter))).toEqual(
      known,
    );
  });

  test("deny wins over allow, and an absent allow lets everything else pass", () => {
    const tenant = compiled(`
plans: {p: {allow: {"tool.*": ["*"]}, deny: {"tool.*": ["shell.*"]}}, q: {deny: {"tool.*": ["shell.*"]}}}
tenants: {acme: {plan: p}, globex: {plan: q}}`);
    expect(tenant.allows("tool.call", "web.search")).toBe(true);
    expect(tenant.allows("tool.call", "shell.rm")).toBe(false);
    expect(tenant.allows("llm.completion", "gpt-4o")).toBe(false);
  });
});

describe("the name of a limit in metrics", () => {
  test("is its own in a plan or the platform; limits that tenants add are counted as other", () => {
    const { limits } = compiled(`
limits: [{name: platform, meter: tokens, budget: {units: 1, period: day}}]
plans: {p: {limits: [{name: plan, meter: tokens, budget: {units: 1, period: day}}]}}
tenants:
  acme:
    plan: p
    limits:
      - {name: plan, budget: {units: 2}}
      - {name: own, meter: tokens, budget: {units: 1, period: day}}`);
    expect(limits.map(({ label }) => label)).toEqual(["platform", "plan", "other"]);
  });

  test("and so are those beyond the first 200, so that a document cannot blow metrics up", () => {
    const limits = Array.from(
      { length: 203 },
      (_, i) => `{name: n${i}, meter: tokens, budget: {units: 1, period: day}}`,
    );
    const tenant = compiled(`
plans: {p: {limits: [${limits.join(", ")}]}}
tenants: {acme: {plan: p}}`);
    const labels = tenant.limits.map(({ label }) => label);
    expect(labels.slice(198)).toEqual(["n198", "n199", "other", "other", "other"]);
  });
});
