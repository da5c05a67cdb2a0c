/** A journal in a folder of its own, and what is kept in it. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import {
  type JournalOptions,
  openJournal,
  type OpenJournal,
} from "../../src/adapters/journal/journal.ts";
import type { Journal, JournalEntry, Keeper, Recovered } from "../../src/ports/journal.ts";
import type { Log } from "../../src/ports/log.ts";
import { SILENT } from "./silence.ts";

export async function aFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "imprest-journal-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export const filesIn = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder)).toSorted();

export interface Kept extends OpenJournal {
  /** Messages of the log at warn and above. */
  readonly logged: readonly string[];
}

/** Opens one; it is closed when the test ends. */
export async function open(
  directory: string,
  options: Partial<Omit<JournalOptions, "directory">> = {},
): Promise<Kept> {
  const logged: string[] = [];
  const note = (_: unknown, message: string): void => void logged.push(message);
  const log: Log = { ...SILENT, warn: note, error: note };
  const opened = await openJournal({ directory, syncMs: 1_000, log, ...options });
  return { ...opened, logged };
}

/** Everything of one kind, as an object. */
export const found = (recovered: Recovered, kind: JournalEntry["kind"] = "memory") =>
  Object.fromEntries(recovered.of(kind));

/** Keeps what a Map holds. */
export interface MapKeeper extends Keeper {
  set(name: string, state: unknown): void;
  delete(name: string): void;
}

export function mapKeeper(kind: JournalEntry["kind"] = "memory"): MapKeeper {
  const states = new Map<string, unknown>();
  const changed = new Set<string>();
  return {
    set(name, state) {
      states.set(name, state);
      changed.add(name);
    },
    delete(name) {
      states.delete(name);
      changed.add(name);
    },
    collect(journal) {
      for (const name of changed) {
        if (states.has(name)) journal.put(kind, name, states.get(name));
        else journal.drop(kind, name);
      }
      changed.clear();
    },
    *live() {
      for (const [name, state] of states) yield { kind, name, state };
    },
  };
}

/** Writes three times, and closes; returns the one file's bytes. */
export async function threeWrites(folder: string): Promise<Buffer> {
  const { journal } = await open(folder);
  for (const n of [1, 2, 3]) {
    journal.put("memory", "count", n);
    journal.put("memory", `at ${n}`, { n });
    journal.write();
  }
  await journal.close();
  return await readFile(join(folder, "0000000001.journal"));
}

/** What is found after each of them. */
export const AFTER = [
  {},
  { count: 1, "at 1": { n: 1 } },
  { count: 2, "at 1": { n: 1 }, "at 2": { n: 2 } },
  { count: 3, "at 1": { n: 1 }, "at 2": { n: 2 }, "at 3": { n: 3 } },
];

/** A keeper of the journal, and how many entries the journal has taken of what lives. */
export function joinCounted(journal: Pick<Journal, "join">) {
  const keeper = mapKeeper();
  let steps = 0;
  journal.join({
    collect: (to) => keeper.collect(to),
    *live() {
      for (const entry of keeper.live()) {
        steps++;
        yield entry;
      }
    },
  });
  return { keeper, steps: () => steps };
}
