/** A journal that is kept in the test's process: one frame a write, as text, so that nothing is shared. */
import type { Journal, JournalEntry, Keeper, Recovered } from "../../src/ports/journal.ts";

export interface JournalInMemory {
  /** For a process that starts now. */
  open(): { readonly journal: Journal; readonly recovered: Recovered };
  /** Frames written so far. */
  frames(): number;
  /** From now on each write fails. */
  fail(): void;
  /** What a new file would begin with is what all writes together say. Throws where it is not. */
  check(): void;
}

type States = Map<JournalEntry["kind"], Map<string, unknown>>;

function fold(states: States, { kind, name, state }: JournalEntry): void {
  const named = states.get(kind) ?? new Map<string, unknown>();
  states.set(kind, named);
  if (state === undefined) named.delete(name);
  else named.set(name, state);
}

export function createJournalInMemory(): JournalInMemory {
  const frames: string[] = [];
  let keepers: Keeper[] = [];
  let fails = false;

  function written(): States {
    const states: States = new Map();
    for (const frame of frames) {
      for (const entry of JSON.parse(frame) as readonly JournalEntry[]) fold(states, entry);
    }
    return states;
  }

  return {
    open() {
      const states = written();
      let collected: string[] = [];
      keepers = [];
      const journal: Journal = {
        join: (keeper) => void keepers.push(keeper),
        put: (kind, name, state) => void collected.push(JSON.stringify({ kind, name, state })),
        drop: (kind, name) => void collected.push(JSON.stringify({ kind, name })),
        write() {
          for (const keeper of keepers) keeper.collect(journal);
          const parts = collected;
          collected = [];
          if (parts.length > 0 && !fails) frames.push(`[${parts.join(",")}]`);
          return !fails;
        },
        isMarked: () => false,
        close: () => Promise.resolve(),
      };
      const of: Recovered["of"] = (kind) => states.get(kind) ?? new Map();
      return { journal, recovered: { of, intact: true, why: "" } };
    },
    frames: () => frames.length,
    fail: () => {
      fails = true;
    },
    check() {
      const live: States = new Map();
      for (const keeper of keepers) {
        for (const entry of keeper.live()) {
          fold(live, JSON.parse(JSON.stringify(entry)) as JournalEntry);
        }
      }
      const [said, lives] = [lines(written()), lines(live)];
      const only = [...said].find((line) => !lives.has(line));
      const lost = [...lives].find((line) => !said.has(line));
      if (only ?? lost) throw new Error(`written: ${only}\nlives:   ${lost}`);
    },
  };
}

/** A line for each thing, without the moments of use, which are written now and then. */
function lines(states: States): ReadonlySet<string> {
  const found = new Set<string>();
  for (const [kind, named] of states) {
    for (const [name, state] of named) {
      const text = JSON.stringify([kind, name, state]);
      found.add(text.replace(/"usedAt":[\d.-]+/, ""));
    }
  }
  return found;
}
