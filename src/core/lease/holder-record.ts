/**
 * The records of a shared ledger: what each lease's holder told, and how the sums follow. See shared-ledger.ts for
 * the rules (SL1 … SL8).
 */
import type { DurationMs, EpochMs } from "../time.ts";
import { MAX_UNITS, type Units } from "../units.ts";
import { atMost, available, grow, outOf, settleRate, type Totals } from "./ledger.ts";
import { fitting } from "./late-refund.ts";
import type { Holder, SyncBlock } from "./message.ts";
import {
  accountOf,
  knows,
  NEVER,
  quarantines,
  rateCap,
  type HolderRecord,
  type RecordState,
  type SharedLedger,
} from "./shared-ledger.ts";

/** A closed record stays for so long, so that a late repetition of its messages finds it. */
const FOLD_MS: DurationMs = 3_600_000;

/** Lapsed holders that one message clears away at most. */
const RECLAIMED_MAX = 8;

/** Of one holder, so that sums of it stay exact. */
const DEMAND_MAX: Units = 2 ** 40;

export function openRecord(ledger: SharedLedger, block: SyncBlock, holder: Holder): HolderRecord {
  const record: HolderRecord = {
    label: holder.label,
    nonce: holder.nonce,
    epoch: holder.epoch,
    seq: 0,
    granted: 0,
    spent: 0,
    returned: 0,
    beyond: 0,
    overage: 0,
    refunded: 0,
    state: "live",
    expiresAt: 0,
    demand: 0,
    fence: ledger.fence,
    version: ledger.version,
    room: MAX_UNITS,
    freesAt: 0,
  };
  ledger.records.set(block.holder, record);
  ledger.live += 1;
  return record;
}

/** Of so many, those who lapse first, is asked when they let go: the cost must not grow with their number. */
const LOOKED_AT = 8;
/** Who has not let go for so long may be dead: what it has is back when it lapses. */
const LATE_MS: DurationMs = 1_000;

/** When the first slot that somebody else has comes free; −1: not known, or some are free. */
export function freesMs(ledger: SharedLedger, holder: string, now: EpochMs): DurationMs {
  if (ledger.spec.kind !== "slots" || available(accountOf(ledger, now)) > 0) return -1;
  const lapsing = Array.from(ledger.records)
    .filter(([, { expiresAt }]) => expiresAt < NEVER)
    .toSorted(([a, one], [b, two]) => one.expiresAt - two.expiresAt || (a < b ? -1 : 1));
  let first = Infinity;
  for (const [id, record] of lapsing.slice(0, LOOKED_AT)) {
    const { state, freesAt, expiresAt } = record;
    if (id === holder || state !== "live" || outOf(record) === 0) continue;
    first = Math.min(first, freesAt + LATE_MS > now ? freesAt : expiresAt);
  }
  return first === Infinity ? -1 : Math.max(0, first - now);
}

/** The totals that a record has once it has heard `block`. */
export function heard(
  ledger: SharedLedger,
  record: Totals & { state: RecordState },
  block: SyncBlock,
): Totals {
  const { spent, returned, beyond } = record;
  // What was granted to a forfeited holder and never reached it has been refilled since (SL5).
  const isForfeited = record.state === "expired" && !quarantines(ledger);
  const granted = isForfeited ? spent + returned - beyond : record.granted;
  return {
    granted: Math.max(granted, block.granted),
    spent: Math.max(spent, block.spent),
    returned: Math.max(returned, block.returned),
    beyond: Math.max(beyond, block.beyond),
  };
}

/** Whether the sums stay exact, and nobody's `out` below zero, once `block` is heard. */
export function fits(
  ledger: SharedLedger,
  record: HolderRecord | undefined,
  block: SyncBlock,
): boolean {
  const before = record ?? NOTHING;
  const after = outOf(heard(ledger, before, block));
  const isOut = before.state === "live" ? outOf(before) : 0;
  const isHeldBack = before.state !== "live" && quarantines(ledger) ? outOf(before) : 0;
  return after >= 0 && ledger.out - isOut + (ledger.quarantined - isHeldBack) + after <= MAX_UNITS;
}

const NOTHING = {
  granted: 0,
  spent: 0,
  returned: 0,
  beyond: 0,
  state: "live" as const,
};

/**
 * Settle, return, refund and register are one: totals merge by their maximum (SL3). `isNew`: the record was not there
 * before this message.
 */
export function absorb(
  ledger: SharedLedger,
  record: HolderRecord,
  block: SyncBlock,
  { isNew, now }: { readonly isNew: boolean; readonly now: EpochMs },
): void {
  const wasExpired = record.state === "expired";
  const isHistory = isNew && knows(block); // it was told before, to a store that has lost it
  const isFirst = isHistory || record.fence !== ledger.fence;
  const before = { ...record };
  if (record.state === "live") ledger.out -= outOf(record);
  else if (quarantines(ledger)) ledger.quarantined -= outOf(record);
  if (record.state !== "live") {
    record.state = "live"; // (SL7)
    ledger.live += 1;
  } else if (record.fence !== ledger.fence && ledger.missing > 0) ledger.missing -= 1;
  record.fence = ledger.fence;
  Object.assign(record, heard(ledger, before, block));
  ledger.out += outOf(record);
  const spent = grow(before.spent, record.spent);
  const returned = grow(before.returned, record.returned);
  const beyond = grow(before.beyond, record.beyond);
  const refunded = grow(record.refunded, block.refunded);
  ledger.settled = atMost(ledger.settled + spent);
  if (isFirst) {
    const granted = grow(before.granted, record.granted);
    ledger.explained = atMost(ledger.explained + (granted - returned) + beyond);
  }
  const overage = grow(record.overage, block.overage);
  record.overage += overage;
  record.refunded += refunded;
  if (ledger.rate) {
    const covered = isNew || wasExpired ? 0 : Math.max(0, spent - beyond);
    const late = { refunded: isHistory ? 0 : refunded, spent: covered };
    const back = (wasExpired ? 0 : returned) + fitting(ledger, record, late);
    const room = rateCap(ledger, now) - ledger.out;
    if (!isHistory) settleRate(ledger.rate, back, beyond, room);
  } else ledger.owed = atMost(ledger.owed + overage);
}

/** Clears away who has been silent for too long, the oldest first, and folds what nobody will ask for again. */
export function reclaim(ledger: SharedLedger, own: string, now: EpochMs): void {
  if (now < ledger.learningUntil) return; // (SL6)
  const lapsed: [string, HolderRecord][] = [];
  for (const entry of ledger.records) if (entry[1].expiresAt <= now) lapsed.push(entry);
  if (lapsed.length === 0) return;
  const due = lapsed
    .sort(([a, x], [b, y]) => x.expiresAt - y.expiresAt || (a < b ? -1 : 1))
    .slice(0, RECLAIMED_MAX + 1)
    .filter(([id]) => id !== own)
    .slice(0, RECLAIMED_MAX);
  for (const [id, record] of due) {
    if (record.state === "live") lapse(ledger, record, quarantines(ledger) ? NEVER : now + FOLD_MS);
    else foldRecord(ledger, id, record);
  }
}

/** What it has out is quarantined or, of a rate or slots, forfeited. */
function lapse(ledger: SharedLedger, record: HolderRecord, expiresAt: EpochMs): void {
  leave(ledger, record);
  if (record.fence !== ledger.fence && ledger.missing > 0) ledger.missing -= 1;
  ledger.out -= outOf(record);
  if (quarantines(ledger)) ledger.quarantined += outOf(record);
  record.state = "expired";
  record.expiresAt = expiresAt;
}

/** Its totals stay in the sums; whoever still speaks in its name is refused. */
export function foldRecord(ledger: SharedLedger, id: string, record: HolderRecord): void {
  ledger.foldedMint = Math.max(ledger.foldedMint, mintedAt(id));
  ledger.folded = atMost(ledger.folded + record.spent);
  ledger.records.delete(id);
}

/** When a lease was made: the first digits of its id. */
export const mintedAt = (id: string): EpochMs => Number.parseInt(id.slice(0, 12), 16);

/** A record that is live no more has no part in the sums of those that are (SL8). */
function leave(ledger: SharedLedger, record: HolderRecord): void {
  hearDemand(ledger, record, 0, 0);
  ledger.live -= 1;
}

export function hearDemand(
  ledger: SharedLedger,
  record: HolderRecord,
  demand: Units,
  mean: Units,
): void {
  const heardOf = Math.min(demand, DEMAND_MAX);
  ledger.askers += (heardOf > 0 ? 1 : 0) - (record.demand > 0 ? 1 : 0);
  ledger.demand += heardOf - record.demand;
  record.demand = heardOf;
  if (mean > 0) ledger.mean += ledger.mean > 0 ? Math.floor((mean - ledger.mean) / 16) : mean;
}

/** The holder is done: nothing is out, or what the totals do not prove is quarantined. */
export function closeRecord(
  ledger: SharedLedger,
  record: HolderRecord,
  block: SyncBlock,
  now: EpochMs,
): void {
  if (block.close === 2) {
    lapse(ledger, record, NEVER);
    record.state = "retired";
  } else if (block.close === 1 && outOf(record) === 0) {
    leave(ledger, record);
    record.state = "closed";
    record.expiresAt = now + FOLD_MS;
  } else if (block.close === 1) hearDemand(ledger, record, 0, 0);
}
