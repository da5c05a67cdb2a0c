/** What the parts of the holder work on. One owner, one thread. */
import type { Holder, LeaseTerms } from "../../core/lease/message.ts";
import type { DurationMs } from "../../core/time.ts";
import type { Units } from "../../core/units.ts";
import type { Log } from "../../ports/log.ts";
import type { Rng } from "../../ports/rng.ts";
import type { SharedStore } from "../../ports/shared-store.ts";
import type { DeadlineHeap } from "../deadline-heap.ts";
import type { Lease } from "../lease.ts";
import type { Now } from "../now.ts";
import type { Ticket } from "../turn.ts";
import type { Sent } from "./exchange.ts";
import { isLasting, type Stock } from "./stock.ts";
import type { StoreClock } from "./store-clock.ts";

/** An operation that lacks units here, and waits for them. A waiter holds nothing. */
export interface Waiting {
  readonly wants: readonly {
    readonly stock: Stock;
    readonly units: Units;
    readonly since?: number | undefined;
    /** (WA6) */
    readonly takesLess?: boolean | undefined;
  }[];
  readonly ttlMs: DurationMs;
  readonly ticket: Ticket;
  /** Decides the operation again. */
  readonly resume: () => void;
  /** When it may ask (again). */
  retryAt: number;
  /** Messages under way for it. */
  asked: number;
  /** What it asked for has come: it is its own, whoever waits before it. */
  isMine: boolean;
}

/** What is held of one shard. Changed in place. */
export interface Shard {
  /** The highest history that it was in; 0: it was never heard. */
  fence: number;
  /** When a message left for it last. */
  toldAt: number;
  /** When free units of ledgers in direct mode go back next: together, or nobody gets all that he needs. */
  returnAt: number;
  /** It has lost data, and grants nothing until then (mono). */
  recoveringUntil: number;
  readonly stocks: Set<Stock>;
}

export interface HolderState {
  readonly store: SharedStore;
  /** What it has survives the process: another one could go on from there. */
  readonly hasJournal: boolean;
  readonly rng: Rng;
  readonly log: Log;
  readonly terms: LeaseTerms;
  readonly waitMs: DurationMs;
  readonly clock: StoreClock;
  identity: Holder;
  /** By ledger; also those that are being closed, and those of a period that has not begun. */
  readonly stocks: Map<string, Stock>;
  readonly due: DeadlineHeap<Stock>;
  readonly resends: DeadlineHeap<Sent>;
  readonly sent: Set<Sent>;
  /** First come, first served. */
  waiters: Waiting[];
  /** Used in this turn. */
  readonly touched: Set<Stock>;
  /** By uid. */
  readonly shards: Map<string, Shard>;
  isUp: boolean;
  /** Why it is not up; undefined: nothing has been heard of it. */
  cause: string | undefined;
  /** When it came (mono). */
  upSince: number;
  /** All is given back for good: nobody waits any more. */
  isDraining: boolean;
  /** What granted before and is learning now has been lost. What is new to us may be new to everybody. */
  hasGranted: boolean;
  /** The latest of all shards' (mono). */
  recoveringUntil: number;
  /** It is back, and its first answer is to say with which data; until then at the latest (mono). */
  returningUntil: number;
  now: Now;
  /** Runs what leaves this process, after what it depends on is in the journal. */
  readonly outbox: (task: () => void) => void;
  /** Something has come from outside: reads the clock, runs `task`, then does what there is to do. */
  readonly later: (task: () => void) => void;
  /** Upkeep looks at this stock again in this turn. */
  readonly look: (stock: Stock) => void;
  readonly forget: (stock: Stock) => void;
  /** It is one of this holder's from now on. */
  readonly keep: (stock: Stock) => void;
  /** Its totals are to be journaled. */
  readonly changed: (stock: Stock) => void;
  readonly stockOf: (lease: Lease) => Stock;
  readonly renewIdentity: () => void;
  /** The period of this one is nearly over: a lease of the next one is got before it begins. */
  readonly seed: (stock: Stock) => void;
  /** A new name for a lease's record. */
  readonly mint: () => string;
}

/** The longest wait of an operation: twelve round trips where that is more. */
export const patience = ({ waitMs, store }: HolderState): DurationMs =>
  Math.max(waitMs, 12 * store.roundTripMs());

/** Store time, which decides periods. */
export const storeTime = ({ clock, now }: HolderState): number => clock.at(now.mono) ?? now.wall;

/** The store cannot be reached, or grants nothing of this ledger's shard: nobody waits for it. */
export const isShut = ({ isUp, shards, now }: HolderState, { uid }: Stock): boolean =>
  !isUp || (shards.get(uid)?.recoveringUntil ?? now.mono) > now.mono;

/** It is shut, or back without having said what it still knows: what is short here is lost (loss.ts). */
export const isLostFor = (state: HolderState, stock: Stock): boolean =>
  isShut(state, stock) || state.returningUntil > state.now.mono;

/** Some answers are given without the store. */
export const isLost = ({ isUp, recoveringUntil, returningUntil, now }: HolderState): boolean =>
  !isUp || Math.max(recoveringUntil, returningUntil) > now.mono;

/** The store has answered about it since it came (UK7). Who ends cannot wait for that. */
export const mayGive = ({ upSince, isDraining }: HolderState, { heardFor }: Stock): boolean =>
  heardFor >= upSince || isDraining;

/** `ms`, more or less: so that a fleet does not move in step. */
export const about = ({ rng }: HolderState, ms: number, by: number): number =>
  ms * (1 - by + 2 * by * rng.next());

/** A reservation of this ttl is asked for, or prolonged by it (ST5). */
export function noteTtl({ now, terms }: HolderState, stock: Stock, ttlMs: DurationMs): void {
  if (!isLasting(stock)) return;
  stock.longestTtl = Math.max(stock.longestTtl, ttlMs);
  const { lately } = stock;
  if (ttlMs < lately.ttlMs && now.mono - lately.at <= terms.ttlMs) return;
  lately.ttlMs = ttlMs;
  lately.at = now.mono;
}
