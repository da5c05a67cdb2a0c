/**
 * What a limit does when its lease is used up and the store is lost: its own rule (`on_store_loss`), and that is
 * said in the answer.
 *
 *   FB1  `deny` admits nothing. `allow` admits, `share` admits this holder's part of the rate: refill, burst, and
 *        what was left as last heard, by the number of holders last seen.
 *   FB2  `max_units` and `for` are ceilings of this sidecar and of one outage.
 *   FB3  What is admitted so counts beyond: the store hears of it when it is back, and a rate pays it.
 */
import { refill, type RateBucket } from "../../core/limit/rate.ts";
import type { StoreLossRule } from "../../core/policy/document.ts";
import type { Units } from "../../core/units.ts";
import { levelAt } from "../lease.ts";
import type { Stock } from "./stock.ts";

/** Of one outage. Changed in place. */
export interface Fallback {
  readonly since: number;
  used: Units;
  readonly share: RateBucket | undefined;
}

/** The part of a rate that is this holder's own. */
function shareOf({ lease, holders }: Stock): { units: Units; everyMs: number; burst: Units } {
  const { units, everyMs } = lease.spec.refill;
  const parts = Math.max(1, holders);
  return {
    units,
    everyMs: everyMs * parts,
    burst: Math.max(1, Math.floor(lease.spec.capacity / parts)),
  };
}

/** No fuller than the rate was: an outage is no reason for another burst. */
function bucketOf(stock: Stock, mono: number): RateBucket {
  const { lease, holders } = stock;
  const left = Math.max(0, levelAt(lease.spec, lease.view, mono));
  const level = Math.floor(left / Math.max(1, holders));
  return { level: Math.min(shareOf(stock).burst, level), remainder: 0, at: mono };
}

/** Whether the rule lets `units` more through now (FB1, FB2). */
export function mayFallBack(
  stock: Stock,
  rule: StoreLossRule,
  units: Units,
  mono: number,
): boolean {
  if (rule.kind === "deny") return false;
  const isRate = stock.lease.spec.kind === "rate";
  stock.fallback ??= {
    since: mono,
    used: 0,
    share: isRate ? bucketOf(stock, mono) : undefined,
  };
  const { since, used, share } = stock.fallback;
  if (mono - since >= (rule.forMs ?? Infinity)) return false;
  if (used + units > (rule.maxUnits ?? Infinity)) return false;
  if (rule.kind === "allow" || !share) return true;
  const part = shareOf(stock);
  refill(share, part, part.burst, mono);
  return share.level >= units;
}

/** They were let through. */
export function countFallback({ fallback }: Stock, units: Units): void {
  if (!fallback) return;
  fallback.used += units;
  if (fallback.share) fallback.share.level -= units;
}
