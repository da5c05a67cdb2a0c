/**
 * Expiry: what becomes of reservations that nobody settles in time (S18, S19).
 *
 * Called at the start of every turn, so that a decision looks at the clock; a timer calls it too, so that
 * nothing waits for the next call longer than it must.
 */
import { recordEnding } from "./ending.ts";
import { giveBack, letGo, paySharesAt, type Share } from "./charge.ts";
import type { Core } from "./core.ts";
import type { Units } from "../core/units.ts";
import { hasTakers } from "./lease.ts";
import type { Now } from "./now.ts";
import type { Hold, Reservation } from "./reservations.ts";
import { unlapse } from "./settlement.ts";
import { NO_TALLY } from "./tally.ts";

/** Acts on everything that is due; returns whether anything was. */
export function expireDue(core: Core, now: Now): boolean {
  for (let acted = false; ; acted = true) {
    const due = core.reservations.takeDue(now.mono);
    if (!due) return acted;
    if (due.state === "open") expire(core, due, now);
    else forgo(core, due, now);
  }
}

const staysCharged = (hold: Hold): boolean =>
  hold.limit.rule.onExpiry === "charge" && hold.lease.spec.kind !== "slots";

/** From open to grace: units come free, or stay where the limit says `on_expiry: charge`. */
export function expire(core: Core, reservation: Reservation, now: Now): void {
  for (const hold of reservation.holds) {
    if (staysCharged(hold)) hold.lease.lapsed += hold.held;
    else giveBack(core, hold);
    hold.lease.takers.delete(reservation);
  }
  recordEnding(core, reservation.circuits, { id: reservation.id, outcome: "expired" }, now);
  core.telemetry.reservationEnded("expired");
  core.reservations.lapse(reservation);
}

/**
 * A paused machine's monotonic clock stood while its callers' time ran, and the store's: what has ended by the wall
 * clock and is known to the store by deadline may be another's already, so it has expired before it is prolonged.
 */
export function expireIfOver(core: Core, id: string, now: Now): void {
  const found = core.reservations.get(id);
  if (!core.funds.isShared || found?.state !== "open" || now.wall <= found.expiresAt) return;
  if (!found.holds.some(({ lease }) => hasTakers(lease.spec))) return;
  core.reservations.takeOut(found);
  expire(core, found, now);
}

/** The end of grace: what was kept is charged as it was reserved, and a commit comes too late. */
function forgo(core: Core, reservation: Reservation, now: Now): void {
  settleLapsed(core, reservation);
  for (const hold of reservation.holds) letGo(core, hold, now);
  core.reservations.end(reservation, { state: "forgone", tally: NO_TALLY }, now.mono);
}

/** Charges what `on_expiry: charge` kept. */
function settleLapsed(core: Core, reservation: Reservation): void {
  const shares: Share[] = [];
  const charged = new Map<string, Units>();
  for (const hold of reservation.holds) {
    if (hold.held === 0) continue;
    unlapse(reservation, hold);
    shares.push({ hold, held: hold.held, covered: 0, beyond: 0, uncharged: 0 });
    charged.set(hold.meter, Math.max(hold.held, charged.get(hold.meter) ?? 0));
  }
  paySharesAt(core, shares);
  // Several limits of a meter hold the same units.
  for (const [meter, units] of charged) core.telemetry.charged(meter, units);
}

/**
 * A drain settles every open reservation as expiry would (S27), and those in grace as its end would. `isKept`: a
 * journal has them; what they hold stays charged, and a late commit to the next process may still charge less (S18).
 */
export function expireAll(core: Core, now: Now, isKept: boolean): void {
  for (const reservation of Array.from(core.reservations.open())) {
    core.reservations.takeOut(reservation);
    expire(core, reservation, now);
  }
  if (isKept) return;
  for (const reservation of core.reservations.lapsed()) settleLapsed(core, reservation);
}
