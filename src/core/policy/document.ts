/**
 * The policy document as the rest of the program sees it: every amount a number of units, every duration
 * milliseconds, every default filled in. Built by adapters/policy from YAML or JSON; compiled by compile.ts.
 *
 * Tenants are looked up one at a time: a document holds up to tens of thousands of them, and a reload must
 * not hold decisions up, so nothing here walks over all.
 */
import type { DurationMs, EpochMs } from "../time.ts";
import type { Units } from "../units.ts";

/** enforce: refuses. soft: counted and its steps apply, never refuses. shadow: evaluated and reported alone. */
export type Mode = "enforce" | "soft" | "shadow";

export type CalendarUnit = "minute" | "hour" | "day" | "week" | "month" | "quarter" | "year";

/** How a budget's time is cut. `anchor` absent: see policy.md (start of 1970 in the zone; the 1st). */
export type PeriodRule =
  | { readonly kind: "calendar"; readonly unit: CalendarUnit; readonly anchor?: EpochMs }
  | { readonly kind: "length"; readonly lengthMs: DurationMs; readonly anchor?: EpochMs }
  | { readonly kind: "once"; readonly ttlMs: DurationMs };

export type LimitShape =
  | {
      readonly kind: "rate";
      readonly units: Units;
      readonly everyMs: DurationMs;
      readonly burst: Units;
    }
  | {
      readonly kind: "budget";
      readonly units: Units;
      readonly period: PeriodRule;
      /** Most units carried into the next period (a share in the document is already units here). */
      readonly rollover: Units;
      readonly overdraft: Units;
    }
  | { readonly kind: "concurrency"; readonly max: Units }
  | { readonly kind: "request"; readonly max: Units };

/** A level (workspace … toolset, action, name, tag, a dimension) and the patterns of which one must match. */
export interface MatchRule {
  readonly level: string;
  /** `*` and `?` are wildcards. Never empty. */
  readonly patterns: readonly string[];
}

/** What a step of a budget asks for. Absent fields ask nothing. */
export interface CapsRule {
  readonly maxOutputTokens?: Units;
  readonly fallbackModel?: string;
  readonly toolAllowlist?: readonly string[];
  readonly toolDenylist?: readonly string[];
  readonly maxStepsRemaining?: Units;
  readonly cooldownMs?: DurationMs;
  readonly notice?: string;
}

export interface Step {
  /** In parts per million of the limit: 80 % is 800,000. At most 10,000,000 (1000 %). */
  readonly usedPpm: number;
  /** As written, for metrics: "80%". */
  readonly used: string;
  readonly notify: boolean;
  readonly caps?: CapsRule;
}

export type StoreLossRule =
  | { readonly kind: "deny" }
  | { readonly kind: "share" | "allow"; readonly maxUnits?: Units; readonly forMs?: DurationMs };

export interface LimitRule {
  readonly name: string;
  /** "" for concurrency. */
  readonly meter: string;
  readonly match: readonly MatchRule[];
  readonly per: readonly string[];
  readonly shape: LimitShape;
  readonly overage: "debt" | "cap" | "reject";
  readonly carryDebt: boolean;
  readonly maxDebt?: Units;
  readonly mode: Mode;
  /** In ascending order of `usedPpm`. */
  readonly at: readonly Step[];
  readonly onExpiry: "release" | "charge";
  readonly onStoreLoss: StoreLossRule;
}

export interface BreakerRule {
  readonly name: string;
  readonly match: readonly MatchRule[];
  readonly per: readonly string[];
  /** Share of outcomes that are errors, parts per million. */
  readonly errorsPpm: number;
  /** Outcomes that must lie in the window before it can open, ≥ 1. */
  readonly of: number;
  readonly windowMs: DurationMs;
  readonly openMs: DurationMs;
  readonly mode: Mode;
}

export interface LoopRule {
  readonly name: string;
  readonly match: readonly MatchRule[];
  readonly per: readonly string[];
  /** Equal calls let through in the window, ≥ 1. */
  readonly repeats: number;
  readonly windowMs: DurationMs;
  readonly mode: Mode;
}

/** Kinds and the names allowed (or denied) for them, both patterns. */
export interface ActionList {
  readonly entries: readonly { readonly kind: string; readonly names: readonly string[] }[];
}

/** What a plan, or a tenant after its own rules were laid over its plan's, says. */
export interface Rules {
  readonly mode: Mode;
  readonly limits: readonly LimitRule[];
  readonly breakers: readonly BreakerRule[];
  readonly loops: readonly LoopRule[];
  /** Absent: everything is allowed. */
  readonly allow?: ActionList;
  /** Absent: nothing is denied. Wins over `allow`. */
  readonly deny?: ActionList;
  readonly onDeny?: { readonly message: string; readonly url: string };
}

export interface TenantRules {
  /** What usage is kept under; the name where the document gives no uid. */
  readonly uid: string;
  /** Name of the plan, "" for none. */
  readonly plan: string;
  readonly timezone: string;
  readonly suspended: boolean;
  readonly deleted: boolean;
  /** Plan and tenant laid over each other, defaults filled in. */
  readonly rules: Rules;
  /** Names of the limits that the tenant itself added: counted as "other" in metrics. */
  readonly ownLimits: ReadonlySet<string>;
}

export interface PriceRule {
  /** Pattern; the first that matches prices the model. */
  readonly model: string;
  /** US dollars per million tokens, as decimals in text ("2.50"); at most 12 significant digits. */
  readonly input?: string;
  readonly output?: string;
  readonly cacheRead?: string;
  readonly cacheWrite?: string;
  readonly reasoning?: string;
  /** US dollars per call. */
  readonly call?: string;
  /** Ascending by `above`; the last whose `above` is less than input_tokens replaces the prices it names. */
  readonly tiers: readonly {
    readonly above: Units;
    readonly input?: string;
    readonly output?: string;
    readonly cacheRead?: string;
    readonly cacheWrite?: string;
    readonly reasoning?: string;
  }[];
}

/** S6: what becomes of a model that the price book lacks. `charge` is usd_micros a call. */
export type UnpricedRule =
  | { readonly kind: "deny" }
  | { readonly kind: "allow" }
  | { readonly kind: "charge"; readonly units: Units }
  | { readonly kind: "tokens"; readonly input: string; readonly output: string };

export interface PolicyDocument {
  /** First 12 hexadecimal digits of the SHA-256 of the document's bytes. */
  readonly version: string;
  readonly revision: number | undefined;
  /** Of the whole document. */
  readonly mode: Mode;
  readonly timezone: string;
  /** "": none. */
  readonly defaultPlan: string;
  readonly dimensions: readonly string[];
  readonly unpriced: UnpricedRule;
  readonly estimate: {
    readonly outputTokens: Units;
    /** Decimal text, "3.5". */ readonly bytesPerToken: string;
  };
  /** Patterns of kinds. */
  readonly requireUsage: readonly string[];
  readonly prices: readonly PriceRule[];
  readonly platform: {
    readonly limits: readonly LimitRule[];
    readonly breakers: readonly BreakerRule[];
  };
  /** Every meter that some limit of the document names, plans and tenants included. */
  readonly meters: ReadonlySet<string>;
  /** Names of the plans' and the platform's limits, breakers and loops, for metric labels. */
  readonly limitNames: readonly string[];
  /** A listed tenant; `undefined` for one that the document does not list. Decoded at the first call, then kept. */
  tenant(name: string): TenantRules | undefined;
  /** What an unlisted tenant of that name gets from `default_plan`; `undefined` where there is none. */
  defaultTenant(name: string): TenantRules | undefined;
}
