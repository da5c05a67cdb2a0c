/**
 * The holder: where units come from when the store is shared by a fleet and a network away. Decisions spend
 * leases that are here; in the background they are asked for before they run out, returned when they idle, and
 * settled.
 *
 *   HO1  free ≥ 0 on every lease, always.
 *   HO2  A decision takes all its units or none, in one turn.
 *   HO3  What leaves this process was journaled before; what came is credited after.
 *   HO4  A ledger is forgotten only after the store has confirmed that it is closed with nothing out.
 *
 *   state.ts      what the parts share            demand.ts    how much is going to be asked for
 *   stock.ts      one ledger                      exchange.ts  messages and their answers
 *   waiters.ts    operations that wait            upkeep.ts    everything that nobody waits for
 *   scarcity.ts   what is not worth asking        fallback.ts  when the store is lost
 *   loss.ts       whether it is
 */
import { freshView } from "../../core/lease/ledger.ts";
import type { Hint, LeaseTerms } from "../../core/lease/message.ts";
import type { DurationMs } from "../../core/time.ts";
import type { Log } from "../../ports/log.ts";
import type { Recovered } from "../../ports/journal.ts";
import type { Rng } from "../../ports/rng.ts";
import type { SharedStore } from "../../ports/shared-store.ts";
import { createDeadlineHeap } from "../deadline-heap.ts";
import type { Funds } from "../funds.ts";
import { createLease, free, isAllTold, rebase, type Lease } from "../lease.ts";
import type { Now } from "../now.ts";
import { register, resendDue, send, type Part, type Sent } from "./exchange.ts";
import { countFallback, mayFallBack } from "./fallback.ts";
import { createLeaseIds, heirOf, newHolder } from "./identity.ts";
import { endSilence, hearNews } from "./scarcity.ts";
import { comeBack, createLossTeller, lossEnds, whyLost } from "./loss.ts";
import { isLost, noteTtl, type HolderState } from "./state.ts";
import { freeze, newStock, ripen, type Stock } from "./stock.ts";
import { ask, couldCover, enqueue, look, nextOfWaiters, whyNot } from "./asking.ts";
import { createStoreClock } from "./store-clock.ts";
import { createHolderKeeper, nameOf, predecessor, retireAll, succeed } from "./succession.ts";
import { askForWaiters, byShard, fitsHere, serve, wakeWaiters } from "./waiters.ts";
import { giveWay, hasten, nextLook, tend } from "./upkeep.ts";

export interface HolderOptions {
  readonly store: SharedStore;
  readonly rng: Rng;
  readonly log: Log;
  readonly label: string;
  readonly terms: LeaseTerms;
  readonly waitMs: DurationMs;
  /** What the journal of the process before says; absent: there was none. */
  readonly recovered?: Recovered | undefined;
  /** The moment, for what comes from outside of a turn. */
  readonly now: () => Now;
  readonly outbox: (task: () => void) => void;
  /** Something is due earlier than it was. */
  readonly wake: () => void;
}

/** Messages under way at once, at most: a re-registration of everything must not bury the store. */
const SENT_MAX = 256;

export function createHolder(options: HolderOptions): Funds {
  const { store, rng, log, label } = options;
  const mint = createLeaseIds(rng);
  let pumping = false;
  let drained: (() => void) | undefined;

  const state: HolderState = {
    ...nothingHeld(options),
    later(task) {
      begin(options.now());
      task();
      pump();
      options.wake();
    },
    look: (stock) => void state.touched.add(stock),
    forget(stock) {
      state.due.remove(stock);
      state.touched.delete(stock);
      state.stocks.delete(nameOf(stock));
      const shard = state.shards.get(stock.uid);
      shard?.stocks.delete(stock);
      if (shard?.stocks.size === 0) state.shards.delete(stock.uid);
      const [first] = shard?.stocks ?? [];
      if (first) state.touched.add(first); // (UK6)
      stock.lease.stock = undefined;
      rebase(stock.lease); // nothing is out: whoever finds it again begins with nothing
      keeper?.changed(stock);
    },
    keep(stock) {
      state.stocks.set(nameOf(stock), stock);
      const shard = state.shards.get(stock.uid);
      if (shard) shard.stocks.add(stock);
      else {
        const known = { fence: 0, toldAt: state.now.mono, returnAt: 0 };
        const stocks = new Set([stock]);
        state.shards.set(stock.uid, { ...known, recoveringUntil: -Infinity, stocks });
      }
    },
    changed: (stock) => keeper?.changed(stock),
    stockOf: (lease) => stockOf(lease),
    renewIdentity: () => {
      state.identity = newHolder(rng, label);
    },
    mint: () => mint(state.now.wall),
    seed({ lease, demand }) {
      const spec = lease.next?.();
      if (!spec || state.stocks.has(spec.key)) return;
      const { mono } = state.now;
      const seeded = stockOf(createLease(spec, freshView(spec, mono), mono, lease));
      Object.assign(seeded.demand, demand);
      seeded.isSeed = true;
      state.touched.add(seeded);
    },
  };

  const tellLoss = createLossTeller(state);
  const keeper = options.recovered && createHolderKeeper(state);

  function stockOf(lease: Lease): Stock {
    if (lease.stock) return lease.stock;
    const stock = newStock(lease, state.mint(), state.now.mono);
    stock.closing = state.isDraining;
    lease.stock = stock;
    state.keep(stock);
    return stock;
  }

  /** Its stock, or, where it has none, what one would be like. */
  const seen = (lease: Lease): Stock => lease.stock ?? newStock(lease, "", state.now.mono);

  /** A turn begins: what a pause of this machine made worthless goes first. */
  function begin(now: Now): void {
    state.now = now;
    const jump = state.clock.jumped(now.wall, now.mono);
    if (jump === 0) return;
    log.warn({ jumpMs: jump }, "the clocks jumped; leases are looked at anew");
    for (const sent of state.sent) sent.isOld = true;
    for (const stock of state.stocks.values()) {
      freeze(stock);
      register(state, stock);
    }
  }

  /** Does all that there is to do: goes on with who waited, asks, gives back, settles. */
  function pump(): void {
    if (pumping) return;
    pumping = true;
    resendDue(state);
    if (state.waiters.length > 0) {
      serve(state);
      askForWaiters(state);
    }
    for (const stock of state.touched) {
      hasten(state, stock);
      keeper?.changed(stock);
    }
    const parts: Part[] = [];
    const see = (stock: Stock): void => {
      const part = tend(state, stock);
      if (part) parts.push(part);
    };
    for (const stock of state.touched) if (parts.length < room()) see(stock);
    while (parts.length < room()) {
      const due = state.due.takeDue(state.now.mono);
      if (!due) break;
      if (state.touched.has(due)) continue; // it was seen, and may be told in this very turn (EX1)
      state.touched.add(due);
      see(due);
    }
    for (const message of byShard(parts)) send(state, message);
    for (const stock of state.touched) schedule(stock);
    state.touched.clear();
    pumping = false;
    tellLoss(); // (LS1)
    if (drained && isDrained(state)) drained(); // (HO4)
  }

  /** Blocks that may be sent now; what finds none is looked at again when an answer comes. */
  const room = (): number => (SENT_MAX - state.sent.size) * 8;

  function schedule(stock: Stock): void {
    if (!state.stocks.has(nameOf(stock))) return;
    const next = nextLook(state, stock);
    if (stock.slot >= 0) state.due.move(stock, next);
    else {
      stock.deadline = next;
      state.due.add(stock);
    }
  }

  function hear(hint: Hint): void {
    const stock = state.stocks.get(hint.key);
    if (!stock) return;
    if (hint.kind === "recall") giveWay(state, stock, hint.level);
    else {
      const isOurs = hint.holder === stock.id;
      hearNews(state, stock, hint.units, isOurs);
      if (isOurs) wakeWaiters(state, stock, hint.units);
    }
    state.touched.add(stock);
  }

  store.listen({
    up: (isUp, cause = "") =>
      state.later(() => {
        const wasLost = state.cause !== undefined && !state.isUp;
        state.isUp = isUp;
        state.cause = cause;
        if (!isUp) return;
        if (wasLost) comeBack(state);
        state.upSince = state.now.mono;
        for (const stock of state.stocks.values()) {
          stock.fallback = undefined;
          state.touched.add(stock); // (UK7)
          endSilence(stock); // hints may have been lost
        }
        for (const sent of state.sent) {
          sent.attempts = 0; // one that is still under way fails soon, and is not to wait for long then
          if (sent.slot >= 0) state.resends.move(sent, state.now.mono);
        }
      }),
    changed: () =>
      state.later(() => {
        for (const stock of state.stocks.values()) register(state, stock);
      }),
    hint: (hint) => state.later(() => hear(hint)),
  });

  return {
    isShared: true,
    begin,
    ask: (standings, turn, ttlMs) => ask(state, standings, { turn, ttlMs }),
    wait(needs, ticket, resume) {
      if ("keys" in needs) look(state, needs.keys, ticket, resume);
      else enqueue(state, needs, ticket, resume);
    },
    isHere: (lease, units, ttlMs) => fitsHere(state, { stock: seen(lease), units }, ttlMs),
    why: (lease, units) => whyNot(state, seen(lease), units),
    cover(lease, units) {
      const stock = stockOf(lease);
      ripen(stock, state.now.mono);
      state.touched.add(stock);
      return Math.min(units, free(lease));
    },
    couldCover: (lease, units) => couldCover(state, { stock: stockOf(lease), units }),
    peek: () => undefined,
    touch: (lease) => void state.touched.add(stockOf(lease)),
    prolong: (lease, ttlMs) => noteTtl(state, stockOf(lease), ttlMs),
    flush: () => undefined,
    end: pump,
    close(lease) {
      const stock = stockOf(lease);
      stock.closing = true;
      stock.settleAt = state.now.mono;
      state.touched.add(stock);
    },
    held(spec) {
      const stock = state.stocks.get(spec.key);
      if (!stock) return undefined;
      stock.closing = state.isDraining;
      stock.isSeed = false;
      return stock.lease;
    },
    mayFallBack(lease, rule, units, isLook) {
      const stock = isLook ? { ...seen(lease) } : stockOf(lease); // (S31)
      return mayFallBack(stock, rule, units, state.now.mono);
    },
    countFallback: (lease, units) => countFallback(stockOf(lease), units),
    periodTime: (mono) => state.clock.at(mono),
    nextDue: () =>
      Math.min(room() > 0 ? state.due.next() : Infinity, nextOfWaiters(state), lossEnds(state)),
    keeper,
    restore: (recovered, leases) => succeed(state, recovered, leases),
    journalLost: (isMarked) => retireAll(state, isMarked),
    isUp: () => state.isUp,
    isLost: () => isLost(state),
    whyLost: () => whyLost(state),
    drain(done) {
      drained = done;
      state.isDraining = true;
      for (const stock of state.stocks.values()) {
        stock.closing = true;
        stock.settleAt = state.now.mono;
        state.touched.add(stock);
      }
      pump();
    },
  };
}

/** All is closed but what holds units for reservations that a journal keeps; and that the store knows. */
function isDrained({ stocks }: HolderState): boolean {
  for (const { inFlight, lease } of stocks.values()) {
    const isKept = lease.reserved + lease.pending > 0;
    if (inFlight || free(lease) > 0 || !isKept || !isAllTold(lease)) return false;
  }
  return true;
}

/** A holder that has nothing, and has heard nothing. */
function nothingHeld({ store, rng, log, label, terms, waitMs, outbox, recovered }: HolderOptions) {
  const before = predecessor(recovered);
  return {
    store,
    hasJournal: recovered !== undefined,
    rng,
    log,
    terms,
    waitMs,
    outbox,
    clock: createStoreClock(),
    identity: before ? heirOf(before, rng, label) : newHolder(rng, label),
    stocks: new Map(),
    due: createDeadlineHeap<Stock>(),
    resends: createDeadlineHeap<Sent>(),
    sent: new Set<Sent>(),
    waiters: [],
    touched: new Set<Stock>(),
    shards: new Map(),
    isUp: false,
    cause: undefined,
    upSince: -Infinity,
    isDraining: false,
    hasGranted: false,
    recoveringUntil: -Infinity,
    returningUntil: -Infinity,
    now: { wall: 0, latest: 0, mono: 0 },
  };
}
