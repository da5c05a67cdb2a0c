/**
 * What survives the process: reservations, remembered answers, lease totals. The journal keeps the latest state
 * of each thing under its name; it does not know what the states mean.
 *
 * `put` and `drop` only collect. `write` makes all that was collected durable against the end of the process in
 * one synchronous write: all of it is found again, or nothing. It has to come before any answer or message that
 * depends on it.
 */

/**
 * What a name is of.
 *
 *   holder       who this process is at a shared store
 *   lease        by ledger: what it is of, and where it stands (engine/persistence.ts)
 *   totals       by ledger: what a lease has had of a shared store, and used
 *   ledger       by ledger: its figures in `memory:`; spec: what it looks like
 *   reservation  by id, as long as it is open or in grace
 *   memory       by id: what was settled; by a name of its own: how long a lone answer is wanted
 *   answer       by idempotency key
 */
export type JournalKind =
  | "holder"
  | "lease"
  | "totals"
  | "ledger"
  | "spec"
  | "reservation"
  | "memory"
  | "answer";

export interface JournalEntry {
  readonly kind: JournalKind;
  readonly name: string;
  /** JSON; absent: the thing is gone. */
  readonly state?: unknown;
}

/** Whoever keeps things that are to survive. */
export interface Keeper {
  /** Puts and drops what has changed since the last time. Called first in each `write`. */
  collect(journal: Pick<Journal, "put" | "drop">): void;
  /**
   * All that lives, as it stands when it is reached: a new file of the journal begins with it. It is walked
   * through a little at a time, while things come and go.
   */
  live(): Iterable<JournalEntry>;
}

export interface Journal {
  /** Before the first `write`: what nobody keeps is forgotten. */
  join(keeper: Keeper): void;
  put(kind: JournalKind, name: string, state: unknown): void;
  drop(kind: JournalKind, name: string): void;
  /** False: the write failed, and nothing may be relied on any more; said once, then every call is false. */
  write(): boolean;
  /** A write has failed, and whoever reads what was written before is told so. */
  isMarked(): boolean;
  /** Syncs to the device, and closes. */
  close(): Promise<void>;
}

/** What the journal of the process before said. */
export interface Recovered {
  /** The latest states of one kind, by name, in the order in which they were written. */
  of(kind: JournalKind): ReadonlyMap<string, unknown>;
  /**
   * Nothing that was written is missing. False: the latest writes may be, and what was told to others since is
   * not known here; `why` says so in a few words.
   */
  readonly intact: boolean;
  readonly why: string;
}
