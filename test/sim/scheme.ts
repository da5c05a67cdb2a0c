/**
 * The limits of a run and the policy document that says so. Each limit counts a meter of its own, so that what an
 * answer says of a meter is said of one limit, and applies where the operation carries its name as a tag.
 */
import { parsePolicy } from "../../src/adapters/policy/parse.ts";
import type { PolicyDocument } from "../../src/core/policy/document.ts";
import type { Setting } from "./setting.ts";

export const LIMITS = ["plat", "month", "dept", "once", "rate", "slots"] as const;
export type LimitName = (typeof LIMITS)[number];

export const TENANTS = ["acme", "globex"] as const;

/** How long a `once` budget lives without use. Where the store forgets, what was closed then is forgotten, too (A1). */
const onceMs = ({ environment }: Setting): number =>
  environment === "E2" || environment === "E3" ? 60_000 : 1_000;

/** Longer than any run. */
const EVER = "3660d";

/** The numbers of a revision: units of budgets, burst of the rate, max of the slots. */
export type Numbers = Readonly<Record<LimitName, number>>;

export interface Scheme {
  readonly numbers: Numbers;
  readonly document: PolicyDocument;
}

export const firstNumbers = ({ units, rate, slots }: Setting): Numbers => ({
  plat: Math.ceil(units * 0.9),
  month: units,
  dept: Math.ceil(units * 0.6),
  once: 60 + (units % 200),
  rate: rate.burst,
  slots,
});

export function schemeOf(setting: Setting, numbers: Numbers, revision: number): Scheme {
  const { periodMs, overage, rate } = setting;
  const month = periodMs > 0 ? `${periodMs}ms` : EVER;
  const text = `
apiVersion: imprest.dev/v1
kind: Policy
revision: ${revision}
dimensions: [run]
limits:
  - {name: plat, meter: plat, match: {tag: plat}, budget: {units: ${numbers.plat}, period: ${EVER}}}
plans:
  all:
    limits:
      - {name: month, meter: month, match: {tag: month}, budget: {units: ${numbers.month}, period: ${month}}, overage: ${overage}}
      - {name: dept, meter: dept, match: {tag: dept}, per: [workspace], budget: {units: ${numbers.dept}, period: ${EVER}}}
      - {name: once, meter: once, match: {tag: once}, per: [run], budget: {units: ${numbers.once}, period: once, ttl: ${onceMs(setting)}ms}}
      - {name: rate, meter: rate, match: {tag: rate}, rate: {units: ${rate.units}, every: 1s, burst: ${numbers.rate}}, on_store_loss: deny}
      - {name: slots, match: {tag: slots}, concurrency: {max: ${numbers.slots}}}
tenants:
${TENANTS.map((name) => `  ${name}: {plan: all}`).join("\n")}
`;
  const result = parsePolicy(text);
  if (!result.ok)
    throw new Error(`the simulator's policy is wrong: ${JSON.stringify(result.problems)}`);
  return { numbers, document: result.document };
}
