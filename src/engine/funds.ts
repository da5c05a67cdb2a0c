/**
 * Where the engine gets units, and where it brings them back.
 *
 * This version keeps nothing in stock: a decision asks the store for exactly what it lacks, and what is free
 * at the end of a turn goes back. With a store in the process that is as cheap as a stock and never strands a
 * unit.
 *
 *   FU1  An ask is granted on all its ledgers or on none.
 *   FU2  After `flush` no lease has free units, and the store knows all that was settled.
 */
import type { LedgerAnswer, LedgerBlock, LedgerView } from "../core/lease/ledger.ts";
import type { Units } from "../core/units.ts";
import type { LeaseStore, StoreFault } from "../ports/lease-store.ts";
import { block, free, returnFree, type Lease } from "./lease.ts";

export interface Want {
  readonly lease: Lease;
  /** Units lacking beyond what is free here; ≥ 0. */
  readonly need: Units;
}

export interface Funds {
  /** Asks for all wants at once. `done` hears which were short; none: all were granted. */
  ask(wants: readonly Want[], done: (short: readonly boolean[] | StoreFault) => void): void;
  /** Gets up to `units` without waiting; what it returns is then free on the lease. */
  cover(lease: Lease, units: Units): Units;
  /** What the store knows of a ledger that is not held here, without waiting; undefined: nothing. */
  peek(key: string): LedgerView | undefined;
  /** This lease was used: what is free or settled on it goes to the store at the end of the turn. */
  touch(lease: Lease): void;
  /** Tells the store, and returns what is free. */
  flush(): void;
  /** Forgets a lease that nothing holds any more. */
  close(lease: Lease): void;
}

export const isFault = (answer: object): answer is StoreFault => "fault" in answer;

const ignore = (): void => undefined;

export function createFunds(store: LeaseStore): Funds {
  const touched: Lease[] = [];

  function exchange(
    leases: readonly Lease[],
    blocks: readonly LedgerBlock[],
    done: (answers: readonly LedgerAnswer[] | StoreFault) => void,
  ): void {
    store.sync(blocks, (answers) => {
      if (!isFault(answers)) {
        for (const [i, answer] of answers.entries()) {
          const lease = leases[i];
          const sent = blocks[i];
          if (lease && sent) learn(lease, answer, sent);
        }
      }
      done(answers);
    });
  }

  const funds: Funds = {
    ask(wants, done) {
      if (wants.length === 0) return done([]);
      const leases = wants.map(({ lease }) => lease);
      const blocks = wants.map(({ lease, need }) => block(lease, need));
      for (const lease of leases) funds.touch(lease);
      exchange(leases, blocks, (answers) =>
        done(isFault(answers) ? answers : answers.map(({ short }) => short)),
      );
    },
    cover(lease, units) {
      funds.touch(lease); // whoever covers may be refused by another limit: then it all goes back
      for (let tries = 0; tries < 2; tries++) {
        const lacking = units - free(lease);
        if (lacking <= 0) return units;
        const need = tries === 0 ? lacking : Math.min(lacking, Math.max(0, lease.view.available));
        if (need > 0) exchange([lease], [block(lease, need)], ignore);
      }
      return Math.min(units, free(lease));
    },
    peek(key) {
      let known: LedgerView | undefined;
      store.read([key], (views) => {
        if (!isFault(views)) [known] = views;
      });
      return known;
    },
    touch(lease) {
      if (lease.touched) return;
      lease.touched = true;
      touched.push(lease);
    },
    flush() {
      if (touched.length === 0) return;
      const leases: Lease[] = [];
      const blocks: LedgerBlock[] = [];
      for (const lease of touched) {
        lease.touched = false;
        if (!lease.dirty && free(lease) === 0) continue;
        returnFree(lease);
        leases.push(lease);
        blocks.push(block(lease, 0));
      }
      touched.length = 0;
      if (blocks.length > 0) exchange(leases, blocks, ignore);
    },
    close(lease) {
      returnFree(lease);
      exchange([lease], [block(lease, 0, true)], ignore);
    },
  };
  return funds;
}

/** Credits a grant after it was received: totals, so that a repeated answer adds nothing. */
function learn(lease: Lease, answer: LedgerAnswer, sent: LedgerBlock): void {
  lease.view = answer.view;
  if (answer.folded) return foldOff(lease, answer.granted, sent);
  lease.granted = Math.max(lease.granted, answer.granted);
  lease.toldSpent = Math.max(lease.toldSpent, sent.spent);
  lease.toldBeyond = Math.max(lease.toldBeyond, sent.beyond);
}

/** What was sent is folded at the store: what came after it stays here. */
function foldOff(lease: Lease, granted: Units, sent: LedgerBlock): void {
  lease.granted = granted;
  lease.spent -= sent.spent;
  lease.returned -= sent.returned;
  lease.beyond -= sent.beyond;
  lease.overage -= sent.overage;
  lease.refunded -= sent.refunded;
  lease.toldSpent = 0;
  lease.toldBeyond = 0;
}
