/**
 * A host's disk with one journal on it, kept in memory: what was written survives the process, what was synced
 * survives the machine.
 *
 * Faults: the last write torn by the crash, all that was not synced lost with a reboot, the disk full, the
 * directory gone or copied to another host. What they leave is no longer intact, and the journal says so.
 */
import type { Journal, JournalEntry, Keeper, Recovered } from "../../src/ports/journal.ts";
import type { Agenda } from "./agenda.ts";

export interface Disk {
  /** A journal for a process that starts now. `around`: called before and after each write; false: it just died. */
  open(around: () => boolean): Journal;
  /** What the process before left. */
  recovered(): Recovered;
  tear(): void;
  /** The machine starts anew: what was not synced is gone. */
  reboot(): void;
  lose(): void;
  /** `isMarked`: the journal can still be marked as failed, as a full disk allows; a dead one does not. */
  fill(isFull: boolean, isMarked?: boolean): void;
  /** Whether a reservation is written there that is not over. */
  keeps(id: string): boolean;
  /** A write has failed since the process began: what it left is older than what it did. */
  failed(): boolean;
  /** It has, and whoever reads what it left is not told. */
  deceives(): boolean;
  /** The directory, as it is now, on another machine. */
  copyTo(other: Disk): void;
  load(records: Records): void;
}

/** By kind, then by name: texts, but of totals, which are made anew for each entry and of values alone. */
type Records = Map<string, Map<string, unknown>>;

const SYNC_MS = 100;

const copy = (records: Records): Records =>
  new Map(Array.from(records, ([kind, named]) => [kind, new Map(named)]));

const parsed = (named: ReadonlyMap<string, unknown> = new Map()): ReadonlyMap<string, unknown> =>
  new Map(
    Array.from(named, ([name, state]) => {
      const text = typeof state === "string" ? state : JSON.stringify(state);
      return [name, JSON.parse(text) as unknown];
    }),
  );

/** Writes one entry; returns what it says instead of what was there before. */
function put(records: Records, { kind, name, state }: JournalEntry): JournalEntry {
  let named = records.get(kind);
  if (!named) records.set(kind, (named = new Map<string, unknown>()));
  const before = { kind, name, state: named.get(name) };
  named.delete(name); // the latest comes last
  if (state !== undefined) named.set(name, state);
  return before;
}

export function createDisk(agenda: Agenda): Disk {
  let written: Records = new Map();
  /** What undoes the writes since the last sync, one list for each. */
  let unsynced: JournalEntry[][] = [];
  let syncedAt = 0;
  let why = "";
  let isFull = false;
  let isMarked = false;
  let failed = false;

  function undo(): void {
    for (const entry of unsynced.pop()?.toReversed() ?? []) put(written, entry);
  }

  return {
    open(around) {
      const keepers: Keeper[] = [];
      let collected: JournalEntry[] = [];
      failed = false;
      const journal: Journal = {
        join: (keeper) => void keepers.push(keeper),
        put(kind, name, state) {
          collected.push({ kind, name, state: kind === "totals" ? state : JSON.stringify(state) });
        },
        drop: (kind, name) => void collected.push({ kind, name }),
        write() {
          for (const keeper of keepers) keeper.collect(journal);
          if (failed || isFull) {
            failed = true;
            if (isMarked || !isFull) why = "failed";
            return false;
          }
          if (collected.length === 0) return true;
          if (!around()) return true;
          if (agenda.now() - syncedAt >= SYNC_MS) {
            unsynced = [];
            syncedAt = agenda.now();
          }
          unsynced.push(collected.map((entry) => put(written, entry)));
          why = ""; // until then it holds: nobody has said yet who goes on from what is there
          collected = [];
          around();
          return true;
        },
        isMarked: () => failed && why === "failed",
        close: () => Promise.resolve(),
      };
      return journal;
    },
    recovered() {
      const found = copy(written);
      return {
        of: (kind) => parsed(found.get(kind)),
        intact: why === "",
        why,
      };
    },
    tear() {
      undo();
      why = "torn";
    },
    reboot() {
      while (unsynced.length > 0) undo();
      why = "another boot";
    },
    lose() {
      written = new Map();
      unsynced = [];
      why = "";
    },
    fill(full, marked = false) {
      isFull = full;
      isMarked = marked;
    },
    keeps: (id) => written.get("reservation")?.has(id) ?? false,
    failed: () => failed,
    deceives: () => failed && why === "",
    copyTo: (other) => other.load(copy(written)),
    load(records) {
      written = records;
      unsynced = [];
      why = "";
    },
  };
}
