/**
 * The lease store: where the units of a limit live for the whole fleet. A holder (this sidecar) spends only
 * units that the store has debited for it. `memory:` implements this in the process; Redis does for a fleet.
 *
 * Per ledger a holder keeps cumulative totals that only grow, and every message carries them, so that a lost,
 * repeated or reordered message charges nothing twice: the store merges each by its maximum.
 *
 *   granted   A  units that the store gave this holder
 *   spent     U  units settled here
 *   returned  R  units given back unspent
 *   beyond    V  units spent or held here that no grant covered: overage, soft and shadow limits, what has
 *                already happened
 *
 *   out = A + V − U − R ≥ 0     what the holder has and has reported neither as spent nor as returned
 */
import type { LedgerAnswer, LedgerBlock, LedgerReading } from "../core/lease/ledger.ts";

/** The store could not answer; what was asked may or may not have happened. */
export interface StoreFault {
  readonly fault: string;
}

export interface LeaseStore {
  /**
   * Settles and asks, all ledgers of one message in one atomic step: the totals are merged in every block;
   * the needs are granted in all blocks or in none. `done` is called exactly once, in the same turn where
   * the store is in the process. Answers are in the order of the blocks.
   */
  sync(
    blocks: readonly LedgerBlock[],
    done: (answers: readonly LedgerAnswer[] | StoreFault) => void,
  ): void;
  /** Balances without creating anything; `undefined` for a ledger that the store does not have. */
  read(
    keys: readonly string[],
    done: (views: readonly (LedgerReading | undefined)[] | StoreFault) => void,
  ): void;
  close(): Promise<void>;
}
