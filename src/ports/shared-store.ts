/**
 * The lease store of a fleet: where the units of a limit live for all sidecars. A holder spends only units
 * that the store has debited for it. It may be slow, lose answers, fail over, or come back without its data;
 * the protocol (core/lease/message.ts) is what makes that safe.
 */
import type { Sight } from "../core/lease/ledger.ts";
import type { Hint, SyncMessage, SyncReply } from "../core/lease/message.ts";
import type { StoreFault } from "./lease-store.ts";

/** What a store tells of itself. */
export interface SharedStoreListener {
  /** Reachable and prepared, or not, and why; told once for each change, and first when it is known. */
  up(isUp: boolean, cause?: string): void;
  /** Another data set may be behind it (restart, failover, flush): everybody registers again. */
  changed(): void;
  hint(hint: Hint): void;
}

export interface SharedStore {
  /** Its address as the log shows it. */
  readonly name: string;
  /**
   * Sends the message once, and never again by itself. A fault: it may or may not have been received; the
   * caller sends the same message again. `done` is called exactly once, never in the same turn, and at the
   * latest after a few seconds.
   */
  sync(message: SyncMessage, done: (reply: SyncReply | StoreFault) => void): void;
  /** Views of ledgers of one uid as they are now, in order, without creating or changing anything. */
  read(
    uid: string,
    keys: readonly string[],
    done: (views: readonly Sight[] | StoreFault) => void,
  ): void;
  /** Called once, before the first message. */
  listen(listener: SharedStoreListener): void;
  /** 99th percentile of a recent round trip, ms; 1 where nothing is known. */
  roundTripMs(): number;
  close(): Promise<void>;
}
