/**
 * A ledger of a fleet: a record for each lease that is out, and the sums over all of them, so that no step looks
 * at more records than the caller's own and a few that have lapsed.
 *
 *   SL1  out = Σ of what live records have out; quarantined = the same of the expired and retired ones, budgets alone.
 *   SL2  settled = Σ spent, folded records included.
 *   SL3  Totals merge by their maximum: a message that is lost, repeated or late charges nothing twice.
 *   SL4  What a dead holder of a budget had out is never granted again by the passing of time.
 *   SL5  A rate or slot that has lapsed is forfeited: what its holder brings back later adds nothing.
 *   SL6  Nothing lapses while the store is learning: the clock may be another one than that which set the time.
 *   SL7  A closed record has nothing out, and is opened again by who still has totals to tell.
 *   SL8  Demand, and the counts of askers, of live and of missing records, are those of the live records.
 *
 * After a loss of data (a new fence) holders tell their totals again. What a lost history says was used, and
 * nobody has explained by such totals, is held back with the quarantined units: the witness. It says besides what the
 * period before had left to this one (family.ts).
 */
import type { DurationMs, EpochMs } from "../time.ts";
import type { RateBucket } from "../limit/rate.ts";
import { accrue, atMost, payOff, type Account, type LedgerSpec } from "./ledger.ts";
import type { Low } from "./late-refund.ts";
import type { SyncBlock } from "./message.ts";
import { MAX_UNITS, type Units } from "../units.ts";

/** What the script writes into each ledger; one that finds a higher number leaves it alone. */
export const SCHEMA = 1;

/** The time of what never comes. */
export const NEVER: EpochMs = MAX_UNITS;

/** No lost history has said what was carried into a ledger. */
export const UNTOLD = MAX_UNITS;

/** How far ahead a rate is granted before it has accrued. */
export const BOOKING_MS: DurationMs = 500;

/**
 * live: renewed in time. expired: silent for too long. closed: its holder said that nothing is out. retired: its
 * holder lost the proof of what is out.
 */
export type RecordState = "live" | "expired" | "closed" | "retired";

/** One lease, as its holder told of it. */
export interface HolderRecord {
  label: string;
  nonce: string;
  epoch: number;
  seq: number;
  granted: Units;
  spent: Units;
  returned: Units;
  beyond: Units;
  overage: Units;
  refunded: Units;
  state: RecordState;
  /** When the store acts: it lapses, or is folded. */
  expiresAt: EpochMs;
  /** Units a second. */
  demand: Units;
  /** The history in which it was last heard of. */
  fence: number;
  /** Rates: the ledger's version of its last message, and what of later refunds fits by then (late-refund.ts). */
  version: number;
  room: Units;
  /** Slots: when the first of its reservations ends, as it said last. */
  freesAt: EpochMs;
}

/** Who was refused, and wants to be woken. */
export interface Waiter {
  readonly holder: string;
  readonly need: Units;
  readonly until: EpochMs;
}

/** Changed in place: one owner, the shard. */
export interface SharedLedger {
  schema: number;
  spec: LedgerSpec;
  out: Units;
  settled: Units;
  /** Part of `settled` whose records are gone; below zero after a reset. */
  folded: number;
  quarantined: Units;
  owed: Units;
  carried: number;
  rate: RateBucket | undefined;
  /** Rates: how far the bucket was from being full, latest last. */
  lows: Low[];
  /** Rates: after a loss little is out at once until then. */
  cautiousUntil: EpochMs;
  /** One more with each message that changed anything, from when it was made on: one made again later is not older. */
  version: number;
  /** The store's history in which it was last written, when that began here, and until when it only listens. */
  fence: number;
  since: EpochMs;
  learningUntil: EpochMs;
  /** Learning may end as soon as nobody is missing. */
  mayEndEarly: boolean;
  /** The best witness of the history before, and how much of what it says was used is explained by now. */
  lostFence: number;
  lostVersion: number;
  lostUsed: Units;
  /** What that says was carried into it ({@link UNTOLD}: nothing). */
  lostCarried: number;
  explained: number;
  /** Over live records: units a second, who has any, and the mean operation. */
  demand: Units;
  askers: number;
  mean: Units;
  live: number;
  /** Live records that have not been heard of in this history. */
  missing: number;
  waiters: Waiter[];
  recalledAt: EpochMs;
  recallLevel: 0 | 1 | 2;
  /** When the youngest lease was made whose record is folded. */
  foldedMint: EpochMs;
  /** When the whole ledger may be forgotten. */
  lifeEnd: EpochMs;
  readonly records: Map<string, HolderRecord>;
}

/** What opens a ledger, or leads it into a new history. */
export interface History {
  readonly fence: number;
  readonly learningUntil: EpochMs;
  readonly mayEndEarly: boolean;
  /** The store's clock, as it is and as it never goes back. */
  readonly clock: EpochMs;
  readonly now: EpochMs;
  readonly learnMs: DurationMs;
}

/** The holder has heard of this ledger from the store. */
export const knows = ({ granted, witness }: SyncBlock): boolean =>
  granted > 0 || witness.version > 0;

/**
 * One that is not there has been lost, unless this very history has forgotten it, as it does rates and slots of which
 * nothing is out.
 */
const hasLost = (block: SyncBlock, fence: number): boolean =>
  knows(block) && (block.spec.kind === "budget" || block.witness.fence !== fence);

export function createSharedLedger(block: SyncBlock, history: History): SharedLedger {
  const { spec } = block;
  const { fence, now, clock, learnMs } = history;
  const wasThere = hasLost(block, fence);
  const learnsAnew = Math.max(history.learningUntil, now + learnMs);
  const learningUntil = wasThere ? learnsAnew : history.learningUntil;
  const mayEndEarly = history.mayEndEarly && !wasThere;
  const isLost = wasThere || (now < history.learningUntil && !mayEndEarly);
  const level = isLost ? 0 - bookable(spec) : spec.capacity;
  return {
    schema: SCHEMA,
    spec,
    out: 0,
    settled: 0,
    folded: 0,
    quarantined: 0,
    owed: 0,
    carried: 0,
    rate: spec.kind === "rate" ? { level, remainder: 0, at: clock } : undefined,
    lows: [],
    cautiousUntil: spec.kind === "rate" && isLost ? now + learnMs : 0,
    version: now,
    fence,
    since: now,
    learningUntil,
    mayEndEarly,
    lostFence: 0,
    lostVersion: 0,
    lostUsed: 0,
    lostCarried: UNTOLD,
    explained: 0,
    demand: 0,
    askers: 0,
    mean: 0,
    live: 0,
    missing: 0,
    waiters: [],
    recalledAt: 0,
    recallLevel: 0,
    foldedMint: 0,
    lifeEnd: 0,
    records: new Map(),
  };
}

/** What is refilled within the time that a rate may be booked ahead. */
export const bookable = ({ refill }: LedgerSpec): Units =>
  Math.floor((refill.units * BOOKING_MS) / refill.everyMs);

/** Used according to a lost history, and by nobody that has been heard of (budgets alone). */
const unexplained = ({ lostUsed, explained }: SharedLedger): Units =>
  Math.max(0, lostUsed - Math.max(0, explained));

/** What is left over comes with its own period, debt before. */
export const carriedAt = ({ spec, carried }: Account, now: EpochMs): number =>
  now < spec.start ? Math.min(carried, 0) : carried;

/** The sums as the figures are made of them. */
export const accountOf = (ledger: SharedLedger, now: EpochMs): Account => ({
  spec: ledger.spec,
  out: ledger.out,
  settled: ledger.settled,
  quarantined: atMost(ledger.quarantined + unexplained(ledger)),
  owed: ledger.owed,
  carried: carriedAt(ledger, now),
  rate: ledger.rate,
});

/** Used by everybody, what is out included: what a holder tells of the ledger if it is lost. */
export const usedOf = ({ spec, quarantined, settled, out }: Account): Units =>
  spec.kind === "budget" ? atMost(settled + out + quarantined) : out;

/** 0: it grants. A rate never learns: it begins anew with little. */
export function learningMs(ledger: SharedLedger, now: EpochMs): DurationMs {
  const everybodyIsBack = ledger.mayEndEarly && ledger.missing === 0;
  if (everybodyIsBack || ledger.spec.kind === "rate") return 0;
  return Math.max(0, ledger.learningUntil - now);
}

/** The data set is another one than that which was written last: failover, restart, roll-back. */
export function cross(ledger: SharedLedger, history: History): void {
  const open = unexplained(ledger); // still, whatever else is lost
  ledger.lostFence = ledger.fence;
  ledger.lostVersion = ledger.version;
  ledger.explained = atMost(ledger.settled + ledger.out + ledger.quarantined);
  ledger.lostUsed = open > 0 ? atMost(ledger.explained + open) : 0;
  ledger.fence = history.fence;
  ledger.since = history.clock;
  ledger.learningUntil = history.learningUntil;
  ledger.mayEndEarly = history.mayEndEarly;
  ledger.missing = ledger.live;
  ledger.waiters = [];
  const { rate } = ledger;
  if (!rate) return;
  rate.level = Math.min(rate.level, 0 - bookable(ledger.spec)); // leases that are not known here may be out
  rate.remainder = 0;
  rate.at = history.clock;
  ledger.cautiousUntil = history.clock + history.learnMs;
}

/** What one of the previous history's holders had heard. Budgets alone: what they spent never comes back. */
export function hearWitness(ledger: SharedLedger, { witness }: SyncBlock): void {
  if (ledger.spec.kind !== "budget" || witness.fence === 0 || witness.fence >= ledger.fence) return;
  if (witness.fence > ledger.lostFence) {
    ledger.lostFence = witness.fence;
    ledger.lostVersion = 0;
    ledger.lostUsed = 0;
  }
  if (witness.fence === ledger.lostFence && witness.version > ledger.lostVersion) {
    ledger.lostVersion = witness.version;
    ledger.lostUsed = witness.used;
    ledger.lostCarried = witness.carried;
  } else if (
    witness.fence === ledger.lostFence &&
    witness.version === ledger.lostVersion &&
    ledger.lostCarried < UNTOLD
  ) {
    // Settling the period before changes what is carried and not this ledger's version: the less counts (FM4).
    ledger.lostCarried = Math.min(ledger.lostCarried, witness.carried);
  }
}

/** Where units of the dead stay out of reach until somebody says what became of them (SL4). */
export const quarantines = ({ spec }: SharedLedger): boolean => spec.kind === "budget";

/**
 * Refills a rate up to `clock`. One that went back gives no credit, and refill goes on from there. Returns the units
 * that came.
 */
export function refillTo(ledger: SharedLedger, clock: EpochMs, now: EpochMs): Units {
  const { rate, spec, out } = ledger;
  if (!rate) return 0;
  const { level } = rate;
  rate.at = Math.min(rate.at, clock);
  accrue({ rate, out, spec: { ...spec, capacity: rateCap(ledger, now) } }, clock);
  return rate.level - level;
}

/** The most that may be there and out together. After a loss leases may be out that nobody has told of yet. */
export function rateCap({ spec, cautiousUntil }: SharedLedger, now: EpochMs): Units {
  return now < cautiousUntil ? Math.min(spec.capacity, bookable(spec)) : spec.capacity;
}

/** A rate's level makes room for what turned out to be out; others pay what they owe. */
export function balance(ledger: SharedLedger, now: EpochMs): void {
  const { rate } = ledger;
  if (!rate) {
    const account = accountOf(ledger, now);
    payOff(account);
    ledger.owed = account.owed;
  } else if (rate.level > 0) {
    rate.level = Math.min(rate.level, Math.max(0, rateCap(ledger, now) - ledger.out));
  }
}
