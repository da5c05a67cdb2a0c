/**
 * Units that are not here: what the limit says that lacks them.
 *
 *   AB1  Used up, as the store says: a definite refusal. Not known in time: LEASE_PENDING. The store is lost: what
 *        the limit's `on_store_loss` says, and STORE_UNAVAILABLE where that refuses.
 *   AB2  What is let through without the store is marked, and counted beyond its lease.
 */
import { plainRefusal, type Refusal } from "../core/refusal.ts";
import type { DurationMs } from "../core/time.ts";
import type { DecisionSource } from "../core/verdict.ts";
import type { Case, Decided } from "./case.ts";
import { fits, isTooLarge, refusalAt, type Standing } from "./standing.ts";

export interface Absent {
  /** Undefined: it is let through all the same. */
  readonly refusals: ReadonlyMap<Standing, Refusal | undefined>;
  readonly fallen: ReadonlySet<Standing>;
  readonly source?: DecisionSource;
}

/**
 * Of enforced limits alone: others refuse nothing. `ttlMs`: for how long the units would be held. `isLook`: nothing
 * is asked for, so only what is lost is refused, and no outage begins with it.
 */
export function absentUnits(
  { core, now }: Case,
  { standings }: Pick<Decided, "standings">,
  ttlMs: DurationMs,
  isLook = false,
): Absent {
  const refusals = new Map<Standing, Refusal | undefined>();
  const fallen = new Set<Standing>();
  let isFallback = false;
  for (const standing of standings) {
    const { lease, limit, need } = standing;
    if (!lease || limit.mode !== "enforce" || isTooLarge(standing)) continue;
    if (need === 0 || (core.funds.isHere(lease, need, ttlMs) && fits(standing, now))) continue;
    const { lack, waitMs } = core.funds.why(lease, need);
    if (lack === "used" && !fits(standing, now)) continue; // (AB1) its own refusal says so
    if (lack === "lost") {
      isFallback = true;
      if (core.funds.mayFallBack(lease, limit.rule.onStoreLoss, need, isLook)) {
        refusals.set(standing, undefined);
        fallen.add(standing); // (AB2)
      } else {
        const why = { reason: "STORE_UNAVAILABLE", waitMs } as const;
        refusals.set(standing, refusalAt(standing, why, now));
      }
    } else if (!isLook) {
      const why = { reason: "LEASE_PENDING", waitMs: Math.max(1, waitMs) } as const;
      refusals.set(standing, refusalAt(standing, why, now));
    }
  }
  return { refusals, fallen, ...(isFallback && { source: "fallback" }) };
}

/** Nobody waits for the answer any longer. */
export const pending = (): Refusal => ({ ...plainRefusal("LEASE_PENDING"), waitMs: 1 });
