/** The tenants that a document lists. */
import { TENANT_ALLOWED } from "./level.ts";
import { at, flagAt, isMap, items, pairs, refuse, textAt, type Spot } from "./node.ts";
import type { OwnRules } from "./overlay.ts";
import { allowedWords } from "./suggestion.ts";
import type { RuleContext } from "./validate-limit.ts";
import { readOwnRules, type Below, type ReadPlan } from "./validate-rules.ts";

/** A listed tenant; its plan's rules are not in it. */
export interface OwnTenant {
  readonly uid: string;
  /** "": none. */
  readonly plan: string;
  readonly timezone: string;
  readonly suspended: boolean;
  readonly deleted: boolean;
  readonly own: OwnRules;
}

export interface TenantContext extends RuleContext {
  readonly timezone: string;
  readonly defaultPlan: string;
  readonly plans: ReadonlyMap<string, ReadPlan>;
  /** All names of plans, those that could not be read included. */
  readonly planNames: ReadonlySet<string>;
  readonly readZone: (spot: Spot) => string | undefined;
}

export function readTenants(spot: Spot, context: TenantContext): Map<string, OwnTenant> {
  const listed = pairs(spot).filter(([, tenant]) => isMap(tenant.node));
  refuseShared(
    listed.map(([name, tenant]) => [at(tenant, "uid"), uidOf(name, tenant)]),
    `a uid of its own: ${TENANT_ALLOWED}`,
  );
  const keys = listed.flatMap(([, tenant]) => items(at(tenant, "keys")));
  refuseShared(
    keys.map((key) => [at(key, "sha256"), textAt(at(key, "sha256"))]),
    "a key that no other entry has",
  );
  return new Map(listed.map(([name, tenant]) => [name, readTenant(name, tenant, context)]));
}

const uidOf = (name: string, tenant: Spot): string => textAt(at(tenant, "uid")) || name;

/** Two tenants with one uid would spend one account; two with one key could not be told apart. */
function refuseShared(values: readonly (readonly [Spot, string])[], allowed: string): void {
  const owners = new Map<string, Spot>();
  for (const [spot, value] of values) {
    if (value === "") continue;
    const owner = owners.get(value);
    if (owner === undefined) owners.set(value, spot);
    else refuse(spot, allowed, `the same as ${String(owner.path[1])}'s`);
  }
}

function readTenant(name: string, spot: Spot, context: TenantContext): OwnTenant {
  const plan = readPlanName(at(spot, "plan"), context);
  const keyIds = items(at(spot, "keys")).map((key) => at(key, "id"));
  const seen = new Set<string>();
  for (const id of keyIds) {
    if (seen.has(textAt(id)) && textAt(id) !== "") refuse(id, "each id once in a list");
    seen.add(textAt(id));
  }
  return {
    uid: uidOf(name, spot),
    plan,
    timezone: context.readZone(at(spot, "timezone")) ?? context.timezone,
    suspended: flagAt(at(spot, "suspended")),
    deleted: flagAt(at(spot, "deleted")),
    own: readOwnRules(spot, belowOf(plan, spot, context), context),
  };
}

export const planAllowed = (name: string, plans: ReadonlySet<string>): string =>
  `a plan of this document: ${allowedWords(name, [...plans]) || "there is none"}`;

function readPlanName(spot: Spot, context: TenantContext): string {
  if (spot.node === undefined) return context.defaultPlan;
  const plan = textAt(spot);
  if (typeof spot.node === "string" && !context.planNames.has(plan)) {
    refuse(spot, planAllowed(plan, context.planNames));
  }
  return plan;
}

function belowOf(plan: string, spot: Spot, context: TenantContext): Below {
  const below = context.plans.get(plan);
  if (below !== undefined) return below;
  return plan === "" && at(spot, "plan").node === undefined ? "nothing" : "unknown";
}
