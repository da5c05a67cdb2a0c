/**
 * Scarce units: who was refused leaves its name, and is woken when units come back; who has some is asked for them.
 *
 *   WT1  A waiter has nothing set aside: it is woken, asks again, and may be refused again.
 *   WT2  What comes back wakes, in their order, as many others as it can serve, each once.
 *   WT3  What comes back and serves none of them is told to all, once: a sidecar that was refused much refuses little
 *        by itself as well, as long as it knows of nothing (S17).
 *
 * Hints cost no safety when they are lost, and losing all of them costs time alone.
 */
import type { DurationMs, EpochMs } from "../time.ts";
import type { Units } from "../units.ts";
import { available } from "./ledger.ts";
import type { Hint } from "./message.ts";
import { accountOf, type SharedLedger } from "./shared-ledger.ts";

/** More than there are pods that could be served by what is scarce. */
const WAITERS_MAX = 256;
/** Of a limit: so little wakes nobody, and is found by who asks again by himself. */
const CRUMB = 2_000;
/** Nobody is asked twice within so long; and asked for all that is free, if not even so long has passed. */
const RECALL_MS: DurationMs = 25;
const RECALL_AGAIN_MS: DurationMs = 200;

/** Who waits no longer, or asks again now, leaves the list. */
export function dropWaiters(ledger: SharedLedger, own: string, now: EpochMs): void {
  if (ledger.waiters.length === 0) return;
  ledger.waiters = ledger.waiters.filter(({ holder, until }) => until > now && holder !== own);
}

export function addWaiter(ledger: SharedLedger, holder: string, need: Units, until: EpochMs): void {
  if (ledger.waiters.length < WAITERS_MAX) ledger.waiters.push({ holder, need, until });
}

/** Units came back. */
export function wake(ledger: SharedLedger, own: string, now: EpochMs): Hint[] {
  const hints: Hint[] = [];
  let left = available(accountOf(ledger, now));
  if (left < ledger.spec.capacity / CRUMB) return hints;
  const { key } = ledger.spec;
  ledger.waiters = ledger.waiters.filter(({ holder, need }) => {
    if (need > left || holder === own) return true;
    hints.push({ kind: "wake", key, holder, units: left });
    left -= need;
    return false;
  });
  const isForNobody = hints.length === 0 && ledger.waiters.some(({ holder }) => holder !== own);
  if (isForNobody && !ledger.rate) hints.push({ kind: "wake", key, holder: "", units: left }); // (WT3)
  return hints;
}

/** Somebody lacks `units`: who has some is to return what idles, and all that is free when asked again. */
export function recall(ledger: SharedLedger, units: Units, now: EpochMs): Hint[] {
  const passed = now - ledger.recalledAt;
  const level = passed < RECALL_AGAIN_MS ? 2 : 1;
  if (ledger.out === 0 || (passed < RECALL_MS && level <= ledger.recallLevel)) return [];
  ledger.recalledAt = now;
  ledger.recallLevel = level;
  return [{ kind: "recall", key: ledger.spec.key, level, units }];
}
