/**
 * A holder by itself: a test sees every message that it sends, and lets the reference of the store answer, or not.
 * Time moves only where the test moves it, and nothing is due before the test looks.
 */
import type { LedgerSpec } from "../../src/core/lease/ledger.ts";
import { freshView } from "../../src/core/lease/ledger.ts";
import { DEFAULT_TERMS, type SyncMessage, type SyncReply } from "../../src/core/lease/message.ts";
import { birth, createShard, sync, type Shard } from "../../src/core/lease/shard.ts";
import type { Mode } from "../../src/core/policy/document.ts";
import type { Funds, Outcome } from "../../src/engine/funds.ts";
import { createHolder } from "../../src/engine/holder/holder.ts";
import { createLease, hold, type Lease } from "../../src/engine/lease.ts";
import type { Now } from "../../src/engine/now.ts";
import type { Ticket, Turn } from "../../src/engine/turn.ts";
import type { Recovered } from "../../src/ports/journal.ts";
import type { StoreFault } from "../../src/ports/lease-store.ts";
import type { SharedStoreListener } from "../../src/ports/shared-store.ts";
import { recordLog, type LogLine } from "./log-lines.ts";
import { createSeededRng } from "./seeded-rng.ts";

/** 2026-11-21T10:00:00Z. */
export const START = 1_795_255_200_000;

export interface Sending {
  readonly message: SyncMessage;
  readonly done: (reply: SyncReply | StoreFault) => void;
}

export interface HolderHarness {
  readonly holder: Funds;
  readonly shard: Shard;
  /** Messages that nobody has answered, oldest first. */
  readonly open: Sending[];
  /** All messages ever sent. */
  readonly sent: SyncMessage[];
  /** What has gone out in a row: "journal" for a write, "message" for a message. */
  readonly listener: SharedStoreListener;
  /** What it has logged. */
  readonly lines: readonly LogLine[];
  now(): Now;
  lease(parts: Partial<LedgerSpec> & { readonly key: string }): Lease;
  /** One decision; what is granted is held. */
  take(lease: Lease, units: number, options?: TakeOptions): Outcome;
  /** Waits as an operation would; the returned list has one entry once it is decided again. */
  wait(lease: Lease, units: number, ttlMs?: number): { ticket: Ticket; resumed: number };
  /** The store executes the oldest message, and its answer arrives. */
  answer(change?: (reply: SyncReply) => SyncReply): void;
  answerAll(): void;
  /** The store executes it, and the answer is lost. */
  lose(): void;
  /** The holder does what is due now. */
  pump(): void;
  /** Time passes, and the holder has not looked yet. */
  elapse(ms: number): void;
  /** Time passes; the wall clock may go on alone. */
  pass(ms: number, wallAlone?: number): void;
}

export interface TakeOptions {
  readonly mode?: Mode;
  readonly ttlMs?: number;
  readonly ticket?: Ticket;
}

/** No two holders of a test are the same process. */
let made = 0;

export function holderWith(
  options: {
    readonly recovered?: Recovered;
    readonly shard?: Shard;
    readonly outbox?: (task: () => void) => void;
    readonly roundTripMs?: number;
  } = {},
): HolderHarness {
  const shard = options.shard ?? createShard();
  const open: Sending[] = [];
  const sent: SyncMessage[] = [];
  let mono = 1_000;
  let wall = START;
  const heard: SharedStoreListener[] = [];
  const { log, lines } = recordLog();
  birth(shard, 0, { now: START, historyId: "a" });

  const now = (): Now => ({ wall, latest: wall, mono });
  const holder = createHolder({
    store: {
      name: "reference",
      sync(message, done) {
        sent.push(message);
        open.push({ message, done });
      },
      read: (_uid, _keys, done) => done([]),
      listen: (to) => void heard.push(to),
      roundTripMs: () => options.roundTripMs ?? 1,
      close: () => Promise.resolve(),
    },
    rng: createSeededRng(++made),
    log,
    label: "test",
    terms: DEFAULT_TERMS,
    waitMs: 250,
    recovered: options.recovered,
    now,
    outbox: options.outbox ?? ((task) => task()),
    wake: () => undefined,
  });
  const [listener] = heard;
  if (!listener) throw new Error("the holder does not listen");
  listener.up(true);

  const execute = (): [Sending, SyncReply] => {
    const next = open.shift();
    if (!next) throw new Error("nothing was sent");
    const { reply } = sync(shard, next.message, { now: wall, historyId: "a" });
    return [next, { ...reply, confirmed: true }];
  };
  const turnOf = (ticket?: Ticket): Turn => ({
    caller: { tenant: "", platform: true },
    now: now(),
    ticket,
    suspend: () => undefined,
    again: () => undefined,
  });
  const pump = (): void => {
    holder.begin(now());
    holder.end();
  };
  const harness: HolderHarness = {
    holder,
    shard,
    open,
    sent,
    listener,
    lines,
    now,
    lease(parts) {
      const spec: LedgerSpec = {
        kind: "budget",
        version: 1,
        capacity: 1_000,
        overdraft: 0,
        refill: { units: 0, everyMs: 1, burst: 0 },
        family: "",
        rollover: 0,
        carryDebt: false,
        start: START - 1_000_000,
        end: START + 1_000_000_000,
        ...parts,
        key: `u\0${parts.key}`,
      };
      return createLease(spec, freshView(spec, mono), mono);
    },
    take(lease, units, { mode = "enforce", ttlMs = 60_000, ticket } = {}) {
      holder.begin(now());
      const outcome = holder.ask([{ lease, limit: { mode }, need: units }], turnOf(ticket), ttlMs);
      if (outcome === "granted" && mode === "enforce") hold(lease, units);
      holder.touch(lease);
      holder.end();
      return outcome;
    },
    wait(lease, units, ttlMs = 60_000) {
      const ticket: Ticket = {
        until: Infinity,
        isOver: false,
        isPartial: false,
        hasRead: false,
        isGone: () => false,
        leads: undefined,
        views: new Map(),
      };
      const waiting = { ticket, resumed: 0 };
      holder.begin(now());
      const outcome = holder.ask(
        [{ lease, limit: { mode: "enforce" }, need: units }],
        turnOf(),
        ttlMs,
      );
      if (outcome !== "wait") throw new Error(`nothing to wait for: ${outcome}`);
      holder.wait({ wants: [{ lease, units }], ttlMs }, ticket, () => {
        waiting.resumed++;
        if (!ticket.isOver) harness.take(lease, units, { ttlMs, ticket });
      });
      holder.end();
      return waiting;
    },
    answer(change = (reply) => reply) {
      const [{ done }, reply] = execute();
      done(change(reply));
    },
    answerAll() {
      for (let i = 0; open.length > 0 && i < 100; i++) harness.answer();
    },
    lose() {
      const [{ done }] = execute();
      done({ fault: "lost" });
    },
    pump,
    elapse(ms) {
      mono += ms;
      wall += ms;
    },
    pass(ms, wallAlone = 0) {
      mono += ms;
      wall += ms + wallAlone;
      pump();
    },
  };
  return harness;
}
