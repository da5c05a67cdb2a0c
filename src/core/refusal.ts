/**
 * Refusals and which of them governs (semantics S8, policy.md "What applies, and in which order").
 *
 *   RF1  The first class of DENY_REASONS that refuses governs.
 *   RF2  Within a class the narrowest scope; ties: the longest wait (none is the longest), then the order of
 *        the document.
 *   RF3  Its wait is a promise for the request, so it lasts until everything that refuses would let it pass
 *        (S15); absent where something never does.
 */
import type { EpochMs, DurationMs } from "./time.ts";
import type { Units } from "./units.ts";
import { DENY_REASONS, type Denial, type DenyReason } from "./verdict.ts";

export interface Refusal {
  readonly reason: DenyReason;
  /** Limit, breaker or loop; "" where none refused. */
  readonly limit: string;
  readonly scope: string;
  readonly meter: string;
  readonly limitUnits: Units;
  readonly remainingUnits: number;
  readonly requestedUnits: Units;
  /** `undefined`: waiting does not help. */
  readonly waitMs: DurationMs | undefined;
  readonly resetsAt: EpochMs | undefined;
  readonly depth: number;
  readonly order: number;
  readonly platform: boolean;
  /** Name in metrics. */
  readonly label: string;
}

const rank = new Map(DENY_REASONS.map((reason, i) => [reason, i]));

/** The one that the caller hears of, with the wait of all (RF3); `undefined`: nothing refuses. */
export function governing(refusals: readonly Refusal[]): Refusal | undefined {
  let first: Refusal | undefined;
  let longest: number | undefined = 0;
  for (const refusal of refusals) {
    if (!first || compare(refusal, first) < 0) first = refusal;
    const { waitMs } = refusal;
    longest = longest === undefined || waitMs === undefined ? undefined : Math.max(longest, waitMs);
  }
  return first && (first.waitMs === longest ? first : { ...first, waitMs: longest });
}

function compare(a: Refusal, b: Refusal): number {
  const byClass = (rank.get(a.reason) ?? 0) - (rank.get(b.reason) ?? 0);
  if (byClass !== 0) return byClass;
  if (a.depth !== b.depth) return b.depth - a.depth;
  const aWait = a.waitMs ?? Infinity;
  const bWait = b.waitMs ?? Infinity;
  return aWait === bWait ? a.order - b.order : bWait - aWait;
}

/** A refusal by no limit: suspended, not allowed. */
export const plainRefusal = (reason: DenyReason): Refusal => ({
  reason,
  limit: "",
  scope: "",
  meter: "",
  limitUnits: 0,
  remainingUnits: 0,
  requestedUnits: 0,
  waitMs: undefined,
  resetsAt: undefined,
  depth: 0,
  order: 0,
  platform: false,
  label: "",
});

export interface Audience {
  /** May see the figures of platform limits (S16a). */
  readonly platform: boolean;
  /** The plan's own words, where it has some. */
  readonly onDeny: { readonly message: string; readonly url: string } | undefined;
}

/** The refusal as its caller may see it. */
export function toDenial(refusal: Refusal, audience: Audience): Denial {
  const hidden = refusal.platform && !audience.platform;
  return {
    reason: refusal.reason,
    limit: refusal.limit,
    scope: refusal.scope,
    meter: refusal.meter,
    limitUnits: hidden ? 0 : refusal.limitUnits,
    remainingUnits: hidden ? 0 : refusal.remainingUnits,
    requestedUnits: hidden ? 0 : refusal.requestedUnits,
    ...(refusal.waitMs !== undefined && { retryAfterMs: Math.max(1, Math.ceil(refusal.waitMs)) }),
    ...(refusal.resetsAt !== undefined && { resetsAt: refusal.resetsAt }),
    message: audience.onDeny?.message || sentence(refusal, hidden),
    helpUrl: audience.onDeny?.url ?? "",
  };
}

function sentence(refusal: Refusal, hidden: boolean): string {
  const at = refusal.scope === "" ? "" : ` at ${refusal.scope}`;
  const named = `"${refusal.limit}"${at}`;
  const asked = `${amount(refusal.requestedUnits, refusal.meter)} asked for`;
  const left = hidden
    ? ""
    : `: ${asked}, ${amount(refusal.remainingUnits, refusal.meter)} of ${amount(refusal.limitUnits, refusal.meter)} left`;
  switch (refusal.reason) {
    case "TENANT_SUSPENDED":
      return "The tenant is suspended.";
    case "ACTION_NOT_ALLOWED":
      return "The plan does not allow this action.";
    case "UNPRICED_MODEL":
      return "A limit counts dollars, and the price book has no price for this model.";
    case "REQUEST_TOO_LARGE":
      return `The request is larger than limit ${named} ever allows${hidden ? "" : `: ${asked}`}.`;
    case "CIRCUIT_OPEN":
      return `Circuit breaker ${named} is open after too many errors.`;
    case "LOOP_DETECTED":
      return `Loop ${named}: the same call was made ${refusal.limitUnits} times in a row.`;
    case "BUDGET_EXHAUSTED":
      return `Budget ${named} does not have this much left${left}.`;
    case "CONCURRENCY_EXHAUSTED":
      return hidden
        ? `All slots of limit ${named} are taken.`
        : `All ${refusal.limitUnits} slots of limit ${named} are taken.`;
    case "RATE_LIMITED":
      return `Rate limit ${named} is reached${left}.`;
    case "STORE_UNAVAILABLE":
      return `The units of limit ${named} are used up here and the store cannot be reached.`;
    case "LEASE_PENDING":
      return `The units of limit ${named} could not be had in time.`;
  }
}

/** "$12.50" or "300 tokens". */
function amount(units: number, meter: string): string {
  if (meter !== "usd_micros") return meter === "" ? `${units}` : `${units} ${meter}`;
  const cents = (Math.abs(units) / 1e6).toFixed(Math.abs(units) % 10_000 === 0 ? 2 : 6);
  return `${units < 0 ? "-" : ""}$${cents}`;
}
