/**
 * One ledger as its callers know it: what they were allowed, what they spent, and what must never be.
 *
 *   I1  budgets: committed and held, less overage, never exceed the most that was ever the limit; overage never
 *       exceeds what actuals were above their holds
 *   I2  a reservation is charged once
 *   I5  rates: an ideal bucket, filled by true time, is never below 0; what a reservation did not use is back in it at
 *       once, or overflows (allowed: less than one unit for rounding; a ms of refill, as the store reads its clock in
 *       whole ms; what spilt a moment before others took as much; half a second of refill for each loss of what was
 *       not confirmed)
 *   I6  slots: no more are open than the most that was ever allowed
 *
 * It is conservative: what the callers of a process that died without its journal held counts as spent.
 */
import type { Idle } from "./idle.ts";

export type Kind = "budget" | "rate" | "slots";

export interface Account {
  readonly name: string;
  readonly kind: Kind;
  /** The most that the limit ever was. */
  capacity: number;
  /** Units in reservations that are open, or whose fate nobody will ever know. */
  held: number;
  charged: number;
  /** Told by the engine: charged, and covered by nobody. */
  overage: number;
  /** Actuals above what was held for them. */
  excess: number;
  open: number;
  /** Budgets: of its period, by the wall clock; -Infinity: it has none. */
  readonly begins: number;
  /** Rates: the ideal bucket. */
  level: number;
  at: number;
  readonly perMs: number;
  /** What a loss of unconfirmed writes may have cost. */
  slack: number;
  /** What overflowed the ideal bucket when it came back, and until when it may as well have come later. */
  spilt: number;
  spiltUntil: number;
  /** Where its units lie; undefined: nobody asks (only budgets are looked at, where nothing goes wrong). */
  readonly idle: Idle | undefined;
}

export interface AccountOptions {
  readonly name: string;
  readonly kind: Kind;
  readonly capacity: number;
  /** Rates: units a ms. */
  readonly perMs: number;
  readonly begins: number;
  readonly now: number;
  readonly idle?: Idle | undefined;
}

/** When something is held or charged, and at which process. */
export interface Moment {
  readonly now: number;
  readonly place: string;
}

export const newAccount = ({
  name,
  kind,
  capacity,
  perMs,
  begins,
  now,
  idle,
}: AccountOptions): Account => ({
  name,
  kind,
  capacity,
  held: 0,
  charged: 0,
  overage: 0,
  excess: 0,
  open: 0,
  begins,
  level: capacity,
  at: now,
  perMs,
  slack: 0,
  spilt: 0,
  spiltUntil: 0,
  idle: kind === "budget" ? idle : undefined,
});

/** Booking ahead: how much refill an unconfirmed loss may hide. */
const BOOKED_MS = 500;

export function lossAt(account: Account): void {
  if (account.kind === "rate") account.slack += Math.ceil(account.perMs * BOOKED_MS);
}

/**
 * What was spent of it is forgotten: its life is over, or it was spent before its period began, by a clock that was
 * ahead, and the store has lost it. (Who has no more of it does not keep what the store knew: by its clock it may be over.)
 */
export function forget(account: Account): void {
  account.charged = 0;
  account.overage = 0;
  account.excess = 0;
}

/** An expiry is taken to be so much earlier or later than its process sees it. */
const UNSURE_MS = 10;

/** The ideal bucket, with `units` more that came by time or came back. */
function fill(account: Account, now: number, units = 0): void {
  const by = (now - account.at) * account.perMs;
  account.at = now;
  account.level = Math.min(account.capacity, account.level + by);
  const spilt = account.level + units - account.capacity;
  account.level = Math.min(account.capacity, account.level + units);
  if (spilt <= 0 || units === 0) return;
  account.spilt = spilt + (now < account.spiltUntil ? account.spilt : 0);
  account.spiltUntil = now + UNSURE_MS;
}

/** Taken from the ideal bucket. What spilt a moment ago may have found this room, had it come then. */
function take(account: Account, now: number, units: number): void {
  fill(account, now);
  account.level -= units;
  if (now >= account.spiltUntil) return;
  const room = Math.min(units, account.spilt);
  account.spilt -= room;
  account.slack += room;
}

/** Units that a caller was allowed to use. */
export function hold(account: Account, units: number, { now, place }: Moment): void {
  if (account.kind === "slots") account.open++;
  else account.held += units;
  if (account.kind === "rate") take(account, now, units);
  account.idle?.moved(place, -units, now);
}

/** `units` of a hold are no longer held. */
export function letGo(account: Account, units: number, { now, place }: Moment): void {
  if (account.kind === "slots") account.open--;
  else account.held -= units;
  if (account.kind === "rate") fill(account, now, units);
  account.idle?.moved(place, units, now);
}

export interface Charge {
  readonly units: number;
  /** Of these: covered by nobody, as the engine says. */
  readonly overage: number;
  /** Of these: above what was held for them. */
  readonly excess: number;
}

export function charge(account: Account, charged: Charge, { now, place }: Moment): void {
  const { units, overage, excess } = charged;
  account.charged += units;
  account.overage += overage;
  account.excess += excess;
  if (account.kind === "rate") take(account, now, units - overage);
  account.idle?.moved(place, -units, now);
}

/** What is wrong here; "": nothing. */
export function fault(account: Account): string {
  const { name, kind, capacity, held, charged, overage, excess, open, level, perMs, slack } =
    account;
  if (overage > excess) return `I1 ${name}: overage ${overage} of ${excess} above the holds`;
  if (kind === "budget" && charged + held - overage > capacity) {
    return `I1 ${name}: committed ${charged} held ${held} overage ${overage} of ${capacity}`;
  }
  if (kind === "rate" && level < -1 - perMs - slack) {
    return `I5 ${name}: an ideal bucket is at ${level.toFixed(2)}, slack ${slack}`;
  }
  if (kind === "slots" && open > capacity) return `I6 ${name}: ${open} open of ${capacity}`;
  return "";
}
