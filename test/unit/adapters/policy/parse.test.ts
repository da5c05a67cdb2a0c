import { describe, expect, test } from "vitest";
import { parsePolicy } from "../../../../src/adapters/policy/parse.ts";
import type { PolicyDocument, TenantRules } from "../../../../src/core/policy/document.ts";
import { spellProblem } from "../../../../src/cli/policy.ts";
import { EXAMPLE, policyText } from "./example.ts";

function documentOf(lines: string): PolicyDocument {
  const result = parsePolicy(policyText(lines));
  if (result.ok) return result.document;
  throw new Error(result.problems.map(spellProblem).join("\n"));
}

function tenantOf(lines: string, name = "acme"): TenantRules {
  const tenant = documentOf(lines).tenant(name);
  if (tenant === undefined) throw new Error(`no tenant ${name}`);
  return tenant;
}

const limitsOf = (lines: string, name = "acme") =>
  new Map(tenantOf(lines, name).rules.limits.map((limit) => [limit.name, limit]));

/** The one limit of a plan that has no other. */
function limitOf(limit: string): unknown {
  return limitsOf(`plans: {p: {limits: [${limit}]}}\ntenants: {acme: {plan: p}}`).values().next()
    .value;
}

describe("the contract's example", () => {
  const document = documentOf(EXAMPLE);
  test("its head", () => {
    expect(document).toMatchObject({
      revision: 12,
      mode: "enforce",
      timezone: "UTC",
      defaultPlan: "free",
      dimensions: ["run", "session", "user", "conversation"],
      unpriced: { kind: "deny" },
      estimate: { outputTokens: 1024, bytesPerToken: "3.5" },
      requireUsage: ["llm.*"],
      meters: new Set(["usd_micros", "requests", "tokens"]),
    });
    expect(document.version).toMatch(/^[0-9a-f]{12}$/);
  });
  test("its prices, as they were written", () => {
    expect(document.prices[0]).toEqual({
      model: "gpt-4o-mini*",
      input: "0.15",
      output: "0.6",
      cacheRead: "0.075",
      tiers: [],
    });
    expect(document.prices[2]?.tiers).toEqual([{ above: 200_000, input: "6", output: "22.5" }]);
    expect(document.prices[3]).toEqual({ model: "web.search", call: "0.01", tiers: [] });
  });
  test("its platform", () => {
    expect(document.platform.limits).toMatchObject([
      { name: "provider-month", shape: { units: 5_000_000_000 } },
      {
        name: "provider-rpm",
        match: [{ level: "action", patterns: ["llm.*"] }],
        per: ["name"],
        shape: { kind: "rate", units: 500, everyMs: 60_000, burst: 500 },
        onStoreLoss: { kind: "share" },
      },
    ]);
  });
  test("a tenant laid over its plan", () => {
    const acme = document.tenant("acme");
    expect(acme).toMatchObject({ uid: "acme", plan: "pro", timezone: "America/New_York" });
    expect(acme?.rules.limits.map(({ name }) => name)).toEqual([
      "dollars-per-month",
      "dollars-per-run",
      "session",
      "steps-per-run",
      "doc-analysis",
      "staging",
    ]);
    expect(acme?.rules.limits[0]).toMatchObject({
      meter: "usd_micros",
      shape: { units: 2_000_000_000, period: { kind: "calendar", unit: "month" } },
      at: [{ usedPpm: 800_000, used: "80%", notify: true }, { usedPpm: 950_000 }],
    });
    expect(acme?.ownLimits).toEqual(new Set(["doc-analysis", "staging"]));
    expect(acme?.rules.deny).toEqual({ entries: [{ kind: "tool.*", names: ["shell.*"] }] });
  });
  test("suspended and deleted tenants, one with a uid, and one that is not listed", () => {
    expect(document.tenant("mallory")).toMatchObject({ suspended: true, plan: "free" });
    expect(document.tenant("oldco")).toMatchObject({ deleted: true, suspended: false });
    expect(document.tenant("globex")).toMatchObject({ uid: "t-1f3a", plan: "pro" });
    expect(document.tenant("new")).toBeUndefined();
    expect(document.defaultTenant("new")).toMatchObject({ uid: "new", plan: "free" });
  });
  test("tenants that add nothing share their plan's rules", () => {
    expect(document.tenant("mallory")?.rules).toBe(document.defaultTenant("new")?.rules);
  });
  test("the same in JSON gives the same document", () => {
    const one = documentOf("plans: {p: {limits: [{name: a, meter: m, request: {max: 5k}}]}}");
    const json = parsePolicy(
      JSON.stringify({
        apiVersion: "imprest.dev/v1",
        kind: "Policy",
        plans: { p: { limits: [{ name: "a", meter: "m", request: { max: "5k" } }] } },
      }),
    );
    expect(json.ok && json.document.limitNames).toEqual(one.limitNames);
  });
});

describe("what is not said", () => {
  test("of a document", () => {
    expect(documentOf("")).toMatchObject({
      revision: undefined,
      mode: "enforce",
      timezone: "UTC",
      defaultPlan: "",
      dimensions: ["run", "session", "user", "conversation"],
      unpriced: { kind: "deny" },
      estimate: { outputTokens: 1024, bytesPerToken: "3.5" },
      requireUsage: [],
      prices: [],
    });
    expect(documentOf("").defaultTenant("acme")).toBeUndefined();
  });
  test("of a budget of once: it lives for 24 h without use", () => {
    expect(limitOf("{name: a, meter: m, budget: {units: 0, period: once}}")).toEqual({
      name: "a",
      meter: "m",
      match: [],
      per: [],
      shape: {
        kind: "budget",
        units: 0,
        period: { kind: "once", ttlMs: 86_400_000 },
        rollover: 0,
        overdraft: 0,
      },
      overage: "debt",
      carryDebt: false,
      mode: "enforce",
      at: [],
      onExpiry: "release",
      onStoreLoss: { kind: "deny" },
    });
  });
  test("an empty match is everything", () => {
    expect(limitOf("{name: a, meter: m, match: {}, request: {max: 1}}")).toMatchObject({
      match: [],
    });
  });
  test("a tenant without a plan has the default one; where there is none, its own limits alone", () => {
    const plans = "plans: {p: {limits: [{name: a, meter: m, request: {max: 1}}]}}\n";
    const own = "tenants: {acme: {limits: [{name: b, meter: m, request: {max: 1}}]}}";
    expect([...limitsOf(`default_plan: p\n${plans}${own}`).keys()]).toEqual(["a", "b"]);
    expect([...limitsOf(plans + own).keys()]).toEqual(["b"]);
    expect(tenantOf(plans + own).plan).toBe("");
  });
});

describe("what is said", () => {
  test("everything that a budget can say", () => {
    const limit = `
      {name: a, meter: usd_micros, per: [run, name], mode: shadow, overage: debt, carry_debt: true,
       max_debt: $1, on_expiry: charge, on_store_loss: {allow: {max_units: $2, for: 5m}},
       match: {workspace: [prod, "st?ge"], tag: x, user: "*"},
       budget: {units: $10, period: 5h, anchor: "2026-01-01T00:00:00Z", rollover: 12.5%, overdraft: $3},
       at: [{used: 100%, caps: {tool_allowlist: [a], tool_denylist: [b], cooldown: 5s, max_steps_remaining: 3}}, {used: 50%}]}`;
    expect(limitOf(limit)).toEqual({
      name: "a",
      meter: "usd_micros",
      match: [
        { level: "workspace", patterns: ["prod", "st?ge"] },
        { level: "tag", patterns: ["x"] },
        { level: "user", patterns: ["*"] },
      ],
      per: ["run", "name"],
      shape: {
        kind: "budget",
        units: 10_000_000,
        period: { kind: "length", lengthMs: 18_000_000, anchor: Date.UTC(2026, 0, 1) },
        rollover: 1_250_000,
        overdraft: 3_000_000,
      },
      overage: "debt",
      carryDebt: true,
      maxDebt: 1_000_000,
      mode: "shadow",
      at: [
        { usedPpm: 500_000, used: "50%", notify: false },
        {
          usedPpm: 1_000_000,
          used: "100%",
          notify: false,
          caps: {
            toolAllowlist: ["a"],
            toolDenylist: ["b"],
            cooldownMs: 5_000,
            maxStepsRemaining: 3,
          },
        },
      ],
      onExpiry: "charge",
      onStoreLoss: { kind: "allow", maxUnits: 2_000_000, forMs: 300_000 },
    });
  });
  test("unpriced, in its four ways", () => {
    const unpriced = (written: string) => documentOf(`unpriced: ${written}`).unpriced;
    expect(unpriced("allow")).toEqual({ kind: "allow" });
    expect(unpriced("{charge: $0.50}")).toEqual({ kind: "charge", units: 500_000 });
    expect(unpriced("{input: 2.50, output: 1e-7}")).toEqual({
      kind: "tokens",
      input: "2.5",
      output: "0.0000001",
    });
  });
  test("mode: a tenant's before its plan's, and each limit's stays its own", () => {
    const plans =
      "plans: {p: {mode: shadow, limits: [{name: a, meter: m, mode: soft, request: {max: 1}}]}}\n";
    const tenants = "tenants: {acme: {plan: p}, globex: {plan: p, mode: enforce}}";
    expect(tenantOf(plans + tenants).rules.mode).toBe("shadow");
    expect(tenantOf(plans + tenants, "globex").rules.mode).toBe("enforce");
    expect(limitsOf(plans + tenants, "globex").get("a")?.mode).toBe("soft");
  });
  test("concurrency has no meter, even where one is given", () => {
    expect(limitOf("{name: a, concurrency: {max: 5}}")).toMatchObject({ meter: "" });
    expect(limitOf("{name: a, meter: slots, concurrency: {max: 5}}")).toMatchObject({ meter: "" });
  });
  test("a platform limit may be per tenant", () => {
    const { platform } = documentOf(
      "limits: [{name: a, meter: m, per: [tenant, run], request: {max: 1}}]",
    );
    expect(platform.limits[0]?.per).toEqual(["tenant", "run"]);
  });
});

describe("null in a tenant's match removes the plan's level", () => {
  test.each([
    ["limits", "{name: x, match: {workspace: w, action: llm.*}, meter: m, request: {max: 1}}"],
    [
      "breakers",
      "{name: x, match: {workspace: w, action: llm.*}, errors: 50%, of: 20, window: 1m, open: 30s}",
    ],
    ["loops", "{name: x, match: {workspace: w, action: llm.*}, repeats: 5, window: 10m}"],
  ] as const)("of %s", (rules, rule) => {
    const plans = `plans: {p: {${rules}: [${rule}]}}\n`;
    const own = `tenants: {acme: {plan: p, ${rules}: [{name: x, match: {workspace: null}}]}}`;
    const match = tenantOf(plans + own).rules[rules].map((each) => each.match);
    expect(match).toEqual([[{ level: "action", patterns: ["llm.*"] }]]);
  });
  test.each([
    ["a plan has nothing to remove from", "plans: {p: {limits: [RULE]}}"],
    ["the platform has nothing to remove from", "limits: [RULE]"],
  ])("%s", (_, lines) => {
    const rule = "{name: x, match: {workspace: null}, meter: m, request: {max: 1}}";
    const result = parsePolicy(policyText(lines.replace("RULE", rule)));
    expect(result.ok ? [] : result.problems.map(spellProblem)).toEqual([
      expect.stringMatching(/match\.workspace .*found null; allowed: a pattern or a list/),
    ]);
  });
});

describe("PV3: no name is special", () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
  test.each(names)("a tenant, a plan and a level named %s are ordinary", (name) => {
    const text = `
dimensions: [${name.toLowerCase()}]
default_plan: ${name}
plans: {${name}: {allow: {${name.toLowerCase()}: [${name}]}, limits: [{name: a, meter: ${name.toLowerCase()}, match: {${name.toLowerCase()}: x}, request: {max: 1}}]}}
tenants: {${name}: {suspended: true}}
`;
    const tenant = tenantOf(text, name);
    expect(tenant).toMatchObject({ plan: name, suspended: true, uid: name });
    expect(tenant.rules.limits[0]?.match).toEqual([{ level: name.toLowerCase(), patterns: ["x"] }]);
    expect(tenant.rules.allow).toEqual({
      entries: [{ kind: name.toLowerCase(), names: [name] }],
    });
    expect(documentOf("").tenant(name)).toBeUndefined();
  });
  test.each(names)("an unknown key %s is told like any other", (name) => {
    const result = parsePolicy(policyText(`tenants: {acme: {${name}: 1}}`));
    expect(result.ok ? [] : result.problems.map(({ path }) => path)).toEqual([
      `tenants.acme.${name}`,
    ]);
  });
});

test("PV2: a document with a problem is no document", () => {
  const result = parsePolicy(policyText("mode: off\ntenants: {acme: {}}"));
  expect(result).not.toHaveProperty("document");
});

test("a name that is the uid of another tenant gets no account by default", () => {
  const document = documentOf("default_plan: p\nplans: {p: {}}\ntenants: {acme: {uid: t-1}}");
  expect(document.defaultTenant("t-1")).toBeUndefined();
  expect(document.defaultTenant("t-2")?.uid).toBe("t-2");
  expect(document.defaultTenant("acme")?.uid).toBe("acme");
});
