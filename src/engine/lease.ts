/**
 * The holder's side of one ledger: the units that this sidecar may spend without asking anybody.
 *
 *   free = granted + beyond − spent − returned − reserved
 *
 *   LE1  free ≥ 0, always.
 *   LE2  Until the store folds them all totals that a message has told only grow; `returned` grows before the
 *        message that reports it leaves.
 *   LE3  What no grant covered is counted in `beyond` as well, so that `out` at the store stays true.
 *   LE4  A rate spends at once what it reserves and refunds what was not used: refill goes on meanwhile.
 *   LE5  What is not used while no message has told of as much that was spent here, is not spent: a fleet's store
 *        hears too late of a refund to know whether it still fits.
 *   LE6  What comes free of a hold that was counted beyond when the totals began anew goes back to the store: an
 *        earlier record may still have the same units out, and used.
 *
 * Worked example: granted 100, a reservation of 60 (reserved 60, free 40) is committed with 70: spent 70,
 * reserved 0, free 30. The 30 go back with the next message: returned 30, free 0.
 */
import { assert } from "../core/assert.ts";
import type { LedgerBlock, LedgerSpec, LedgerView } from "../core/lease/ledger.ts";
import { refill } from "../core/limit/rate.ts";
import { MAX_UNITS, type Units } from "../core/units.ts";
import type { Stock } from "./holder/stock.ts";

/** Changed in place: one owner, the engine. */
export interface Lease {
  spec: LedgerSpec;
  /** The store's side as last heard. */
  view: LedgerView;
  granted: Units;
  spent: Units;
  returned: Units;
  beyond: Units;
  overage: Units;
  refunded: Units;
  /** Held by reservations, those that expired with `on_expiry: charge` included. Slots: open ones. */
  reserved: Units;
  /** Rates only: held by open reservations, and counted as spent already (LE4). */
  pending: Units;
  /** Part of `reserved`: expired, shown as charged, settled at the end of grace (S18). */
  lapsed: Units;
  /** Parts of the totals that the store has heard of, as its view has them. */
  toldSpent: Units;
  toldBeyond: Units;
  toldReturned: Units;
  toldOverage: Units;
  toldRefunded: Units;
  /** Most that is left in `reserved` of what {@link rebase} counted beyond (LE6). */
  unbacked: Units;
  /** Slots and `once` budgets: who holds them, by deadline. */
  readonly takers: Set<{ readonly deadline: number }>;
  /** Reservations that can still change this lease. */
  holds: number;
  /** The start of the n-th period after the next; undefined where no debt is carried on. */
  later: ((n: number) => number | undefined) | undefined;
  /** The ledger of the next period, where it may be opened before it begins; undefined: it may not. */
  readonly next: (() => LedgerSpec | undefined) | undefined;
  /** Last time that an operation named it (mono). */
  usedAt: number;
  /** Steps of `at` whose passing has been told, in the order of the rule. */
  notified: number;
  /** The store has to hear of it at the end of the turn. (A hold of granted units can wait.) */
  dirty: boolean;
  /** Part of `beyond`: drawn in this turn, and the store has not heard of it. */
  drawn: Units;
  /** It is on the list of those to be looked at at the end of the turn. */
  touched: boolean;
  /** It is on the list of those that the store hears of later (FU4). */
  waits: boolean;
  /** Its period is over, or its limit gone: forgotten as soon as nothing is held. */
  retired: boolean;
  /** What a holder keeps beside it, where the store is a fleet's. */
  stock: Stock | undefined;
}

/** Whoever holds them has to be known by deadline. */
export const hasTakers = ({ kind, idleMs }: LedgerSpec): boolean =>
  kind === "slots" || idleMs !== undefined;

const NOBODY: Set<{ readonly deadline: number }> = new Set();

export const createLease = (
  spec: LedgerSpec,
  view: LedgerView,
  mono: number,
  periods?: Pick<Lease, "later" | "next">,
): Lease => ({
  spec,
  view,
  later: periods?.later,
  next: periods?.next,
  granted: 0,
  spent: 0,
  returned: 0,
  beyond: 0,
  overage: 0,
  refunded: 0,
  reserved: 0,
  pending: 0,
  lapsed: 0,
  unbacked: 0,
  toldSpent: 0,
  toldBeyond: 0,
  toldReturned: 0,
  toldOverage: 0,
  toldRefunded: 0,
  takers: hasTakers(spec) ? new Set() : NOBODY,
  holds: 0,
  usedAt: mono,
  notified: 0,
  dirty: false,
  drawn: 0,
  touched: false,
  waits: false,
  retired: false,
  stock: undefined,
});

/** When the first of those who hold it expires (mono); Infinity: nobody does. Without sorting: each refusal asks. */
export function firstEnd({ takers }: Lease): number {
  let first = Infinity;
  for (const { deadline } of takers) first = Math.min(first, deadline);
  return first;
}

/** Units that were granted here, and may not be spent yet: they have to accrue, or the store to be heard. */
export function booked({ stock }: Lease): Units {
  if (!stock) return 0;
  let units = stock.frozen;
  for (const slice of stock.slices) units += slice.units;
  return units;
}

/** Whether its view is the store's word, and not a guess. */
export const isHeard = ({ stock }: Lease): boolean => stock === undefined || stock.heard;

/** Units that may be taken here and now. */
export const free = (lease: Lease): Units =>
  lease.granted - lease.returned + (lease.beyond - lease.spent) - lease.reserved;

/** Settled by the fleet as last heard, and here since. */
export const settled = (lease: Lease): Units =>
  Math.min(lease.view.spent + (lease.spent - lease.toldSpent), MAX_UNITS);

/**
 * What an operation could take: at the store as last heard, brought up to now, and here. A budget's overdraft
 * is included. Negative: debt, or a lowered limit.
 */
export function available(lease: Lease, mono: number): number {
  const { spec, view } = lease;
  const level = levelAt(spec, view, mono) + booked(lease);
  const back = comingBack(lease);
  const there = view.rate ? Math.min(level + back, Math.max(level, spec.capacity)) : level + back;
  return Math.max(there + free(lease) - (lease.beyond - lease.toldBeyond), -MAX_UNITS);
}

/** What the store has debited for this holder and has heard of neither as spent nor as returned. */
export const outHere = (lease: Lease): Units => free(lease) + lease.reserved + booked(lease);

/** What other holders have out, of a rate perhaps ahead of its refill. */
export const elsewhere = (lease: Lease): Units =>
  lease.stock ? Math.max(0, lease.view.out - outHere(lease)) : 0;

/** Units that are no longer out here, and of which the store has not heard. */
export const comingBack = (lease: Lease): Units =>
  lease.returned - lease.toldReturned + (lease.refunded - lease.toldRefunded);

/** What the store could grant at `mono`, if nobody takes anything. */
export function levelAt(spec: LedgerSpec, view: LedgerView, mono: number): number {
  if (!view.rate) return view.available;
  const rate = { ...view.rate };
  refill(rate, spec.refill, Math.max(0, spec.capacity - view.out), mono);
  return rate.level;
}

/** Overage that blocks the limit until it is paid. */
export function debt(lease: Lease, mono: number): Units {
  const { view, overage, toldOverage } = lease;
  if (!view.rate && view.debt === 0 && overage === toldOverage) return 0;
  const most = Math.max(0, -available(lease, mono) - (view.rate ? elsewhere(lease) : 0));
  return view.rate ? most : Math.min(view.debt + overage - toldOverage, most);
}

const isRate = (lease: Lease): boolean => lease.spec.kind === "rate";

/** The store has heard of all that was ever used, held beyond and returned. */
export const isAllTold = (lease: Lease): boolean =>
  lease.spent === lease.toldSpent &&
  lease.returned === lease.toldReturned &&
  lease.beyond === lease.toldBeyond &&
  lease.overage === lease.toldOverage &&
  lease.refunded === lease.toldRefunded;

/** Holds `units` that are free. */
export function hold(lease: Lease, units: Units): void {
  if (isRate(lease)) {
    lease.spent += units;
    lease.pending += units;
    lease.dirty = true; // or the store takes it for out, and refills less
  } else lease.reserved += units;
  assert(free(lease) >= 0, "LE1");
}

/** How much of `units` can still be counted beyond what was granted: counters stop at 2^53−1. */
export const countable = (lease: Lease, units: Units): Units =>
  Math.max(0, Math.min(units, MAX_UNITS - lease.granted - lease.beyond));

/** Holds `units` that nobody granted: soft and shadow limits, and what has already happened. */
export function holdBeyond(lease: Lease, units: Units): void {
  lease.beyond += units;
  lease.dirty = true;
  hold(lease, units);
}

/** Takes `units` that are known to be there, before the store is told. */
export function draw(lease: Lease, units: Units): void {
  lease.beyond += units;
  lease.drawn += units;
}

/** What was drawn and is still free was never taken. */
export function undraw(lease: Lease): void {
  const unused = Math.min(lease.drawn, free(lease));
  lease.beyond -= unused;
  lease.drawn -= unused;
}

/** Spent out of what was granted, and in no message yet: it can still be as if it had never been spent (LE5). */
const untoldSpent = ({ spent, beyond, stock }: Lease): Units =>
  stock ? Math.max(0, spent - beyond - stock.sentSpent) : 0;

/** Gives `units` of a hold back unused. */
export function unhold(lease: Lease, units: Units): void {
  if (isRate(lease)) {
    const untold = Math.min(units, untoldSpent(lease));
    lease.spent -= untold;
    lease.refunded += units - untold;
    lease.pending -= units;
  } else {
    const back = Math.min(units, lease.unbacked);
    lease.reserved -= units;
    lease.unbacked -= back;
    lease.returned += back; // (LE6)
  }
  lease.dirty = true;
  assert(lease.reserved >= 0, "LE1");
}

/** How an actual is paid. */
export interface Payment {
  /** Out of the hold. */
  readonly held: Units;
  /** Out of free units. */
  readonly covered: Units;
  /** By nobody. */
  readonly beyond: Units;
  /** `beyond` is to be paid back before anything new is admitted. */
  readonly owed: boolean;
}

/** Settles an actual. */
export function pay(lease: Lease, payment: Payment): void {
  if (isRate(lease)) {
    lease.spent += payment.covered + payment.beyond;
    lease.pending -= payment.held;
  } else {
    lease.reserved -= payment.held;
    lease.unbacked = Math.min(lease.unbacked, lease.reserved);
    lease.spent += payment.held + payment.covered + payment.beyond;
  }
  lease.beyond += payment.beyond;
  if (payment.owed) lease.overage += payment.beyond;
  lease.dirty = true;
  assert(lease.reserved >= 0 && free(lease) >= 0, "LE1");
}

/** The store's word, as of a moment of this process's clock. */
export const heardAt = <T extends LedgerView>(view: T, mono: number): T =>
  view.rate ? { ...view, rate: { ...view.rate, at: mono } } : view;

/** Gives all that is free back, with the next message (LE2). */
export function returnFree(lease: Lease): void {
  lease.returned += free(lease);
}

/**
 * Begins the totals anew, where nothing that was granted is this holder's: what is held counts beyond; of a rate
 * it counts as spent as well (LE4), or there would be nothing to refund from.
 */
export function rebase(lease: Lease): void {
  lease.granted = 0;
  lease.spent = lease.pending;
  lease.returned = 0;
  lease.beyond = lease.reserved + lease.pending;
  lease.unbacked = lease.reserved;
  lease.overage = 0;
  lease.refunded = 0;
  if (lease.stock) lease.stock.sentSpent = 0;
  forgetTold(lease);
  lease.dirty = true;
}

/** The totals begin anew, and the store has heard of none of them. */
export function forgetTold(lease: Lease): void {
  lease.toldSpent = 0;
  lease.toldBeyond = 0;
  lease.toldReturned = 0;
  lease.toldOverage = 0;
  lease.toldRefunded = 0;
}

/** The store's view counts what a message said. */
export function noteTold(lease: Lease, said: Totals): void {
  lease.toldSpent = Math.max(lease.toldSpent, said.spent);
  lease.toldBeyond = Math.max(lease.toldBeyond, said.beyond);
  lease.toldReturned = Math.max(lease.toldReturned, said.returned);
  lease.toldOverage = Math.max(lease.toldOverage, said.overage);
  lease.toldRefunded = Math.max(lease.toldRefunded, said.refunded);
}

type Totals = Pick<LedgerBlock, "spent" | "beyond" | "returned" | "overage" | "refunded">;

/** The lease's part of a message. */
export function block(lease: Lease, need: Units, close = false): LedgerBlock {
  lease.dirty = false;
  return {
    spec: lease.spec,
    granted: lease.granted,
    spent: lease.spent,
    returned: lease.returned,
    beyond: lease.beyond,
    overage: lease.overage,
    refunded: lease.refunded,
    need,
    close,
  };
}
