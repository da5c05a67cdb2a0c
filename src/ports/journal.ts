/**
 * What survives the process: reservations, remembered answers, lease totals. The journal keeps the latest state
 * of each thing under its name; it does not know what the states mean.
 *
 * `put` and `drop` only collect. `write` makes all that was collected durable against the end of the process in
 * one synchronous write, and has to come before any answer or message that depends on it.
 */

/** What a name is of. */
export type JournalKind = "holder" | "lease" | "ledger" | "reservation" | "memory";

export interface JournalEntry {
  readonly kind: JournalKind;
  readonly name: string;
  /** JSON; absent: the thing is gone. */
  readonly state?: unknown;
}

export interface Journal {
  put(kind: JournalKind, name: string, state: unknown): void;
  drop(kind: JournalKind, name: string): void;
  /** False: the write failed, and nothing may be relied on any more; said once, then every call is false. */
  write(): boolean;
  /** Syncs to the device, and closes. */
  close(): Promise<void>;
}
