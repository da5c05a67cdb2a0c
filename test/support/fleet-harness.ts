/**
 * Several whole engines on one store that they share, in one process, on virtual time: the store is the reference
 * of the lease protocol, a round trip away. Nothing fails here; the simulator is for that.
 */
import { createCalendar } from "../../src/adapters/calendar/calendar.ts";
import type { Hint, LeaseTerms, SyncMessage } from "../../src/core/lease/message.ts";
import { read } from "../../src/core/lease/inspect.ts";
import { birth, createShard, sync, type Shard } from "../../src/core/lease/shard.ts";
import type { SharedLedger } from "../../src/core/lease/shared-ledger.ts";
import type { Operation } from "../../src/core/operation.ts";
import type { Rejection } from "../../src/core/rejection.ts";
import type { Answer, Balance } from "../../src/core/verdict.ts";
import { createEngine, type Engine } from "../../src/engine/driver.ts";
import type { SharedStore, SharedStoreListener } from "../../src/ports/shared-store.ts";
import { aCall, aSubject, type SubjectLike } from "./builders.ts";
import { aPolicy } from "./engine-harness.ts";
import { createManualClock, type ManualClock } from "./manual-clock.ts";
import { recordLog, type LogLine } from "./log-lines.ts";
import { createSeededRng } from "./seeded-rng.ts";
import { NO_TELEMETRY } from "./silence.ts";

export interface Replica {
  readonly engine: Engine;
  /** What it has logged. */
  readonly lines: readonly LogLine[];
  /** Starts an operation; its answer is there once time has moved far enough. */
  run(operation: Operation, deadline?: number): Pending<Answer>;
  balances(subject: SubjectLike, refresh?: boolean): Pending<readonly Balance[]>;
}

export interface Pending<T> {
  answer: T | Rejection | undefined;
}

export interface FleetHarness {
  readonly clock: ManualClock;
  readonly replicas: readonly Replica[];
  readonly shards: ReadonlyMap<string, Shard>;
  /** Messages that the store has executed, blocks in them, and hints that it sent. */
  readonly counted: { messages: number; blocks: number; hints: number };
  /** Everybody hears that the store is there, or gone; while it is gone messages fail. */
  up(isUp: boolean, cause?: string): void;
  /** Nothing that this replica says from now on arrives. */
  cut(replica: number): void;
  /** Another replica joins. */
  join(): Replica;
}

export interface FleetHarnessOptions {
  readonly replicas?: number;
  readonly roundTripMs?: number;
  readonly waitMs?: number;
  /** For how long the store only listens when it is new; default: not at all. */
  readonly learnMs?: number;
  readonly now?: string;
  readonly seed?: number;
  readonly terms?: Partial<LeaseTerms>;
  /** One way of a message or hint, ms; default: always half a round trip. */
  readonly delay?: () => number;
  /** Sees a ledger after each message about it. */
  readonly settled?: (ledger: SharedLedger, message: SyncMessage) => void;
}

export function fleetOf(policy: string, options: FleetHarnessOptions = {}): FleetHarness {
  const start = new Date(options.now ?? "2026-11-21T10:00:00Z").getTime();
  const clock = createManualClock(start, Infinity);
  const roundTripMs = options.roundTripMs ?? 1;
  const delay = options.delay ?? (() => roundTripMs / 2);
  const shards = new Map<string, Shard>();
  const listeners: SharedStoreListener[] = [];
  const counted = { messages: 0, blocks: 0, hints: 0 };
  let isUp = true;

  const env = () => ({ now: clock.wall(), historyId: "a" });
  const shardOf = (uid: string): Shard => {
    let shard = shards.get(uid);
    if (!shard) shards.set(uid, (shard = createShard()));
    birth(shard, options.learnMs ?? 0, env());
    return shard;
  };
  const tell = (hints: readonly Hint[]): void => {
    counted.hints += hints.length;
    for (const hint of hints) {
      for (const listener of listeners) clock.timer(delay(), () => listener.hint(hint));
    }
  };
  const silent = new Set<string>();
  const createStore = (): SharedStore => ({
    name: "reference",
    sync(message, done) {
      clock.timer(delay(), () => {
        if (silent.has(message.holder.label)) return;
        if (!isUp) return void clock.timer(delay(), () => done({ fault: "gone" }));
        counted.messages++;
        counted.blocks += message.blocks.length;
        const shard = shardOf(message.uid);
        const { reply, hints } = sync(shard, message, env());
        for (const { spec } of options.settled ? message.blocks : []) {
          const ledger = shard.ledgers.get(spec.key);
          if (ledger) options.settled?.(ledger, message);
        }
        tell(hints);
        clock.timer(delay(), () => done({ ...reply, confirmed: true }));
      });
    },
    read(uid, keys, done) {
      clock.timer(delay() + delay(), () =>
        done(isUp ? read(shardOf(uid), keys, clock.wall()) : { fault: "gone" }),
      );
    },
    listen(listener) {
      listeners.push(listener);
      clock.timer(0, () => listener.up(isUp));
    },
    roundTripMs: () => roundTripMs,
    close: () => Promise.resolve(),
  });

  let joined = 0;
  const replicas: Replica[] = [];
  const join = (): Replica => {
    joined++;
    const { log, lines } = recordLog();
    const engine = createEngine({
      document: aPolicy(policy),
      calendar: createCalendar(),
      clock,
      rng: createSeededRng((options.seed ?? 1) * 1_000 + joined),
      store: {
        shared: createStore(),
        label: `pod-${joined}`,
        terms: { ttlMs: 10_000, graceMs: 1_000, learnMs: 12_000, strict: false, ...options.terms },
      },
      log,
      telemetry: NO_TELEMETRY,
      idempotencyKeys: 100_000,
      waitMs: options.waitMs ?? 250,
    });
    const replica: Replica = {
      engine,
      lines,
      run(operation, deadline = Infinity) {
        const pending: Pending<Answer> = { answer: undefined };
        engine.run({ ...aCall(), deadline }, operation, (answer) => {
          if (pending.answer) throw new Error(`${operation.op} was answered twice`);
          pending.answer = answer;
        });
        return pending;
      },
      balances(subject, refresh = false) {
        const pending: Pending<readonly Balance[]> = { answer: undefined };
        engine.balance(aCall(), aSubject(subject), refresh, (answer) => {
          pending.answer = answer;
        });
        return pending;
      },
    };
    replicas.push(replica);
    clock.advance(1);
    return replica;
  };
  for (let i = 0; i < (options.replicas ?? 2); i++) join();

  return {
    clock,
    replicas,
    shards,
    counted,
    up(is, cause) {
      isUp = is;
      for (const listener of listeners) listener.up(is, cause);
    },
    cut: (replica) => void silent.add(`pod-${replica + 1}`),
    join,
  };
}
