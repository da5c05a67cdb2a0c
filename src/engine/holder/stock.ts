/**
 * What the holder keeps of one ledger beside the lease itself: what was granted but may not be spent yet, how
 * long the rest may be, and what the store last said.
 *
 *   ST1  `free(lease)` is always what may be spent here and now: units that have not accrued, and units of an
 *        earlier process or before a pause, are credited to the lease only when they may be used.
 *   ST2  What is reported as granted is all of it, credited or not.
 *   ST3  A timed lease (rate, slots, `once`) is spent only before its end, counted from when the request
 *        that renewed it first left. Budgets of a calendar period need no clock but the period's end.
 *   ST4  A reservation on slots or a `once` budget is made only if the store knows that it may live so long.
 *   ST5  The store keeps them no longer for a dead holder than its reservations could live, but for a little that
 *        lets the next one begin without asking (S27).
 */
import type { Closing, SyncBlock, Witness } from "../../core/lease/message.ts";
import type { DurationMs } from "../../core/time.ts";
import { MAX_UNITS, type Units } from "../../core/units.ts";
import type { Timed } from "../deadline-heap.ts";
import { booked, firstEnd, free, type Lease } from "../lease.ts";
import { GRACE } from "../reservations.ts";
import { demandAt, forecast, newDemand, type Demand } from "./demand.ts";
import type { Sent } from "./exchange.ts";
import type { Fallback } from "./fallback.ts";
import { DRIFT } from "./store-clock.ts";

/** The usual horizon of a lease, ms. */
export const HORIZON = 2_000;

/** Of a rate: units that accrue evenly from one moment to another (mono). */
interface Slice {
  units: Units;
  from: number;
  readonly to: number;
}

/** Changed in place: one owner, the holder. `deadline`: when upkeep next looks at it. */
export interface Stock extends Timed {
  readonly lease: Lease;
  /** The tenant uid, or the platform's, whose shard it is in. */
  readonly uid: string;
  /** Names its record at the ledger. */
  id: string;
  seq: number;
  inFlight: Sent | undefined;
  /** The store has answered this process about it. */
  heard: boolean;
  heardAt: number;
  /** When the message left that was answered last. */
  heardFor: number;
  slices: Slice[];
  /** Granted, but not before the store has answered again: after a restart or a pause. */
  frozen: Units;
  witness: Witness;
  /** End of a timed lease (mono). */
  expiresAt: number;
  /** The store keeps reservations that end before this (mono). */
  coveredUntil: number;
  /** Slots: by then the store has back all that are taken now, if nobody prolongs anything (mono). */
  takenUntil: number;
  /** Slots: when the first that another one has comes free (mono); Infinity: not known. */
  freesAt: number;
  /** Longest ttl of a reservation on it. */
  longestTtl: number;
  /** The longest that was asked for of late (ST5), and when (mono). */
  lately: { ttlMs: number; at: number };
  /** Of the spec that the store has heard of. */
  toldVersion: number;
  /** Of what is spent, less what went beyond: so much has left in a message. */
  sentSpent: Units;
  readonly demand: Demand;
  /** How far ahead to ask; 0: direct. */
  horizon: number;
  learningUntil: number;
  /** Live holders as last heard. */
  holders: number;
  /** All is used as far as the store knows: see scarcity.ts. */
  dry: boolean;
  /** Units that an answer or a hint has shown last, and when. */
  shown: number;
  shownAt: number;
  /** Until then nothing is asked that has been refused. */
  quietUntil: number;
  quietFrom: Units;
  backoff: number;
  /** Dry: nobody asks before this for more than was shown. */
  hushUntil: number;
  /** Until then our name is at the store, and a hint comes when units come back. */
  listedUntil: number;
  /** Who asks as much would hear the same before this. */
  shortUntil: number;
  shortFrom: Units;
  /** Operations that wait for it. */
  waits: number;
  askedAt: number;
  sentAt: number;
  /** When the store should hear of it again. */
  settleAt: number;
  /** It must, whatever has changed. */
  forced: boolean;
  /** When free units go back: in direct mode, or on a recall (keeping some); 0: not planned. */
  returnAt: number;
  giveAt: number;
  giveKeep: Units;
  /** It was made before its period began, and nobody has asked for it yet. */
  isSeed: boolean;
  /** A lease of the next period was asked for. */
  hasSeeded: boolean;
  /** Nobody needs it any more: settled, returned, then forgotten. */
  closing: boolean;
  /** It is another process's, or this one's from before its journal failed: told once, and then forgotten. */
  retiring: boolean;
  /** While it is retired: who has taken over all that was held on it. */
  heir: Stock | undefined;
  /** Of an outage: what was admitted without the store. */
  fallback: Fallback | undefined;
}

const NEVER = -Infinity;
const UNKNOWN: Witness = { fence: 0, version: 0, used: 0, carried: 0 };

/** Ledgers are named by whose they are first. */
export const uidOf = (key: string): string => key.slice(0, key.indexOf("\0"));

export const newStock = (lease: Lease, id: string, mono: number): Stock => ({
  lease,
  uid: uidOf(lease.spec.key),
  id,
  deadline: mono,
  slot: -1,
  seq: 0,
  inFlight: undefined,
  heard: false,
  heardAt: NEVER,
  heardFor: NEVER,
  slices: [],
  frozen: 0,
  witness: UNKNOWN,
  expiresAt: NEVER,
  coveredUntil: NEVER,
  takenUntil: NEVER,
  freesAt: Infinity,
  longestTtl: 0,
  lately: { ttlMs: 0, at: NEVER },
  toldVersion: lease.spec.version,
  sentSpent: 0,
  demand: newDemand(mono),
  horizon: HORIZON,
  learningUntil: NEVER,
  holders: 1,
  dry: false,
  shown: -1,
  shownAt: NEVER,
  quietUntil: NEVER,
  quietFrom: Infinity,
  backoff: 100,
  hushUntil: NEVER,
  listedUntil: NEVER,
  shortUntil: NEVER,
  shortFrom: Infinity,
  waits: 0,
  askedAt: NEVER,
  sentAt: NEVER,
  settleAt: mono,
  forced: false,
  returnAt: 0,
  giveAt: 0,
  giveKeep: 0,
  isSeed: false,
  hasSeeded: false,
  closing: false,
  retiring: false,
  heir: undefined,
  fallback: undefined,
});

/** A budget that lives as long as it is used. */
export const isOnce = ({ lease }: Stock): boolean => lease.spec.idleMs !== undefined;

/** Its lease ends with time (ST3). */
export const isTimed = (stock: Stock): boolean =>
  stock.lease.spec.kind !== "budget" || isOnce(stock);

/** The store must know how long a reservation on it may live (ST4). */
export const isLasting = (stock: Stock): boolean =>
  stock.lease.spec.kind === "slots" || isOnce(stock);

/** The store has answered about these very numbers: others, another answer. */
export const isTold = ({ toldVersion, lease }: Stock): boolean => toldVersion >= lease.spec.version;

/** Total granted, as the store counts it (ST2). */
export const reported = (stock: Stock): Units => stock.lease.granted + booked(stock.lease);

/** Whether as much is booked, and only has to accrue. */
export const isBooked = (stock: Stock, need: Units): boolean =>
  stock.slices.length > 0 && free(stock.lease) + booked(stock.lease) >= need;

/** Until the next unit of a slice accrues; Infinity: there is none. */
export function nextAccrual({ slices }: Stock, mono: number): number {
  let next = Infinity;
  for (const slice of slices) next = Math.min(next, Math.max(slice.from, mono) + 5);
  return next;
}

/** Brings it up to `mono`: credits what has accrued, drops what has lapsed (ST1, ST3). */
export function ripen(stock: Stock, mono: number): void {
  if (stock.retiring) return; // what is open there is not this process's to give back
  if (isTimed(stock) && mono >= stock.expiresAt) return lapse(stock);
  if (stock.slices.length === 0) return;
  const rest: Slice[] = [];
  for (const slice of stock.slices) {
    const left = mono >= slice.to ? 0 : unaccrued(slice, mono);
    stock.lease.granted += slice.units - left;
    if (left === 0) continue;
    slice.units = left;
    slice.from = Math.max(slice.from, mono);
    rest.push(slice);
  }
  stock.slices = rest;
}

const unaccrued = ({ units, from, to }: Slice, mono: number): Units =>
  mono <= from ? units : Math.ceil((units * (to - mono)) / (to - from));

/** The lease is over: what is free of it is dropped, and the store decides whether it was forfeited. */
function lapse(stock: Stock): void {
  thaw(stock);
  if (giveAllBack(stock)) stock.forced = true;
}

/** Gives back what is free, what has not accrued included; whether it was anything. */
export function giveAllBack(stock: Stock): boolean {
  for (const slice of stock.slices) stock.lease.granted += slice.units;
  stock.slices = [];
  return giveBack(stock, 0);
}

/** Nothing of it may be spent until the store has answered again, nor what comes free meanwhile. */
export function freeze(stock: Stock): void {
  stock.heard = false;
  const units = free(stock.lease);
  stock.lease.granted -= units;
  stock.frozen += units;
  if (isTimed(stock)) stock.expiresAt = NEVER;
}

export function thaw(stock: Stock): void {
  stock.lease.granted += stock.frozen;
  stock.frozen = 0;
}

/** Units that came with an answer: at once, or evenly from `from` to `to`. */
export function credit(stock: Stock, units: Units, from: number, to: number): void {
  if (to > 0 && units > 0) stock.slices.push({ units, from, to });
  else stock.lease.granted += units;
}

/** Gives back all that is free and is not kept; whether it was anything. Before a message leaves, never after. */
export function giveBack({ lease }: Stock, keep: Units): boolean {
  const units = Math.floor(free(lease) - keep);
  if (units <= 0) return false;
  lease.returned += units;
  lease.dirty = true;
  return true;
}

/** Units that the horizon is expected to ask for. */
export function ahead(stock: Stock, reach: number, mono: number): Units {
  const { demand, lease, horizon } = stock;
  const units = forecast(demand, reach, Math.max(HORIZON, horizon), mono);
  return lease.spec.kind === "budget" ? Math.min(units, atStake(stock, mono)) : units;
}

/**
 * The most that is kept in stock of a budget: if this process dies it counts as spent (S27). Three seconds of its
 * demand or a hundredth of what is left, whichever is more, and never more than half of what is left.
 */
function atStake({ demand, lease }: Stock, mono: number): Units {
  const left = Math.max(0, lease.view.available);
  const most = Math.max(demandAt(demand, mono) * 3_000, left / 100);
  return Math.floor(Math.min(most, left / 2));
}

export interface Asking {
  /** Target for what is out, beyond what reservations hold; 0: no more than there is. */
  readonly more: Units;
  readonly need: Units;
  readonly close: Closing;
}

export const JUST_SETTLE: Asking = { more: 0, need: 0, close: 0 };

/** For how long an idle ledger keeps a lease, ms. */
export const IDLE = 5_000;

export const isIdle = ({ demand, horizon }: Stock, mono: number): boolean =>
  mono - demand.askedAt > Math.max(IDLE, horizon);

interface Moment {
  readonly mono: number;
  /** The store's clock. */
  readonly at: number;
  readonly ttlMs: number;
  readonly graceMs: number;
  /** For how long what waits for these units would hold them; Infinity: nothing waits. */
  readonly waitsFor: DurationMs;
}

/** Its part of a message. What is to be returned was debited before (LE2). */
export function blockOf(stock: Stock, asking: Asking, moment: Moment): SyncBlock {
  const { lease, demand } = stock;
  const { mono } = moment;
  // What a rate granted by other numbers is not theirs to spend, and would count as debt where they are lower.
  if (lease.spec.kind === "rate" && !isTold(stock)) giveAllBack(stock);
  stock.seq++;
  lease.dirty = false;
  stock.sentSpent = lease.spent - lease.beyond;
  const openMs = openFor(stock, moment);
  return {
    spec: lease.spec,
    holder: stock.id,
    seq: stock.seq,
    granted: reported(stock),
    spent: lease.spent,
    returned: lease.returned,
    beyond: lease.beyond,
    overage: lease.overage,
    refunded: lease.refunded,
    want: asking.more > 0 ? atMost(lease.reserved + asking.more) : 0,
    need: asking.need,
    demand: isIdle(stock, mono) ? 0 : atMost(Math.ceil(demandAt(demand, mono) * 1_000)),
    mean: atMost(Math.ceil(demand.mean)),
    witness: stock.witness,
    close: asking.close,
    openMs,
    firstMs: firstOf(stock, asking, moment),
    lifeMs: lifeOf(stock, openMs, moment),
  };
}

const atMost = (units: number): Units => Math.min(units, MAX_UNITS);

/** Part of a lease's time to live within which it is sure to be renewed: a third of it is the rule. */
const AHEAD = 0.4;

/** How long a reservation here may still be open if this process dies now, or one like those of late (ST5). */
function openFor(stock: Stock, { mono, ttlMs }: Moment): number {
  if (!isLasting(stock)) return 0;
  let latest = mono;
  for (const { deadline } of stock.lease.takers) latest = Math.max(latest, deadline);
  const { ttlMs: asked, at } = stock.lately;
  const next = mono - at > ttlMs ? 0 : AHEAD * ttlMs + asked;
  const openMs = Math.max(latest - mono, next);
  return Math.ceil((openMs + 5) / (1 - DRIFT)) + 1;
}

/** Until the first slot comes free here by itself; 0: one is idle. */
function firstOf({ lease }: Stock, { need }: Asking, { mono, waitsFor }: Moment): DurationMs {
  if (lease.spec.kind !== "slots" || free(lease) > 0) return 0;
  const first = Math.min(need > 0 ? mono + waitsFor : Infinity, firstEnd(lease));
  return first === Infinity ? 0 : Math.ceil(Math.max(0, first - mono) / (1 - DRIFT)) + 1;
}

/** How long the ledger is of use: past its end a late commit may still come (S19). */
function lifeOf(stock: Stock, openMs: number, { at, ttlMs, graceMs }: Moment): number {
  const { spec } = stock.lease;
  const beyond = ttlMs + graceMs + openMs;
  if (spec.kind === "budget") {
    if (spec.idleMs !== undefined) return spec.idleMs + GRACE + beyond;
    return Math.max(0, spec.end - at) + GRACE + stock.longestTtl + beyond;
  }
  // Longer than all leases of it: then a store whose clock is set ahead finds it, and learns who is there.
  if (spec.kind === "slots") return beyond + ttlMs;
  const toFull = Math.ceil((spec.capacity + stock.lease.beyond) / Math.max(1, spec.refill.units));
  return Math.min(toFull * spec.refill.everyMs, MAX_UNITS / 2) + beyond;
}

/** When a lease that was asked for at `sent` is over here: earlier than at the store, whatever the clocks. */
export const endOfLease = (sent: number, lastsMs: number): number =>
  sent + lastsMs * (1 - DRIFT) - 5;
