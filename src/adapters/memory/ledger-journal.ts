/**
 * What survives of the ledgers in the process: their figures, their specs, and which follows which.
 *
 * A ledger that is closed is kept as long as an earlier one of its family is open, or it is the latest: what is
 * settled late passes through it into the next period.
 */
import { createLedger, type Ledger, type LedgerSpec } from "../../core/lease/ledger.ts";
import type { RateBucket } from "../../core/limit/rate.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Journal, JournalEntry, Keeper, Recovered } from "../../ports/journal.ts";

interface LedgerState extends Pick<Ledger, "out" | "settled" | "owed" | "carried"> {
  /** `at` in wall time. */
  readonly rate?: RateBucket;
  readonly closed?: true;
}

export interface LedgerJournal {
  /** Its figures have changed, and perhaps those of the periods after it. */
  changed(ledger: Ledger): void;
  /** It was opened, or closed. */
  moved(ledger: Ledger): void;
}

export interface Shelves {
  /** Open ones, by key. */
  readonly ledgers: Map<string, Ledger>;
  /** The latest period of each family, open or closed. */
  readonly families: Map<string, Ledger>;
}

/** Totals are folded, so the figures are all that there is to say of a ledger. */
export function createLedgerJournal(
  journal: Journal,
  clock: Clock,
  { ledgers, families }: Shelves,
): LedgerJournal {
  const touched = new Set<Ledger>();
  const specs = new WeakMap<Ledger, LedgerSpec>();
  /** Of each family what is kept, earliest first. */
  const chains = new Map<string, Ledger[]>();
  const isOpen = (ledger: Ledger): boolean => ledgers.get(ledger.spec.key) === ledger;
  const isLatest = (ledger: Ledger): boolean => families.get(ledger.spec.family) === ledger;

  function entries(ledger: Ledger): JournalEntry[] {
    const { spec, out, settled, owed, carried } = ledger;
    const { key: name } = spec;
    const offset = Math.floor(clock.wall()) - Math.floor(clock.mono());
    const rate = ledger.rate && { ...ledger.rate, at: ledger.rate.at + offset };
    const figures = { out, settled, owed, carried };
    const state: LedgerState = {
      ...figures,
      ...(rate && { rate }),
      ...(!isOpen(ledger) && { closed: true }),
    };
    return [
      { kind: "spec", name, state: { ...spec, version: 0 } },
      { kind: "ledger", name, state },
    ];
  }

  /** Closed ones that nothing passes through any more are forgotten. */
  function prune(family: string): Ledger[] {
    const chain = chains.get(family) ?? [];
    const first = chain.findIndex((ledger) => isOpen(ledger) || isLatest(ledger));
    const gone = chain.splice(0, first < 0 ? chain.length : first);
    if (chain.length === 0) chains.delete(family);
    return gone;
  }

  function* kept(): Iterable<Ledger> {
    yield* ledgers.values();
    for (const chain of chains.values()) yield* chain.filter((ledger) => !isOpen(ledger));
  }

  const keeper: Keeper = {
    collect({ put, drop }) {
      for (const ledger of touched) {
        const { key, family } = ledger.spec;
        const isKept = isOpen(ledger) || (chains.get(family)?.includes(ledger) ?? false);
        if (!isKept) {
          if (ledgers.has(key)) continue; // opened anew meanwhile
          drop("ledger", key);
          drop("spec", key);
          continue;
        }
        const isTold = specs.get(ledger) === ledger.spec;
        specs.set(ledger, ledger.spec);
        for (const { kind, name, state } of entries(ledger)) {
          if (kind === "ledger" || !isTold) put(kind, name, state);
        }
      }
      touched.clear();
    },
    *live() {
      for (const ledger of kept()) yield* entries(ledger);
    },
  };
  journal.join(keeper);

  const noted = (ledger: Ledger): void => {
    const { family } = ledger.spec;
    if (family === "") return;
    const chain = chains.get(family);
    if (!chain) chains.set(family, [ledger]);
    else if (!chain.includes(ledger)) chain.push(ledger);
  };
  for (const ledger of [...ledgers.values(), ...families.values()].sort(byStart)) {
    for (let one: Ledger | undefined = ledger; one; one = one.after) noted(one);
  }

  return {
    changed(ledger) {
      touched.add(ledger);
      for (let later = ledger.after; later; later = later.after) touched.add(later);
    },
    moved(ledger) {
      touched.add(ledger);
      noted(ledger);
      for (const gone of prune(ledger.spec.family)) touched.add(gone);
    },
  };
}

const byStart = (a: Ledger, b: Ledger): number => a.spec.start - b.spec.start;

/** What a journal has kept. Specs are of version 0: the policy of today has newer numbers. */
export function recoverLedgers(recovered: Recovered, clock: Clock): Shelves {
  const ledgers = new Map<string, Ledger>();
  const families = new Map<string, Ledger>();
  const specs = recovered.of("spec") as ReadonlyMap<string, LedgerSpec>;
  const mono = Math.floor(clock.mono());
  const offset = Math.floor(clock.wall()) - mono;
  const found = Array.from(recovered.of("ledger"), ([key, state]) => {
    const { rate, closed, ...figures } = state as LedgerState;
    const spec = specs.get(key);
    if (!spec) throw new Error(`the journal has a ledger without a spec: ${key}`);
    const ledger = createLedger(spec, undefined, mono);
    Object.assign(ledger, figures, { granted: figures.out });
    if (rate) ledger.rate = { ...rate, at: Math.min(rate.at - offset, mono) };
    return { ledger, isOpen: !closed };
  });
  for (const { ledger, isOpen } of found.sort((a, b) => byStart(a.ledger, b.ledger))) {
    const { key, family } = ledger.spec;
    if (isOpen) ledgers.set(key, ledger);
    const before = families.get(family);
    if (before) before.after = ledger;
    if (family !== "") families.set(family, ledger);
  }
  return { ledgers, families };
}
