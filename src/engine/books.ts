/** All that is kept of one tenant uid: its accounts, loops and breakers. */
import type { Circuit } from "../core/limit/breaker.ts";
import type { Repeats } from "../core/limit/loop.ts";
import type { CompiledLimit } from "../core/policy/compile.ts";
import type { BreakerRule, LoopRule } from "../core/policy/document.ts";
import type { Lease } from "./lease.ts";

/** The counters of a loop or a breaker, with the rule that says when they are over. */
export interface BookedLoop {
  readonly state: Repeats;
  rule: LoopRule;
}
export interface BookedBreaker {
  readonly state: Circuit;
  /** Who made it, and whose bound it counts against. */
  readonly owner: Books;
  rule: BreakerRule;
}

/** What all buckets of one tenant uid are kept in. */
export interface Books {
  readonly uid: string;
  /** By the limit's key (name and meter), then by the values of `per`. */
  readonly homes: Map<string, Home>;
  /** By loop name, values of `per`, and the call. */
  readonly loops: Map<string, BookedLoop>;
  /** By breaker name and values of `per`. */
  readonly breakers: Map<string, BookedBreaker>;
  /** Live accounts, loops and breakers that this tenant made. */
  live: number;
  /** When all of them were last looked through for what can go (mono). */
  sweptAt: number;
}

/** Changed in place: one owner, the engine. */
export interface Account {
  readonly bucket: string;
  /** Who made it, and whose bound it counts against. */
  readonly owner: Books;
  limit: CompiledLimit;
  /** Of the policy that `limit` belongs to. */
  generation: number;
  /** "": not yet told under this policy. */
  scope: string;
  lease: Lease;
}

/** The accounts of one limit, by the values of `per`. */
export type Home = Map<string, Account>;

export const newBooks = (uid: string): Books => ({
  uid,
  homes: new Map(),
  loops: new Map(),
  breakers: new Map(),
  live: 0,
  sweptAt: -Infinity,
});

export const isEmpty = (books: Books): boolean =>
  books.homes.size + books.loops.size + books.breakers.size + books.live === 0;
