/**
 * The policy in the form in which decisions are made: for each tenant the limits that can apply to it, with
 * matchers, scopes and effective modes. Compiled tenant by tenant at the first operation after a reload; tenants
 * that share their plan's rules share the compiled rules. Nothing here walks over tenants or plans.
 *
 *   CP1  A limit's effective mode is the weakest of its own, its plan's or tenant's, and the document's
 *        (shadow is weaker than soft, soft weaker than enforce).
 *   CP2  Limits keep the order of the document: platform, plan, tenant. Ties between refusals follow it.
 */
import { createTariff, type Tariff } from "../money/derive.ts";
import { scopeShape, type ScopeShape } from "../scope.ts";
import type {
  BreakerRule,
  LimitRule,
  LoopRule,
  Mode,
  PolicyDocument,
  Rules,
  TenantRules,
} from "./document.ts";
import { actionTest, createMatcher, type Matcher } from "./match.ts";

const BUILT_IN_METERS = ["requests", "tokens", "input_tokens", "output_tokens", "usd_micros"];

/** Limit names that metrics tell apart; the rest are counted as "other". */
const LABELS_MAX = 200;
const OTHER = "other";

interface Placed {
  readonly name: string;
  readonly mode: Mode;
  readonly platform: boolean;
  /** Place in the document among all that can apply to the same tenant. */
  readonly order: number;
  readonly matcher: Matcher;
  readonly scope: ScopeShape;
  /** Name in metrics: the limit's own, or "other". */
  readonly label: string;
}
export interface CompiledLimit extends Placed {
  readonly rule: LimitRule;
  readonly meter: string;
  /** Identity within the tenant: name and meter. */
  readonly key: string;
}
export interface CompiledBreaker extends Placed {
  readonly rule: BreakerRule;
}
export interface CompiledLoop extends Placed {
  readonly rule: LoopRule;
}

export interface CompiledTenant {
  readonly name: string;
  readonly uid: string;
  readonly plan: string;
  readonly zone: string;
  /** Suspended or deleted. */
  readonly blocked: "" | "suspended" | "deleted";
  /** Of the whole document: in shadow nothing at all is refused. */
  readonly documentMode: Mode;
  /** Of `allow`, `deny` and unpriced models. */
  readonly rulesMode: Mode;
  readonly onDeny: { readonly message: string; readonly url: string } | undefined;
  /** Whether `allow` and `deny` let this kind and name through. */
  allows(kind: string, name: string): boolean;
  /** Platform first, in the order of the document. */
  readonly limits: readonly CompiledLimit[];
  readonly breakers: readonly CompiledBreaker[];
  readonly loops: readonly CompiledLoop[];
}

export interface CompiledPolicy {
  readonly version: string;
  /** Grows with each reload: which of two sets of numbers is the newer one. */
  readonly generation: number;
  /** Of two documents in a fleet the numbers of the higher one hold: its `revision`, else the generation. */
  readonly revision: number;
  /** Time zone of the document: of the platform's limits. */
  readonly zone: string;
  readonly tariff: Tariff;
  /** Built in, or named by some limit of the document (S3). */
  knowsMeter(meter: string): boolean;
  /** `undefined`: not listed, and there is no default plan. */
  tenant(name: string): CompiledTenant | undefined;
}

const WEAKNESS: Record<Mode, number> = { enforce: 0, soft: 1, shadow: 2 };
const weaker = (a: Mode, b: Mode): Mode => (WEAKNESS[a] >= WEAKNESS[b] ? a : b);

interface CompiledRules {
  readonly limits: readonly CompiledLimit[];
  readonly breakers: readonly CompiledBreaker[];
  readonly loops: readonly CompiledLoop[];
  readonly rulesMode: Mode;
  readonly onDeny: Rules["onDeny"];
  readonly allows: (kind: string, name: string) => boolean;
}

interface Placing {
  readonly mode: Mode;
  readonly platform: boolean;
  readonly order: number;
  readonly labels: ReadonlySet<string>;
}

function place(rule: LimitRule | BreakerRule | LoopRule, placing: Placing): Placed {
  return {
    name: rule.name,
    mode: weaker(rule.mode, placing.mode),
    platform: placing.platform,
    order: placing.order,
    matcher: createMatcher(rule.match, rule.per),
    scope: scopeShape(rule, placing.platform ? "platform" : "tenant"),
    label: placing.labels.has(rule.name) ? rule.name : OTHER,
  };
}

const placeLimit = (rule: LimitRule, placing: Placing): CompiledLimit => ({
  ...place(rule, placing),
  rule,
  meter: rule.meter,
  key: `${rule.name}/${rule.meter}`,
});

function actionsAllowed(rules: Rules): (kind: string, name: string) => boolean {
  const allowed = rules.allow && actionTest(rules.allow);
  const denied = rules.deny && actionTest(rules.deny);
  if (!allowed && !denied) return () => true;
  return (kind, name) => !denied?.(kind, name) && (allowed?.(kind, name) ?? true);
}

/** `generation`: one more than that of the policy before. */
export function compilePolicy(document: PolicyDocument, generation: number): CompiledPolicy {
  const meters = new Set([...BUILT_IN_METERS, ...document.meters]);
  const labels = new Set(document.limitNames.slice(0, LABELS_MAX));
  const shared = new WeakMap<Rules, CompiledRules>();
  const atTop = { mode: document.mode, platform: true, labels };
  const platformLimits = document.platform.limits.map((rule, order) =>
    placeLimit(rule, { ...atTop, order }),
  );
  const platformBreakers = document.platform.breakers.map((rule, order) => ({
    ...place(rule, { ...atTop, order }),
    rule,
  }));

  function compileRules(rules: Rules, own: ReadonlySet<string>): CompiledRules {
    const rulesMode = weaker(rules.mode, document.mode);
    const of = (order: number, name: string): Placing => ({
      mode: rulesMode,
      platform: false,
      order: platformLimits.length + order,
      labels: own.has(name) ? new Set<string>() : labels,
    });
    return {
      limits: rules.limits.map((rule, i) => placeLimit(rule, of(i, rule.name))),
      breakers: rules.breakers.map((rule, i) => ({ ...place(rule, of(i, rule.name)), rule })),
      loops: rules.loops.map((rule, i) => ({ ...place(rule, of(i, rule.name)), rule })),
      rulesMode,
      onDeny: rules.onDeny,
      allows: actionsAllowed(rules),
    };
  }

  function compileTenant(name: string, tenant: TenantRules): CompiledTenant {
    let rules = shared.get(tenant.rules);
    if (!rules) shared.set(tenant.rules, (rules = compileRules(tenant.rules, tenant.ownLimits)));
    return {
      name,
      uid: tenant.uid,
      plan: tenant.plan,
      zone: tenant.timezone,
      blocked: tenant.deleted ? "deleted" : tenant.suspended ? "suspended" : "",
      documentMode: document.mode,
      rulesMode: rules.rulesMode,
      onDeny: rules.onDeny,
      allows: rules.allows,
      limits: platformLimits.length > 0 ? [...platformLimits, ...rules.limits] : rules.limits,
      breakers: [...platformBreakers, ...rules.breakers],
      loops: rules.loops,
    };
  }

  return {
    version: document.version,
    generation,
    revision: document.revision ?? generation,
    zone: document.timezone,
    tariff: createTariff(document),
    knowsMeter: (meter) => meters.has(meter),
    tenant(name) {
      const tenant = document.tenant(name) ?? document.defaultTenant(name);
      return tenant && compileTenant(name, tenant);
    },
  };
}
