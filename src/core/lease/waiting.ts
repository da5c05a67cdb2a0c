/**
 * Scarce units: who was refused leaves its name, and is woken when units come back; who has some is asked for them.
 *
 *   WT1  A waiter has nothing set aside: it is woken, asks again, and may be refused again.
 *   WT2  What comes back wakes, in their order, as many others as it can serve, each once.
 *   WT3  What comes back and serves none of them is told to all, once: a sidecar that was refused much refuses little
 *        by itself as well, as long as it knows of nothing (S17).
 *   WT4  Units come back by any call that leaves more than there was before it, what it is granted itself set aside:
 *        a return, a higher limit, slots of the dead, an operator. What a rate refills is none: all know of that.
 *   WT5  What an earlier period leaves to a later one comes back to that, and is told to all if somebody waits there:
 *        its own ledger is not at hand, and asking finds who is first.
 *
 * Hints cost no safety when they are lost, and losing all of them costs time alone.
 */
import type { DurationMs, EpochMs } from "../time.ts";
import type { Units } from "../units.ts";
import type { Member } from "./family.ts";
import { available, type LedgerSpec } from "./ledger.ts";
import type { Hint } from "./message.ts";
import { accountOf, carriedAt, type SharedLedger } from "./shared-ledger.ts";

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

const isCrumb = ({ capacity }: LedgerSpec, units: number): boolean => units < capacity / CRUMB;

/** Units came back. */
export function wake(ledger: SharedLedger, own: string, now: EpochMs): Hint[] {
  const hints: Hint[] = [];
  let left = available(accountOf(ledger, now));
  if (isCrumb(ledger.spec, left)) return hints;
  const { key } = ledger.spec;
  dropWaiters(ledger, "", now);
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

/** Units came to the ledger of a later period (WT5). */
export function wakeLater(member: Member, now: EpochMs): Hint[] {
  const units = available({ ...member, carried: carriedAt(member, now) });
  if (member.awaitedUntil <= now || isCrumb(member.spec, units)) return [];
  return [{ kind: "wake", key: member.spec.key, holder: "", units }];
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
