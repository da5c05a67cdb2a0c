/**
 * A ledger: the store's account of one limit instance (limit, values of `per`, period) for the whole fleet.
 * `settle` and `grant` are the whole arithmetic of the memory store, whose one holder is the process itself; a
 * fleet's store (shard.ts) keeps a record for each holder and shares how figures are made of sums.
 *
 * A holder reports four cumulative totals that only grow (see ports/lease-store.ts) and two more:
 *   overage   G  of `beyond`, what makes debt: actuals above their holds that no free unit covered
 *   refunded  F  of `spent` on a rate, what was given back: a rate counts a reservation as spent at once, so
 *                that the refill goes on while it is open, and refunds what was not used
 * Each is merged by its maximum: a repeated message changes nothing.
 *
 *   budget  available = units + overdraft + carried − settled − out − quarantined
 *   slots   available = max − out
 *   rate    available = level of the token bucket; level + out ≤ burst after each refill
 *
 *   LG1  out = Σ granted + beyond − spent − returned, and out ≥ 0.
 *   LG2  A grant never exceeds what is available; a refused ask changes no balance.
 *   LG3  Totals only grow until they are folded; merging one message twice equals merging it once.
 *   LG4  debt ≤ overage, and debt > 0 only while available < 0: units that come free pay it first.
 *   LG5  What is carried into a period is at most `rollover`, and below zero only with `carryDebt`.
 *   LG6  No figure leaves the range of exact numbers: sums stop at 2^53−1, balances at −(2^53−1).
 *
 * Worked example: units 100. Grants of 60 and 40: available 0. The first is settled with 80 (spent 80, beyond 20,
 * overage 20): available −20, debt 20. The second is returned whole: available 20, debt 0.
 */
import { assert } from "../assert.ts";
import { fullBucket, refill, type RateBucket, type RateRule } from "../limit/rate.ts";
import type { EpochMs } from "../time.ts";
import { MAX_UNITS, type Units } from "../units.ts";

/** What a limit instance looks like. Of two versions the higher one's numbers hold. */
export interface LedgerSpec {
  /** Identity: tenant uid, limit, meter, values of `per`, period label. */
  readonly key: string;
  readonly kind: "budget" | "rate" | "slots";
  readonly version: number;
  /** budget: units a period; rate: burst; slots: max. */
  readonly capacity: Units;
  readonly overdraft: Units;
  /** Rates: `units` every `everyMs`. Others: unused. */
  readonly refill: RateRule;
  /** The key without its period where something passes into the next period; "" where nothing does. */
  readonly family: string;
  readonly rollover: Units;
  readonly carryDebt: boolean;
  /** `once` budgets: how long the ledger is kept without use; absent: it is not one. */
  readonly idleMs?: number;
  /** Of the period; orders the ledgers of a family. */
  readonly start: EpochMs;
  readonly end: EpochMs;
}

/** One ledger's part of a message: totals of the holder, and what it lacks. */
export interface LedgerBlock {
  readonly spec: LedgerSpec;
  readonly granted: Units;
  readonly spent: Units;
  readonly returned: Units;
  readonly beyond: Units;
  readonly overage: Units;
  readonly refunded: Units;
  /** Units asked for: all of them or none. 0: only settle. */
  readonly need: Units;
  /** The holder has nothing out here and forgets the ledger. */
  readonly close: boolean;
}

export interface LedgerView {
  /** Units of this period, rollover included, overdraft not. */
  readonly limit: Units;
  /** Settled by the whole fleet, carried debt included. */
  readonly spent: Units;
  readonly out: Units;
  readonly quarantined: Units;
  /** What could be granted now; negative: debt, a lowered limit. For a rate: its level at `rate.at`. */
  readonly available: number;
  readonly debt: Units;
  /** What the next period would begin with, as things stand. */
  readonly nextAvailable: number;
  /** Rates only. */
  readonly rate: Readonly<RateBucket> | undefined;
}

/** What a policy says of a ledger, and may say otherwise in its next revision. */
export type LedgerNumbers = Pick<
  LedgerSpec,
  "version" | "capacity" | "overdraft" | "refill" | "rollover" | "carryDebt"
>;

/** Figures that somebody reads who has told the store nothing, and the numbers that they were made under. */
export interface LedgerReading extends LedgerView {
  readonly numbers: LedgerNumbers;
}

/** The latest period of a family, which leaves something to those that follow. */
export interface Predecessor {
  readonly before: Readonly<Account>;
}

/** What a look finds under a key: the ledger, or, where nobody has opened it, what came before. Undefined: neither. */
export type Sight = LedgerReading | Predecessor | undefined;

export const isOpened = (sight: Sight): sight is LedgerReading =>
  sight !== undefined && !("before" in sight);

export interface LedgerAnswer {
  /** Total granted to this holder; of a folded ledger what is out with it. */
  readonly granted: Units;
  /** The store has folded the totals that it was sent: the holder takes them off its own ({@link fold}). */
  readonly folded: boolean;
  /** The need of this block could not be met. */
  readonly short: boolean;
  readonly view: LedgerView;
}

/** The sums over all holders of which the figures are made. Changed in place: one owner, the store. */
export interface Account {
  spec: LedgerSpec;
  out: Units;
  /** Spent by the whole fleet, folded totals included. */
  settled: Units;
  /** Held back: nobody knows whether it was spent. */
  quarantined: Units;
  /** Overage that nothing has paid yet. */
  owed: Units;
  /** Units that the period before left to this one; below zero: debt. */
  carried: number;
  rate: RateBucket | undefined;
}

export interface Ledger extends Account {
  granted: Units;
  spent: Units;
  returned: Units;
  beyond: Units;
  overage: Units;
  refunded: Units;
  /** The next period's ledger, once there is one: what is settled here late still passes on (LG5). */
  after: Ledger | undefined;
}

/** `before`: the ledger of the same family's latest earlier period, if there is one. */
export function createLedger(spec: LedgerSpec, before: Ledger | undefined, now: EpochMs): Ledger {
  const ledger: Ledger = {
    spec,
    granted: 0,
    spent: 0,
    returned: 0,
    beyond: 0,
    overage: 0,
    refunded: 0,
    out: 0,
    settled: 0,
    quarantined: 0,
    owed: 0,
    after: undefined,
    carried: 0,
    rate: spec.kind === "rate" ? fullBucket(spec.refill, now) : undefined,
  };
  if (before) {
    before.after = ledger;
    passOn(before);
  }
  return ledger;
}

/** Merges what the holder says of itself. Units that come back are available at once. */
export function settle(ledger: Ledger, block: LedgerBlock, now: EpochMs): void {
  accrue(ledger, now);
  if (block.spec.version > ledger.spec.version) respec(ledger, block.spec);
  const spent = grow(ledger.spent, block.spent);
  const returned = grow(ledger.returned, block.returned);
  const beyond = grow(ledger.beyond, block.beyond);
  const refunded = grow(ledger.refunded, block.refunded);
  ledger.granted = Math.max(ledger.granted, block.granted);
  ledger.spent += spent;
  ledger.returned += returned;
  ledger.beyond += beyond;
  ledger.refunded += refunded;
  ledger.settled = atMost(ledger.settled + spent);
  ledger.owed = atMost(ledger.owed + grow(ledger.overage, block.overage));
  ledger.overage = Math.max(ledger.overage, block.overage);
  ledger.out = outOf(ledger);
  assert(ledger.out >= 0, "LG1");
  const { rate } = ledger;
  if (rate) {
    const back = returned + refunded;
    settleRate(rate, back, beyond, ledger.spec.capacity - ledger.out);
  } else {
    payOff(ledger);
    passOn(ledger);
  }
}

/** What goes back raises the level up to `room`; what went beyond is debt that refill pays. */
export function settleRate(rate: RateBucket, back: Units, beyond: Units, room: number): void {
  if (back > 0) rate.level = Math.max(rate.level, Math.min(rate.level + back, room));
  if (rate.level >= room) rate.remainder = 0;
  rate.level = Math.max(rate.level - beyond, -MAX_UNITS);
}

export type Totals = Pick<Ledger, "granted" | "spent" | "returned" | "beyond">;

/** LG1, in an order in which every step is exact. */
export const outOf = ({ granted, spent, returned, beyond }: Totals): number =>
  granted - returned + (beyond - spent);

/** A sum as it is kept (LG6). */
export const atMost = (units: number): Units => Math.min(units, MAX_UNITS);

/**
 * Begins the totals anew from what is out, where no message can be lost or repeated: in the process. So they
 * never come near the end of exact numbers, however often the same units go out and come back.
 */
export function fold(ledger: Ledger): void {
  ledger.granted = ledger.out;
  ledger.spent = 0;
  ledger.returned = 0;
  ledger.beyond = 0;
  ledger.overage = 0;
  ledger.refunded = 0;
}

/** Units that came free pay first what is owed (LG4). */
export function payOff(ledger: Account): void {
  ledger.owed = Math.min(ledger.owed, Math.max(0, -available(ledger)));
}

type Flow = Pick<Account, "rate" | "spec" | "out">;

/** Brings a rate up to `now`, under what was out until now. */
export function accrue({ rate, spec, out }: Flow, now: EpochMs): void {
  if (rate) refill(rate, spec.refill, Math.max(0, spec.capacity - out), now);
}

export const grow = (old: Units, total: Units): Units => Math.max(0, total - old);

/** Moves `need` units out to the holder. Only after {@link lacks} said that they are there. */
export function grant(ledger: Ledger, need: Units): void {
  assert(need === 0 || need <= available(ledger), "LG2");
  ledger.granted += need;
  ledger.out += need;
  if (ledger.rate) ledger.rate.level -= need;
  else passOn(ledger);
}

/** Whether `need` units cannot be granted now. */
export const lacks = (ledger: Ledger, need: Units): boolean => need > 0 && need > available(ledger);

/** What could be granted now: see the file's header. May be negative. */
export function available(ledger: Account): number {
  const { spec, rate } = ledger;
  if (rate) return rate.level;
  if (spec.kind === "slots") return spec.capacity - ledger.out;
  const whole = atMost(spec.capacity + spec.overdraft + ledger.carried);
  return Math.max(whole - ledger.settled - ledger.out - ledger.quarantined, -MAX_UNITS);
}

/** LG5: tells the periods that follow what is left to them now; the chain ends where nothing changes. */
function passOn(from: Ledger): void {
  for (let before = from; before.after; before = before.after) {
    const carried = carriedInto(before.after.spec, before);
    if (carried === before.after.carried) return;
    before.after.carried = carried;
    payOff(before.after);
  }
}

/** Idle periods in between left their units unused, and paid debt with them. */
export function carriedInto(spec: LedgerSpec, before: Account): number {
  const used = before.settled + before.out + before.quarantined;
  const left = before.spec.capacity + before.carried - used;
  const debt = atMost(Math.min(owing(before), Math.max(0, -left - before.spec.overdraft)));
  const kept = keep(spec, left < 0 ? 0 - debt : left);
  const idle = Math.round((spec.start - before.spec.end) / (spec.end - spec.start));
  return idle > 0 ? keep(spec, idle * spec.capacity + kept) : kept;
}

/** As much of what is left as may pass on (LG5). */
export const keep = (spec: LedgerSpec, left: number): number =>
  Math.max(Math.min(left, spec.rollover), spec.carryDebt ? -Infinity : 0);

/** Overage of this period and debt carried into it. */
export const owing = (ledger: Account): Units => ledger.owed + Math.max(0, -ledger.carried);

/** How a ledger's units are known to its readers. Bring a rate up to `now` with {@link settle} first. */
export function viewOf(ledger: Account): LedgerView {
  const { spec, rate } = ledger;
  const left = available(ledger);
  const { carried } = ledger;
  const debt = rate ? Math.max(0, -left) : Math.min(owing(ledger), Math.max(0, -left));
  return {
    limit: atMost(spec.capacity + Math.max(0, carried)),
    spent: rate || spec.kind === "slots" ? 0 : atMost(ledger.settled + Math.max(0, -carried)),
    out: ledger.out,
    quarantined: ledger.quarantined,
    available: left,
    debt,
    nextAvailable: nextAvailable(spec, left, debt),
    rate: rate && { level: rate.level, remainder: rate.remainder, at: rate.at },
  };
}

export const readingOf = (ledger: Account): LedgerReading => {
  const { version, capacity, overdraft, refill, rollover, carryDebt } = ledger.spec;
  const { units, everyMs, burst } = refill;
  const numbers = { version, capacity, overdraft, rollover, carryDebt };
  return { ...viewOf(ledger), numbers: { ...numbers, refill: { units, everyMs, burst } } };
};

function nextAvailable(spec: LedgerSpec, left: number, debt: Units): number {
  const unused = Math.min(Math.max(0, left - spec.overdraft), spec.rollover);
  return atMost(spec.capacity + spec.overdraft + unused) - (spec.carryDebt ? debt : 0);
}

/** What a ledger that nobody has opened yet would say. */
export function freshView(spec: LedgerSpec, now: EpochMs, before?: Readonly<Account>): LedgerView {
  const ledger = createLedger(spec, undefined, now);
  if (before && before.spec.start < spec.start) ledger.carried = carriedInto(spec, before);
  return viewOf(ledger);
}

/** New numbers, same account: what is used stays used, and a lower limit makes no debt. */
export function respec(ledger: Account, spec: LedgerSpec): void {
  const { rate } = ledger;
  if (rate) {
    const moved = rate.level + spec.capacity - ledger.spec.capacity;
    const most = Math.max(0, spec.capacity - ledger.out); // a lowered burst may have left more out than it is
    rate.level = Math.max(Math.min(moved, most), Math.min(rate.level, 0));
    if (spec.refill.everyMs !== ledger.spec.refill.everyMs) rate.remainder = 0;
  }
  ledger.spec = spec;
}

type Room = Pick<LedgerSpec, "capacity" | "overdraft">;

/** The view of it under new numbers: a guess, until the store has heard of them. */
export function viewUnder(view: LedgerView, from: Room, to: Room): LedgerView {
  const more = to.capacity - from.capacity;
  const limit = view.limit + more;
  if (view.rate) {
    const { level } = view.rate;
    const moved = Math.max(level + more, Math.min(level, 0));
    return { ...view, limit, available: moved, rate: { ...view.rate, level: moved } };
  }
  const room = more + to.overdraft - from.overdraft;
  const available = view.available + room;
  return { ...view, limit, available, nextAvailable: view.nextAvailable + room };
}
