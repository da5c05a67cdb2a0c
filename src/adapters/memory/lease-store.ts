/**
 * The lease store in the process: `--store memory:`. Right for one sidecar, for development and for tests, and
 * the reference that a remote store is compared with.
 *
 *   MS1  A message is one atomic step: it settles every block, then grants all needs or none.
 *   MS2  `read` creates nothing and changes no balance.
 *   MS3  A closed ledger is gone, but what it leaves to the next period of its family is kept.
 *   MS4  Totals are folded after each message: in the process none is lost or repeated.
 *
 * One holder: the process itself. Without a journal it keeps nothing across a restart.
 */
import {
  accrue,
  createLedger,
  fold,
  grant,
  lacks,
  readingOf,
  settle,
  viewOf,
  type Ledger,
  type LedgerBlock,
  type LedgerSpec,
  type LedgerView,
} from "../../core/lease/ledger.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Journal, Recovered } from "../../ports/journal.ts";
import type { LeaseStore } from "../../ports/lease-store.ts";
import { createLedgerJournal, recoverLedgers, type Shelves } from "./ledger-journal.ts";

/**
 * `clock`: the engine's own, so that both see the same moments. `kept`: where figures are to survive the
 * process, and what the one before has left.
 */
export function createMemoryLeaseStore(
  clock: Clock,
  kept?: { readonly journal: Journal; readonly recovered: Recovered },
): LeaseStore {
  const now = (): number => Math.floor(clock.mono());
  const shelves: Shelves = kept
    ? recoverLedgers(kept.recovered, clock)
    : { ledgers: new Map(), families: new Map() };
  const { ledgers, families } = shelves;
  const journaled = kept && createLedgerJournal(kept.journal, clock, shelves);

  function open(spec: LedgerSpec): Ledger {
    const known = ledgers.get(spec.key);
    if (known) return known;
    const latest = spec.family === "" ? undefined : families.get(spec.family);
    if (latest?.spec.key === spec.key) {
      ledgers.set(spec.key, latest); // closed and opened again in its own period (MS3)
      journaled?.moved(latest);
      return latest;
    }
    const before = latest && latest.spec.start < spec.start ? latest : undefined;
    const ledger = createLedger(spec, before, now());
    ledgers.set(spec.key, ledger);
    if (spec.family !== "" && (!latest || before)) families.set(spec.family, ledger);
    journaled?.moved(ledger);
    return ledger;
  }

  /** A ledger that was closed, but still has something to leave to its family's next period. */
  function closed(key: string): Ledger | undefined {
    const family = key.slice(0, key.lastIndexOf("\0"));
    const latest = families.get(family);
    return latest?.spec.key === key ? latest : undefined;
  }

  const touch = (block: LedgerBlock, at: number): Ledger => {
    const ledger = open(block.spec);
    settle(ledger, block, at);
    return ledger;
  };

  function forget(ledger: Ledger, view: LedgerView): void {
    const { spec, carried } = ledger;
    const leavesNothing = view.debt === 0 && spec.rollover === 0 && carried === 0;
    if (families.get(spec.family) === ledger && leavesNothing) families.delete(spec.family); // (MS3)
    ledgers.delete(spec.key);
    journaled?.moved(ledger);
  }

  return {
    sync(blocks, done) {
      const at = now();
      const touched = blocks.map((block) => touch(block, at));
      const short = blocks.map(({ need }, i) => isShort(touched[i], need));
      const refused = short.includes(true);
      done(
        touched.map((ledger, i) => {
          const block = blocks[i];
          if (!refused && block) grant(ledger, block.need);
          const view = viewOf(ledger);
          fold(ledger); // (MS4)
          journaled?.changed(ledger);
          if (block?.close && ledger.out === 0) forget(ledger, view);
          return { granted: ledger.granted, folded: true, short: short[i] ?? false, view };
        }),
      );
    },
    read(keys, done) {
      done(
        keys.map((key) => {
          const ledger = ledgers.get(key) ?? closed(key);
          if (ledger) accrue(ledger, now());
          return ledger && readingOf(ledger);
        }),
      );
    },
    close: () => Promise.resolve(),
  };
}

const isShort = (ledger: Ledger | undefined, need: number): boolean =>
  ledger !== undefined && lacks(ledger, need);
