/**
 * What a holder (one sidecar process) and the shared store say to each other. One kind of message does it all:
 * acquire, renew, settle, return, register, close and retire are the same SYNC.
 *
 * Per ledger a holder reports totals that only grow, and asks by level: "raise what I have out to `want`, and
 * give me at least `need` of it". So a message that is lost, repeated or late charges nothing twice.
 *
 *   out = granted + beyond − spent − returned ≥ 0
 */
import type { DurationMs, EpochMs } from "../time.ts";
import type { Units } from "../units.ts";
import type { LedgerSpec, LedgerView } from "./ledger.ts";

/** Which process speaks. Minted by itself, never configured. */
export interface Holder {
  /** 16 hexadecimal digits, new in every process. */
  readonly nonce: string;
  /** 1, and one more with each process that goes on from the same journal. */
  readonly epoch: number;
  /** Nonces of the processes before this one in the same journal, latest first, at most 8. */
  readonly ancestors: readonly string[];
  /** What an operator sees (`--holder`); not an identity. */
  readonly label: string;
}

/** How long things last; the same for the whole fleet. */
export interface LeaseTerms {
  /** A timed lease (rate, slots, `once`) that is not renewed for this long is over. */
  readonly ttlMs: DurationMs;
  /** The store acts so much later, for clocks that drift. */
  readonly graceMs: DurationMs;
  /** After a loss the store grants nothing for this long, and listens to what its holders know. */
  readonly learnMs: DurationMs;
  /** Every grant is confirmed by a majority of the store's nodes before it is spent (`--confirm strict`). */
  readonly strict: boolean;
}

export const DEFAULT_TERMS: LeaseTerms = {
  ttlMs: 10_000,
  graceMs: 1_000,
  learnMs: 12_000,
  strict: false,
};

/** For how long a store only listens that nobody has seen before: long enough to be told that somebody has. */
export const BIRTH_MS: DurationMs = 2_000;

/** What a holder heard of a budget last, of everybody's use and of the period before. All 0: it never did. */
export interface Witness {
  /** The store's history that said so. */
  readonly fence: number;
  /** Version of the ledger in that history. */
  readonly version: number;
  readonly used: Units;
  /** What the period before had left to this one; below zero: debt. */
  readonly carried: number;
}

/** 0 goes on, 1 closes (nothing is out), 2 retires: settled as far as the totals prove, the rest quarantined. */
export type Closing = 0 | 1 | 2;

export interface SyncBlock {
  readonly spec: LedgerSpec;
  /**
   * Names this lease's record at the ledger: a UUIDv7 without dashes, 32 hexadecimal digits, the first 12 of
   * which are when the lease was made, ms since 1970. A process that closes a ledger and opens it again later
   * makes a new lease, under a new id, with totals that begin at 0. Kept in the journal and nowhere else.
   */
  readonly holder: string;
  /** 1, and one more with each new message of this process about this ledger. */
  readonly seq: number;
  readonly granted: Units;
  readonly spent: Units;
  readonly returned: Units;
  readonly beyond: Units;
  readonly overage: Units;
  readonly refunded: Units;
  /** What the holder would like to have out. 0: no more than it has. */
  readonly want: Units;
  /** How many more it must get: all of them or none. */
  readonly need: Units;
  /** Units a second that pass through this holder; 0: idle. */
  readonly demand: Units;
  /** Mean units of one operation; 0: unknown. */
  readonly mean: Units;
  readonly witness: Witness;
  readonly close: Closing;
  /** How long reservations on this ledger may stay open if the holder dies now (slots, `once`); else 0. */
  readonly openMs: DurationMs;
  /** Slots: until the first reservation of this lease ends, the one for which it needs more included; 0: one is idle. */
  readonly firstMs: DurationMs;
  /** How long the ledger must be kept from now on. */
  readonly lifeMs: DurationMs;
}

export interface SyncMessage {
  readonly holder: Holder;
  readonly terms: LeaseTerms;
  /** Tenant uid (or the platform's) that all blocks belong to: one shard. */
  readonly uid: string;
  /** Needs are granted in all blocks, or nothing is granted in any. */
  readonly atomic: boolean;
  /** How long the caller wants to be woken by a hint if it is refused; 0: not at all. */
  readonly waitMs: DurationMs;
  /** 1 … 16, no ledger twice. */
  readonly blocks: readonly SyncBlock[];
}

/**
 * ok        settled, and granted what the blocks say
 * stale     another process is this holder now: drop everything, and go on under a new id
 * bad       the message is malformed: a defect
 * newer     the ledger is of a newer schema than this program knows
 */
export type SyncStatus = "ok" | "stale" | "bad" | "newer";

export interface SyncReply {
  readonly status: SyncStatus;
  /** The store's clock. */
  readonly now: EpochMs;
  /** The store's history: a higher one means that data may have been lost. */
  readonly fence: number;
  /** False: grants and expiries in this reply are not yet safe to use; its views are. */
  readonly confirmed: boolean;
  /** In the order of the message. Empty unless ok. */
  readonly blocks: readonly BlockReply[];
}

export interface BlockReply {
  /** duplicate: this seq was settled before; stale: a later one was. */
  readonly status: "ok" | "duplicate" | "stale";
  readonly fence: number;
  readonly version: number;
  /** Total granted to this holder. */
  readonly granted: Units;
  /** Of that, granted by this message. */
  readonly grant: Units;
  /** `rate.at` is the store's clock. */
  readonly view: LedgerView;
  /** Used by everybody, leases included: the next witness. */
  readonly used: Units;
  /** Left by the period before, as far as it counts now: the other half of that witness. */
  readonly carried: number;
  /** The store does not grant from this ledger for so long; 0: it does. */
  readonly learningMs: DurationMs;
  /** How far ahead to ask; 0: direct, ask for exactly what waits; −1: keep yours. */
  readonly horizonMs: DurationMs;
  /** Rates: the grant accrues evenly from `fromMs` to `toMs` after now; both 0: it is there. */
  readonly fromMs: DurationMs;
  readonly toMs: DurationMs;
  /** Span of the period as the first writer had it. */
  readonly start: EpochMs;
  readonly end: EpochMs;
  /** Live holders of this ledger, this one included. */
  readonly holders: number;
  /** How long it is kept from now on: past every lease on it, and every reservation that is open (SH6). */
  readonly lifeMs: DurationMs;
  /** Slots, all taken: until the first that another one has is back, as far as is known. −1: not known, or some are free. */
  readonly freesMs: DurationMs;
}

/** What the store tells without being asked. Losing any costs time, never safety. */
export type Hint =
  /** Units came back that could serve you; so many are there, for others to hear. `key`: of the ledger. */
  // `holder`: as in the block that was refused; "": nobody by name, but all may know.
  | { readonly kind: "wake"; readonly key: string; readonly holder: string; readonly units: Units }
  /** Somebody lacks units. Level 1: return what idles; 2: all that is free. */
  | { readonly kind: "recall"; readonly key: string; readonly level: 1 | 2; readonly units: Units };
