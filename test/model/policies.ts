/** Limits drawn at random, and the policy document that says the same to the engine. */
import fc from "fast-check";
import type { OracleLimit } from "./limit.ts";

export const METERS = ["tokens", "usd_micros", "requests"] as const;

const MINUTE_MS = 60_000;
const PERIODS = new Map([
  ["minute", MINUTE_MS],
  ["hour", 60 * MINUTE_MS],
  ["90s", 90_000],
  ["once", Infinity],
]);

const base = {
  name: fc.constant(""),
  meter: fc.constantFrom(...METERS),
  perRun: fc.boolean(),
  mode: fc.constantFrom("enforce", "enforce", "enforce", "soft", "shadow"),
  everyMs: fc.constant(0),
  burst: fc.constant(0),
  periodMs: fc.constant(Infinity),
  rollover: fc.constant(0),
  overdraft: fc.constant(0),
  carryDebt: fc.constant(false),
  overage: fc.constant("debt"),
  onExpiry: fc.constant("release"),
  capsAt: fc.constant(0),
} as const;

const budget = fc.record({
  ...base,
  kind: fc.constant("budget" as const),
  units: fc.integer({ min: 10, max: 200 }),
  periodMs: fc.constantFrom(...PERIODS.values()),
  overage: fc.constantFrom("debt", "debt", "cap", "reject"),
  onExpiry: fc.constantFrom("release", "release", "charge"),
  capsAt: fc.constantFrom(0, 0, 80, 100),
});
const carrying = fc.record({
  ...base,
  kind: fc.constant("budget" as const),
  mode: fc.constant("enforce" as const),
  units: fc.integer({ min: 80, max: 200 }),
  periodMs: fc.constantFrom(MINUTE_MS, 90_000),
  rollover: fc.constantFrom(0, 20, 400),
  carryDebt: fc.boolean(),
});
const overdrawn = fc.record({
  ...base,
  kind: fc.constant("budget" as const),
  mode: fc.constant("enforce" as const),
  units: fc.integer({ min: 10, max: 200 }),
  periodMs: fc.constantFrom(...PERIODS.values()),
  overdraft: fc.integer({ min: 1, max: 50 }),
  overage: fc.constantFrom("debt", "cap", "reject"),
});
const rate = fc.record({
  ...base,
  kind: fc.constant("rate" as const),
  units: fc.integer({ min: 1, max: 120 }),
  everyMs: fc.constantFrom(1_000, 7_000, 60_000),
  burst: fc.integer({ min: 10, max: 200 }),
});
const slots = fc.record({
  ...base,
  kind: fc.constant("slots" as const),
  meter: fc.constant(""),
  units: fc.integer({ min: 1, max: 4 }),
});
const request = fc.record({
  ...base,
  kind: fc.constant("request" as const),
  units: fc.integer({ min: 25, max: 60 }),
});

/** Two to five limits of all kinds, several on one decision. */
export const someLimits: fc.Arbitrary<OracleLimit[]> = fc
  .array(fc.oneof(budget, budget, carrying, overdrawn, rate, slots, request), {
    minLength: 2,
    maxLength: 5,
  })
  .map((limits) => limits.map((limit, at) => ({ ...limit, name: `limit-${at}` }) as OracleLimit));

const periodName = (ms: number): string =>
  [...PERIODS].find(([, length]) => length === ms)?.[0] ?? "once";

function shapeOf(limit: OracleLimit): object {
  switch (limit.kind) {
    case "rate":
      return { rate: { units: limit.units, every: `${limit.everyMs}ms`, burst: limit.burst } };
    case "slots":
      return { concurrency: { max: limit.units } };
    case "request":
      return { request: { max: limit.units } };
    case "budget": {
      const period = periodName(limit.periodMs);
      const { units, rollover, overdraft } = limit;
      const more = { ...(rollover > 0 && { rollover }), ...(overdraft > 0 && { overdraft }) };
      return { budget: { units, period, ...(period === "once" && { ttl: "30d" }), ...more } };
    }
  }
}

/** JSON is YAML. */
export function policyText(limits: readonly OracleLimit[]): string {
  const written = limits.map((limit) => ({
    name: limit.name,
    ...(limit.meter !== "" && { meter: limit.meter }),
    ...(limit.perRun && { per: ["run"] }),
    mode: limit.mode,
    ...shapeOf(limit),
    ...(limit.overage !== "debt" && { overage: limit.overage }),
    ...(limit.carryDebt && { carry_debt: true }),
    ...(limit.onExpiry === "charge" && { on_expiry: "charge" }),
    ...(limit.capsAt > 0 && { at: [{ used: `${limit.capsAt}%`, caps: { max_output_tokens: 7 } }] }),
  }));
  return JSON.stringify({
    apiVersion: "imprest.dev/v1",
    kind: "Policy",
    tenants: { acme: { limits: written } },
  });
}
