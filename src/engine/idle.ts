/** When an account can go: nothing is lost by dropping it (AC4). */
import { available, free, settled, type Lease } from "./lease.ts";
import { DAY, MINUTE } from "../core/time.ts";
import type { Account } from "./books.ts";
import type { Now } from "./now.ts";
import { GRACE } from "./reservations.ts";

type Kept = Pick<Account, "limit" | "lease">;

/** A `once` bucket that nobody used for its ttl is another bucket (policy.md). */
export function isSpentOnce({ limit, lease }: Kept, now: Now): boolean {
  const { shape } = limit.rule;
  if (shape.kind !== "budget" || shape.period.kind !== "once") return false;
  return lease.holds === 0 && now.mono - lease.usedAt >= shape.period.ttlMs;
}

/** Nothing is held, and nothing used or the period over; what passes into a next period stays. */
export function canGo(account: Kept, now: Now): boolean {
  const { lease } = account;
  if (lease.holds > 0) return false;
  if (isSpentOnce(account, now)) return true;
  if (lease.stock && lease.spec.family === "") return isForgotten(lease, now);
  if (lease.spec.family !== "" && !passesNothingOn(lease, now)) return false;
  return now.latest >= lease.spec.end || isUnused(lease, now);
}

/** How long a ledger that a fleet's store keeps stays open here without use. */
const KEPT = MINUTE;

/** The store has the truth; only which steps of `at` were told is known here alone. */
const isForgotten = ({ usedAt, notified, spec }: Lease, now: Now): boolean =>
  now.latest >= spec.end || (notified === 0 && now.mono - usedAt >= KEPT);

/**
 * No debt now, none that a reservation of the period before could still make; and a rollover would have to
 * count even periods that nobody touches.
 */
const passesNothingOn = ({ spec, view, usedAt }: Lease, now: Now): boolean =>
  spec.rollover === 0 && view.debt === 0 && now.mono - usedAt >= DAY + GRACE;

function isUnused(lease: Lease, now: Now): boolean {
  const { spec } = lease;
  if (spec.kind === "rate") return available(lease, now.mono) >= spec.capacity;
  return settled(lease) === 0 && lease.reserved === 0 && free(lease) === 0;
}
