/**
 * Reservations: each is an object of its own with an id, a deadline and what it holds where; never an
 * anonymous difference in a counter. Its life:
 *
 *   open ──► settled (committed | released)                     the answer is remembered (S20, S29)
 *     └────► expired ──► settled late, within grace             (S19)
 *               └──────► past grace: remembered as expired, then forgotten
 *
 *   RE1  A reservation is settled at most once.
 *   RE2  Expiry is decided by the clock at each operation, never by a timer alone (S18).
 *   RE3  Open reservations, and those in grace, are never forgotten; settled ones are, the oldest first.
 *   RE4  At most `keys` settled reservations and keyed answers are remembered, each for 15 minutes and
 *        until it is past grace.
 */
import type { Circuit } from "../core/limit/breaker.ts";
import type { Action, Subject } from "../core/operation.ts";
import type { CompiledBreaker, CompiledLimit } from "../core/policy/compile.ts";
import { MINUTE, type DurationMs, type EpochMs } from "../core/time.ts";
import type { Units } from "../core/units.ts";
import { createDeadlineHeap, type Timed } from "./deadline-heap.ts";
import type { Lease } from "./lease.ts";
import { packTally, type Line, type PackedTally, type Tally } from "./tally.ts";
import { NO_WATCH, type Watch } from "./watch.ts";

/** How long after expiry a commit is charged all the same (S19). */
export const GRACE: DurationMs = 10 * MINUTE;
/** How long settled answers and keys are remembered at least (S29). */
const REMEMBERED: DurationMs = 15 * MINUTE;

/** What a reservation holds at one limit. Changed in place. */
export interface Hold {
  /** As the policy of the reservation's generation has it. */
  limit: CompiledLimit;
  /** Values of `per`. */
  readonly bucket: string;
  readonly lease: Lease;
  readonly scope: string;
  /** "" for a slot. */
  readonly meter: string;
  /** Units still held. */
  held: Units;
  /** Charged by partial commits so far. */
  charged: Units;
}

export interface Reservation extends Timed {
  readonly id: string;
  /** Order of creation: page token of a listing. */
  readonly sequence: number;
  readonly uid: string;
  /** The tenant's name. */
  readonly tenant: string;
  readonly subject: Subject;
  readonly action: Action;
  /** Each meter once. */
  readonly lines: Line[];
  readonly holds: readonly Hold[];
  /** Breakers that hear of its end. */
  readonly circuits: readonly { readonly breaker: CompiledBreaker; readonly circuit: Circuit }[];
  readonly createdAt: EpochMs;
  /** Mono twin of `createdAt`. */
  readonly createdMono: number;
  readonly ttlMs: DurationMs;
  /** Of the policy that the holds' limits belong to. */
  generation: number;
  state: "open" | "expired";
  expiresAt: EpochMs;
  /** Idempotency keys whose answers live as long as it does; undefined: none. */
  keys: string[] | undefined;
}

/** `deadline`: until then it is wanted. */
interface Remembered extends Timed {
  readonly id: string;
  readonly keys: readonly string[] | undefined;
}

/** A key whose answer lives with no reservation; its id is a name of its own. */
export interface Lone extends Remembered {
  readonly state: "lone";
}

/**
 * What is left of a reservation after its end. There are up to 100,000 of them, so it is one flat object, with texts
 * for lists: the answer is made from it again when its call is repeated.
 */
export interface Settled extends Remembered, PackedTally {
  readonly state: "committed" | "released" | "forgone";
  readonly tenant: string;
  /** What its commit stated (S20); "" if nothing did. */
  readonly statement: string;
}

export type Memory = Lone | Settled;

/** How a reservation ended. */
export interface End {
  readonly state: Settled["state"];
  readonly tally: Tally;
  readonly statement?: string;
}

/** Keys that live with one open reservation; those beyond are remembered for 15 minutes like any other. */
const KEYS_MAX = 1_000;

/** The answer under an idempotency key. */
export interface Keyed {
  /** The request, field by field. */
  readonly content: readonly string[];
  readonly answer: object;
}

export interface Reservations {
  /** Grows by one with each call: tells the order of creation. */
  nextSequence(): number;
  /** A new one, or one that a journal has kept. */
  add(reservation: Reservation): void;
  get(id: string): Reservation | Settled | undefined;
  /** It was changed in place. */
  changed(reservation: Reservation): void;
  /** Takes an open or expired one out of its life, and remembers how it ended. */
  end(reservation: Reservation, end: End, mono: number): void;
  /** The next one that is due, if there is one; it is put back by `add`, `lapse` or `end`. */
  takeDue(mono: number): Reservation | undefined;
  /** Takes one out before it is due; it is put back like one that {@link takeDue} returned. */
  takeOut(reservation: Reservation): void;
  /** Open, or expired and in grace, in the order of creation like all that is listed. */
  live(): IterableIterator<Reservation>;
  /** Expired ones in grace. */
  lapsed(): IterableIterator<Reservation>;
  /** From open to grace. */
  lapse(reservation: Reservation): void;
  /** Gives it a new deadline. */
  renew(reservation: Reservation, deadline: number): void;
  /** Oldest first. */
  open(): IterableIterator<Reservation>;
  openCount(): number;
  /** Open, or expired and in grace. */
  liveCount(): number;
  liveOf(uid: string): number;
  nextDue(): number;
  keyed(key: string): Keyed | undefined;
  answers(): IterableIterator<readonly [key: string, keyed: Keyed]>;
  memory(id: string): Memory | undefined;
  memories(): IterableIterator<Memory>;
  /** Remembers again what a journal has kept, with the answers under its keys. */
  recall(memory: Memory): void;
  recallAnswer(key: string, keyed: Keyed): void;
  /** Remembers the answer under `key`: with `reservation` as long as it lives, else for 15 minutes. */
  remember(key: string, keyed: Keyed, reservation: Reservation | undefined, mono: number): void;
  /** Forgets what is old enough, or too much; calls `evicted` for each that went too early. */
  tidy(mono: number): void;
}

/** Open, or expired and in grace. */
export const isLive = (one: Reservation | Memory): one is Reservation =>
  one.state === "open" || one.state === "expired";

/** Entries of the queue of memories that may be forgotten ones, besides as many as are left. */
const FORGOTTEN_MAX = 1_000;

export function createReservations(
  keysMax: number,
  evicted: () => void,
  watch: Watch = NO_WATCH,
): Reservations {
  /**
   * In the order of creation: what is left of a reservation takes its place. (A Map that loses what it gains is
   * laid out anew every few calls, and what the old layouts name outlives its call by far.)
   */
  const all = new Map<string, Reservation | Memory>();
  const answers = new Map<string, Keyed>();
  const liveByTenant = new Map<string, number>();
  const due = createDeadlineHeap<Reservation>();
  const ages = createDeadlineHeap<Memory>();
  /** Memories in the order of settlement, from `front` on; those that are forgotten have left `ages`. */
  let queue: (Memory | undefined)[] = [];
  let front = 0;
  let sequence = 0;
  let openCount = 0;
  let liveCount = 0;

  function leave(reservation: Reservation): void {
    liveCount--;
    if (reservation.state === "open") openCount--;
    const left = (liveByTenant.get(reservation.uid) ?? 1) - 1;
    if (left === 0) liveByTenant.delete(reservation.uid);
    else liveByTenant.set(reservation.uid, left);
  }

  function keep(memory: Memory): void {
    all.set(memory.id, memory);
    ages.add(memory);
    queue.push(memory);
    watch.changed(memory.id);
  }

  function forget(memory: Memory): void {
    all.delete(memory.id);
    ages.remove(memory);
    watch.changed(memory.id);
    for (const key of memory.keys ?? []) {
      answers.delete(key);
      watch.answered(key);
    }
  }

  function oldest(): Memory | undefined {
    for (; front < queue.length; front += 1) {
      const memory = queue[front];
      if (memory && memory.slot >= 0) return memory;
      queue[front] = undefined;
    }
    return undefined;
  }

  function* where<T extends Reservation | Memory>(
    holds: (one: Reservation | Memory) => one is T,
  ): IterableIterator<T> {
    for (const one of all.values()) if (holds(one)) yield one;
  }

  function memoryOf(id: string): Memory | undefined {
    const found = all.get(id);
    return found && isLive(found) ? undefined : found;
  }

  return {
    nextSequence: () => ++sequence,
    add(reservation) {
      sequence = Math.max(sequence, reservation.sequence);
      all.set(reservation.id, reservation);
      liveCount++;
      if (reservation.state === "open") openCount++;
      liveByTenant.set(reservation.uid, (liveByTenant.get(reservation.uid) ?? 0) + 1);
      due.add(reservation);
      watch.changed(reservation.id);
    },
    changed: ({ id }) => watch.changed(id),
    get(id) {
      const found = all.get(id);
      return found?.state === "lone" ? undefined : found;
    },
    end(reservation, { state, tally, statement = "" }, mono) {
      const { id, tenant, keys } = reservation;
      const { form, units } = packTally(tally);
      due.remove(reservation);
      leave(reservation);
      keep({
        id,
        keys,
        deadline: Math.max(mono + REMEMBERED, reservation.deadline + GRACE),
        slot: -1,
        state,
        tenant,
        statement,
        form,
        units,
      });
    },
    takeDue: (mono) => due.takeDue(mono),
    takeOut: (reservation) => due.remove(reservation),
    live: () => where(isLive),
    lapsed: () => where((one): one is Reservation => one.state === "expired"),
    lapse(reservation) {
      openCount--;
      reservation.state = "expired";
      reservation.deadline += GRACE;
      due.add(reservation);
      watch.changed(reservation.id);
    },
    renew(reservation, deadline) {
      due.move(reservation, deadline);
      watch.changed(reservation.id);
    },
    open: () => where((one): one is Reservation => one.state === "open"),
    openCount: () => openCount,
    liveCount: () => liveCount,
    liveOf: (uid) => liveByTenant.get(uid) ?? 0,
    nextDue: () => due.next(),
    keyed: (key) => answers.get(key),
    answers: () => answers.entries(),
    memory: memoryOf,
    memories: () => where((one): one is Memory => !isLive(one)),
    recall: keep,
    recallAnswer: (key, keyed) => void answers.set(key, keyed),
    remember(key, keyed, reservation, mono) {
      answers.set(key, keyed);
      watch.answered(key);
      const keys = reservation && (reservation.keys ??= []);
      if (reservation && keys && keys.length < KEYS_MAX) {
        keys.push(key);
        watch.changed(reservation.id);
      } else {
        keep({ id: `\0${key}`, keys: [key], deadline: mono + REMEMBERED, slot: -1, state: "lone" });
      }
    },
    tidy(mono) {
      for (let old = ages.takeDue(mono); old; old = ages.takeDue(mono)) forget(old);
      for (let old = oldest(); old && ages.size() > keysMax; old = oldest()) {
        evicted();
        forget(old);
      }
      if (queue.length <= 2 * ages.size() + FORGOTTEN_MAX) return;
      queue = queue.filter((one) => one && one.slot >= 0);
      front = 0;
    },
  };
}
