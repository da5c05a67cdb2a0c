/** One look at an operation: who calls, when, and whether it has waited for the store before. */
import type { Sight } from "../core/lease/ledger.ts";
import type { DurationMs } from "../core/time.ts";
import type { Units } from "../core/units.ts";
import type { Caller } from "../ports/quota.ts";
import type { Lease } from "./lease.ts";
import type { Now } from "./now.ts";

/** An operation that has waited, or waits. */
export interface Ticket {
  /** No longer than this (mono). */
  until: number;
  /** It waits no more: it is decided by what is here now. */
  isOver: boolean;
  /** The store was read for it. */
  hasRead: boolean;
  /** It has settled for what is left, and asked for that. */
  isPartial: boolean;
  /** The caller has gone, or waits no longer: nothing may be made for it (S28). */
  readonly isGone: () => boolean;
  /** The idempotency key of which this is the first call; others wait for it. */
  leads: string | undefined;
  /** What the store said of ledgers that are not held here. */
  readonly views: Map<string, Sight>;
}

export interface Want {
  readonly lease: Lease;
  /** Units that must be free here; 0: the store must have been heard, no more. */
  readonly units: Units;
  /** It must have been heard since (mono). */
  readonly since?: number;
  /** Fewer would do: it is decided again once it is known that so many are not left. */
  readonly takesLess?: boolean;
}

/** What an operation waits for. */
export type Wait =
  | { readonly wants: readonly Want[]; readonly ttlMs: DurationMs }
  | { readonly keys: readonly string[] };

export interface Turn {
  readonly caller: Caller;
  readonly now: Now;
  /** Of an operation that is decided again. */
  readonly ticket: Ticket | undefined;
  /**
   * The operation cannot be decided yet: it is, from its beginning, in another turn. Whoever calls this
   * returns without an answer, and has changed nothing.
   */
  readonly suspend: (wait: Wait, leads?: string) => void;
  /** Decides the operation from its beginning, in a turn of its own. */
  readonly again: () => void;
}
