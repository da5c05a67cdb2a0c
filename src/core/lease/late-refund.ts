/**
 * What a rate's reservation did not use goes back, never above the burst (S13). That happens when it is settled; the
 * store hears of it later. If the bucket was full meanwhile, a refund would have overflowed: credited in full all the
 * same it would let a burst and the late refund through, more than the rate ever allows.
 *
 *   slack = burst − level − out     what the bucket lacks of being full, known whenever a message comes
 *
 *   LR1  A refund raises the level by no more than the least slack since it may have happened.
 *   LR2  It happened after the record's last message but one was answered; until the last one came the bucket lacked
 *        as much more as that told of as spent. (Before a message leaves, the holder settles by itself: what it gives
 *        back then counts as never spent.)
 *   LR3  What has been credited counts as slack that was used, for all refunds that are still to be heard of.
 *
 * Of the slacks those are kept that no later one went below, each at least twice the one before: so they are few, and
 * what is said of the least is never more than it was.
 */
import { atMost } from "./ledger.ts";
import { MAX_UNITS, type Units } from "../units.ts";
import type { HolderRecord, SharedLedger } from "./shared-ledger.ts";

/** Since the version of the low before it the slack was never less. */
export interface Low {
  /** Of the message that found it so. */
  version: number;
  slack: Units;
}

/** A rate has been refilled for a message; what that says comes after. */
export function noteSlack({ rate, spec, out, lows, version }: SharedLedger): void {
  if (!rate) return;
  const slack = Math.min(Math.max(0, spec.capacity - out - rate.level), MAX_UNITS);
  while (slack <= (lows.at(-1)?.slack ?? -1)) lows.pop();
  const last = lows.at(-1);
  if (last && slack < 2 * last.slack) last.version = version + 1;
  else lows.push({ version: version + 1, slack });
}

/** Units of `refunded` that still fit. `spent`: told by the same message, and covered by what the record had out. */
export function fitting(
  { lows, version }: SharedLedger,
  record: HolderRecord,
  { refunded, spent }: { readonly refunded: Units; readonly spent: Units },
): Units {
  const least = lows.find((low) => low.version > record.version)?.slack ?? 0; // (LR1)
  const units = Math.min(refunded, least, record.room);
  for (const low of lows) low.slack = Math.max(0, low.slack - units); // (LR3)
  record.room = atMost(least + spent - units); // (LR2)
  record.version = version + 1;
  return units;
}
