/**
 * An engine with bounds small enough to be reached, on a store that can be looked into. (Most tests need neither:
 * see engine-harness.ts.)
 */
import { createCalendar } from "../../src/adapters/calendar/calendar.ts";
import { createMemoryLeaseStore } from "../../src/adapters/memory/lease-store.ts";
import type { LedgerView } from "../../src/core/lease/ledger.ts";
import type { Operation } from "../../src/core/operation.ts";
import { isRejection, type Rejection } from "../../src/core/rejection.ts";
import type { Answer } from "../../src/core/verdict.ts";
import { createEngine, type Engine, type EngineOptions } from "../../src/engine/driver.ts";
import type { LeaseStore } from "../../src/ports/lease-store.ts";
import { aCall, aSubject } from "./builders.ts";
import { aPolicy, type AnswerOf } from "./engine-harness.ts";
import { createManualClock, type ManualClock } from "./manual-clock.ts";
import { createSeededRng } from "./seeded-rng.ts";
import { NO_TELEMETRY, SILENT } from "./silence.ts";

export type Bounds = Partial<
  Pick<EngineOptions, "bucketsPerTenant" | "bucketsMax" | "bounds" | "idempotencyKeys">
>;

export interface BoundedEngine {
  readonly engine: Engine;
  readonly clock: ManualClock;
  /** Messages of the log at info and above. */
  readonly logged: readonly string[];
  /** Telemetry of `idempotencyEvicted`. */
  evicted(): number;
  run<Op extends Operation>(operation: Op): AnswerOf<Op> | Rejection;
  /** As `run`, where a rejection is a fault of the test. */
  ok<Op extends Operation>(operation: Op): AnswerOf<Op>;
  /** "allow", "deny" …, or the reason of a rejection. */
  outcome(operation: Operation): string;
  /** Every ledger that the store still has, of those that it was ever told of. */
  ledgers(): ReadonlyMap<string, LedgerView>;
}

export function boundedEngine(policy: string, bounds: Bounds = {}): BoundedEngine {
  const clock = createManualClock(Date.UTC(2026, 10, 21, 10));
  const { store, ledgers } = openStore(createMemoryLeaseStore(clock));
  const logged: string[] = [];
  let evicted = 0;
  const note = (_: unknown, message: string): void => void logged.push(message);
  const engine = createEngine({
    document: aPolicy(policy),
    calendar: createCalendar(),
    clock,
    rng: createSeededRng(1),
    store,
    log: { ...SILENT, info: note, warn: note, error: note },
    telemetry: { ...NO_TELEMETRY, idempotencyEvicted: () => (evicted += 1) },
    waitMs: 250,
    idempotencyKeys: 100_000,
    ...bounds,
  });
  const run = <Op extends Operation>(operation: Op): AnswerOf<Op> | Rejection => {
    const answers: (Answer | Rejection)[] = [];
    engine.run(aCall(), operation, (answer) => answers.push(answer));
    const [answer] = answers;
    if (answers.length !== 1 || answer === undefined) throw new Error("not answered in its turn");
    return answer as AnswerOf<Op> | Rejection;
  };
  return {
    engine,
    clock,
    logged,
    evicted: () => evicted,
    run,
    ok(operation) {
      const answer = run(operation);
      if (isRejection(answer)) throw new Error(`rejected: ${answer.reason} ${answer.message}`);
      return answer;
    },
    outcome(operation) {
      const answer: Answer | Rejection = run(operation);
      if (isRejection(answer)) return answer.reason;
      return "verdict" in answer ? answer.verdict.decision : answer.op;
    },
    ledgers() {
      engine.balance(aCall(), aSubject(), false, () => undefined); // the store hears of what may wait
      return ledgers();
    },
  };
}

function openStore(inner: LeaseStore): {
  readonly store: LeaseStore;
  ledgers(): ReadonlyMap<string, LedgerView>;
} {
  const keys = new Set<string>();
  const store: LeaseStore = {
    ...inner,
    sync(blocks, done) {
      for (const { spec } of blocks) keys.add(spec.key);
      inner.sync(blocks, done);
    },
  };
  return {
    store,
    ledgers() {
      const found = new Map<string, LedgerView>();
      const all = [...keys];
      inner.read(all, (views) => {
        if ("fault" in views) throw new Error(views.fault);
        for (const [i, view] of views.entries()) if (view) found.set(all[i] ?? "", view);
      });
      return found;
    },
  };
}
