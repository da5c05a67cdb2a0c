/**
 * What a policy document means. The caller has checked the shape: every value is of its kind, unknown keys are
 * reported, and what is faulty has been marked (node.ts). Here names are resolved, tenants are laid over their
 * plans, amounts become units and defaults are filled in.
 *
 *   PV1  Every problem is reported in one pass, each once, and none is thrown.
 *   PV2  A document with a problem is not to be used: what is returned then has stand-ins in it.
 *   PV3  No name is special: tenants, plans and levels are keys of Maps, never of objects.
 */
import type { PolicyDocument, Rules } from "./document.ts";
import { levelsOf, RESERVED_LEVELS } from "./level.ts";
import {
  at,
  isMap,
  isPresent,
  items,
  pairs,
  refuse,
  textAt,
  textsAt,
  type Node,
  type Report,
  type Spot,
} from "./node.ts";
import { readAmount, readDecimal } from "./scalar.ts";
import { readBreaker } from "./validate-guard.ts";
import { readLimit, readMode } from "./validate-limit.ts";
import { readPrice, readUnpriced } from "./validate-price.ts";
import { readNamed, readPlan, type ReadPlan } from "./validate-rules.ts";
import { planAllowed, readTenants, type OwnTenant, type TenantContext } from "./validate-tenant.ts";

export const API_VERSION = "imprest.dev/v1";
export const KIND = "Policy";

const DEFAULT_DIMENSIONS = ["run", "session", "user", "conversation"];
const DEFAULT_TIMEZONE = "UTC";
/** Output tokens that Reserve takes where neither caller nor document gives a number. */
const DEFAULT_OUTPUT_TOKENS = 1024;
const DEFAULT_BYTES_PER_TOKEN = "3.5";

/** A document without its plans and tenants, which are kept apart since there can be many. */
export type PolicyHead = Omit<PolicyDocument, "version" | "meters" | "tenant" | "defaultTenant"> & {
  readonly meters: readonly string[];
};

export interface CheckedPolicy {
  readonly head: PolicyHead;
  readonly plans: ReadonlyMap<string, Rules>;
  readonly tenants: ReadonlyMap<string, OwnTenant>;
}

export interface CheckOptions {
  /** Whether it is a time zone of the IANA database. */
  readonly knowsZone: (zone: string) => boolean;
  readonly report: Report;
}

export function checkPolicy(root: Node, { knowsZone, report }: CheckOptions): CheckedPolicy {
  const top: Spot = { node: root, path: [], report };
  const readZone = (spot: Spot): string | undefined => {
    if (typeof spot.node !== "string") return undefined;
    if (knowsZone(spot.node)) return spot.node;
    refuse(spot, "a time zone of the IANA database, as UTC, Europe/Paris");
    return undefined;
  };
  isPresent(at(top, "apiVersion"), API_VERSION);
  isPresent(at(top, "kind"), KIND);
  const timezone = readZone(at(top, "timezone")) ?? DEFAULT_TIMEZONE;
  const dimensions = readDimensions(at(top, "dimensions"));
  const levels = levelsOf(dimensions);
  const platform = { levels, platform: true };
  const limits = readNamed(at(top, "limits"), platform, readLimit).rules;
  const breakers = readNamed(at(top, "breakers"), platform, readBreaker).rules;
  const plans = readPlans(at(top, "plans"), { levels, platform: false });
  const planNames = new Set(pairs(at(top, "plans")).map(([name]) => name));
  const defaultPlan = readDefaultPlan(at(top, "default_plan"), planNames);
  const context: TenantContext = {
    levels,
    platform: false,
    timezone,
    defaultPlan,
    plans,
    planNames,
    readZone,
  };
  const tenants = readTenants(at(top, "tenants"), context);
  const planRules = new Map([...plans].map(([name, plan]) => [name, plan.rules]));
  return {
    head: {
      ...readSettings(top),
      timezone,
      defaultPlan,
      dimensions,
      platform: { limits, breakers },
      ...namesIn({ limits, breakers }, planRules, tenants),
    },
    plans: planRules,
    tenants,
  };
}

type Settings = Pick<
  PolicyHead,
  "revision" | "mode" | "unpriced" | "estimate" | "requireUsage" | "prices"
>;

function readSettings(top: Spot): Settings {
  const estimate = at(top, "estimate");
  const bytes = at(estimate, "bytes_per_token");
  const bytesPerToken = readDecimal(bytes) ?? DEFAULT_BYTES_PER_TOKEN;
  if (Number(bytesPerToken) === 0) refuse(bytes, "a decimal above 0, as 3.5");
  return {
    revision: readAmount(at(top, "revision"), false),
    mode: readMode(at(top, "mode")),
    unpriced: readUnpriced(at(top, "unpriced")),
    estimate: {
      outputTokens: readAmount(at(estimate, "output_tokens"), false) ?? DEFAULT_OUTPUT_TOKENS,
      bytesPerToken,
    },
    requireUsage: textsAt(at(top, "require_usage")),
    prices: items(at(top, "prices")).map(readPrice),
  };
}

function readDimensions(spot: Spot): readonly string[] {
  if (spot.node === undefined) return DEFAULT_DIMENSIONS;
  const seen = new Set<string>();
  for (const item of items(spot)) {
    const name = textAt(item);
    if (RESERVED_LEVELS.includes(name)) refuse(item, `none of ${RESERVED_LEVELS.join(", ")}`);
    if (name !== "" && seen.has(name)) refuse(item, "each dimension once");
    seen.add(name);
  }
  return [...seen];
}

function readPlans(spot: Spot, context: Parameters<typeof readPlan>[1]): Map<string, ReadPlan> {
  const readable = pairs(spot).filter(([, plan]) => isMap(plan.node));
  return new Map(readable.map(([name, plan]) => [name, readPlan(plan, context)]));
}

function readDefaultPlan(spot: Spot, planNames: ReadonlySet<string>): string {
  const name = textAt(spot);
  if (typeof spot.node === "string" && !planNames.has(name)) {
    refuse(spot, planAllowed(name, planNames));
  }
  return name;
}

function namesIn(
  platform: PolicyDocument["platform"],
  plans: ReadonlyMap<string, Rules>,
  tenants: ReadonlyMap<string, OwnTenant>,
): Pick<PolicyHead, "meters" | "limitNames"> {
  const shared = [...platform.limits, ...[...plans.values()].flatMap((plan) => plan.limits)];
  const watching = [...plans.values()].flatMap((plan) => [...plan.breakers, ...plan.loops]);
  const named = [...shared, ...platform.breakers, ...watching];
  const meters = new Set(shared.map((limit) => limit.meter));
  for (const tenant of tenants.values())
    for (const limit of tenant.own.limits) meters.add(limit.meter);
  meters.delete("");
  return { meters: [...meters], limitNames: [...new Set(named.map((rule) => rule.name))] };
}
