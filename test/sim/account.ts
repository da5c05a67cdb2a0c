/**
 * One ledger as its callers know it: what they were allowed, what they spent, and what must never be.
 *
 *   I1  budgets: committed and held, less overage, never exceed the most that was ever the limit; overage never
 *       exceeds what actuals were above their holds
 *   I2  a reservation is charged once
 *   I5  rates: an ideal bucket, filled by true time, is never below 0 (less than one unit for rounding, and half a
 *       second of refill for each loss of what was not confirmed); what a reservation did not use is back in it at
 *       once, or overflows
 *   I6  slots: no more are open than the most that was ever allowed
 *
 * It is conservative: what the callers of a process that died without its journal held counts as spent.
 */
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
  /** Rates: the ideal bucket. */
  level: number;
  at: number;
  readonly perMs: number;
  /** What a loss of unconfirmed writes may have cost. */
  slack: number;
  /** When `unspent` last was below each amount: see idle.ts. */
  readonly lows: { at: number; unspent: number }[];
}

export interface AccountOptions {
  readonly name: string;
  readonly kind: Kind;
  readonly capacity: number;
  /** Rates: units a ms. */
  readonly perMs: number;
  readonly now: number;
}

export const newAccount = ({ name, kind, capacity, perMs, now }: AccountOptions): Account => ({
  name,
  kind,
  capacity,
  held: 0,
  charged: 0,
  overage: 0,
  excess: 0,
  open: 0,
  level: capacity,
  at: now,
  perMs,
  slack: 0,
  lows: [{ at: now, unspent: capacity }],
});

/** Booking ahead: how much refill an unconfirmed loss may hide. */
const BOOKED_MS = 500;

export function lossAt(account: Account): void {
  if (account.kind === "rate") account.slack += Math.ceil(account.perMs * BOOKED_MS);
}

/** The ideal bucket, with `units` more that came by time or came back. */
function fill(account: Account, now: number, units = 0): void {
  const by = (now - account.at) * account.perMs;
  account.at = now;
  account.level = Math.min(account.capacity, account.level + by);
  account.level = Math.min(account.capacity, account.level + units);
}

/** What nobody has spent or holds. */
export const unspent = ({ kind, capacity, charged, held, overage, open }: Account): number =>
  kind === "slots" ? capacity - open : capacity - charged - held + overage;

/** Units that a caller was allowed to use. */
export function hold(account: Account, units: number, now: number): void {
  if (account.kind === "slots") account.open++;
  else account.held += units;
  if (account.kind === "rate") {
    fill(account, now);
    account.level -= units;
  }
  note(account, now);
}

/** `units` of a hold are no longer held. */
export function letGo(account: Account, units: number, now: number): void {
  if (account.kind === "slots") account.open--;
  else account.held -= units;
  if (account.kind === "rate") fill(account, now, units);
  note(account, now);
}

export interface Charge {
  readonly units: number;
  /** Of these: covered by nobody, as the engine says. */
  readonly overage: number;
  /** Of these: above what was held for them. */
  readonly excess: number;
}

export function charge(account: Account, { units, overage, excess }: Charge, now: number): void {
  account.charged += units;
  account.overage += overage;
  account.excess += excess;
  if (account.kind === "rate") {
    fill(account, now);
    account.level -= units - overage;
  }
  note(account, now);
}

/** What is wrong here; "": nothing. */
export function fault(account: Account): string {
  const { name, kind, capacity, held, charged, overage, excess, open, level, slack } = account;
  if (overage > excess) return `I1 ${name}: overage ${overage} of ${excess} above the holds`;
  if (kind === "budget" && charged + held - overage > capacity) {
    return `I1 ${name}: committed ${charged} held ${held} overage ${overage} of ${capacity}`;
  }
  if (kind === "rate" && level < -1 - slack) {
    return `I5 ${name}: an ideal bucket is at ${level.toFixed(2)}, slack ${slack}`;
  }
  if (kind === "slots" && open > capacity) return `I6 ${name}: ${open} open of ${capacity}`;
  return "";
}

const KEPT_MS = 1_000;

/** Remembers how much lay unspent, for as long as L2 may ask. */
function note(account: Account, now: number): void {
  if (account.kind !== "budget") return;
  const { lows } = account;
  lows.push({ at: now, unspent: unspent(account) });
  while (lows.length > 2 && (lows[1]?.at ?? now) < now - KEPT_MS) lows.shift();
}

/** The least that lay unspent at any time in the last `ms`; 0 of a period that began since. */
export function leastUnspent(account: Account, ms: number, now: number): number {
  let least = unspent(account);
  for (const low of account.lows.toReversed()) {
    least = Math.min(least, low.unspent);
    if (low.at <= now - ms) return least;
  }
  return 0;
}
