/**
 * A whole engine in the process: policy text in, answers out, on a clock that the test moves.
 *
 * The memory store answers in the same turn, so every call here returns its answer at once; an answer that
 * is still outstanding when `run` returns is a fault of the engine and is thrown.
 */
import { createCalendar } from "../../src/adapters/calendar/calendar.ts";
import { createMemoryLeaseStore } from "../../src/adapters/memory/lease-store.ts";
import { parsePolicy } from "../../src/adapters/policy/parse.ts";
import type { Operation, Request, Subject } from "../../src/core/operation.ts";
import type { PolicyDocument } from "../../src/core/policy/document.ts";
import { isRejection, type Rejection } from "../../src/core/rejection.ts";
import type { Answer, Balance, Explanation } from "../../src/core/verdict.ts";
import { createEngine, type Engine } from "../../src/engine/driver.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Call, Done, ReservationPage } from "../../src/ports/quota.ts";
import type { Telemetry } from "../../src/ports/telemetry.ts";
import { aCall, aSubject, type SubjectLike } from "./builders.ts";
import { createJournalInMemory, type JournalInMemory } from "./journal-in-memory.ts";
import { createManualClock, type ManualClock } from "./manual-clock.ts";
import { createReferenceStore } from "./reference-store.ts";
import { createSeededRng } from "./seeded-rng.ts";
import { SILENT } from "./silence.ts";

/** The answer that belongs to an operation. */
export type AnswerOf<Op extends Operation> = Extract<Answer, { readonly op: Op["op"] }>;

export interface Harness {
  readonly engine: Engine;
  readonly clock: ManualClock;
  /** Counters by name and labels, as "denied limit=x reason=y". */
  readonly counters: ReadonlyMap<string, number>;
  run<Op extends Operation>(operation: Op, call?: Call): AnswerOf<Op> | Rejection;
  /** As `run`, where a rejection is a fault of the test. */
  ok<Op extends Operation>(operation: Op, call?: Call): AnswerOf<Op>;
  balances(subject: SubjectLike, call?: Call): readonly Balance[];
  /** The one balance of that limit; `undefined` where it is not listed. */
  balance(subject: SubjectLike, limit: string, call?: Call): Balance | undefined;
  explain(request: Request, call?: Call): Explanation | Rejection;
  reservations(subject?: SubjectLike): ReservationPage;
  reload(policy: string | PolicyDocument): void;
  /** Of a harness with a journal. */
  readonly journal: JournalInMemory;
  /**
   * The process is killed, and another one goes on from its journal, with a monotonic clock of its own.
   * `policy`: the document that it finds then.
   */
  restart(policy?: string): void;
}

export interface HarnessOptions {
  /** ISO 8601 or milliseconds; default 2026-11-21T10:00:00Z, a Saturday. */
  readonly now?: string | number;
  readonly idempotencyKeys?: number;
  readonly seed?: number;
  /** Units are kept by the reference of a fleet's store. */
  readonly shared?: boolean;
  /** Keep a journal. Answers then wait for its write. */
  readonly journal?: boolean;
}

const HEAD = "apiVersion: imprest.dev/v1\nkind: Policy\n";

/** Reads a policy; the two lines that every document starts with may be left out. Throws on any problem. */
export function aPolicy(text: string): PolicyDocument {
  const result = parsePolicy(text.includes("apiVersion") ? text : HEAD + text);
  if (result.ok) return result.document;
  const problems = result.problems.map((p) => `${p.path}: found ${p.found}; allowed: ${p.allowed}`);
  throw new Error(`the test's policy is wrong:\n${problems.join("\n")}`);
}

export function engineWith(policy: string | PolicyDocument, options: HarnessOptions = {}): Harness {
  const clock = createManualClock(new Date(options.now ?? "2026-11-21T10:00:00Z").getTime());
  const counters = new Map<string, number>();
  const journal = createJournalInMemory();
  const rng = createSeededRng(options.seed ?? 1);
  let document = typeof policy === "string" ? aPolicy(policy) : policy;

  const shared = options.shared ? createReferenceStore(clock) : undefined;

  let lives = 0;
  /** A process has a monotonic clock of its own, and what it was to do soon ends with it. */
  function ownClock(origin: number): Clock {
    const life = ++lives;
    return {
      ...clock,
      mono: () => clock.mono() - origin,
      soon: (task) => clock.soon(() => life === lives && task()),
    };
  }

  function startEngine(own: Clock): Engine {
    const kept = options.journal ? journal.open() : undefined;
    return createEngine({
      document,
      calendar: createCalendar(),
      clock: own,
      rng,
      store: shared ? { shared, label: "test" } : createMemoryLeaseStore(own, kept),
      log: SILENT,
      telemetry: createCountingTelemetry(counters),
      idempotencyKeys: options.idempotencyKeys ?? 100_000,
      waitMs: 250,
      ...(kept && { journal: kept }),
    });
  }
  let engine = startEngine(ownClock(0));
  if (shared) clock.advance(0);

  const answerOf = <T>(what: string, start: (done: Done<T>) => void): T | Rejection => {
    const answers: (T | Rejection)[] = [];
    start((answer) => answers.push(answer));
    clock.settle();
    for (let i = 0; options.shared && answers.length === 0 && i < 320; i++) {
      clock.advance(i < 20 ? 0 : 1); // a wait for the store, at most as long as a request may wait
    }
    for (let i = 0; options.shared && i < 4; i++) clock.advance(0);
    const answer = answers[0];
    if (answer === undefined || answers.length > 1) {
      throw new Error(`${what} was answered ${answers.length} times in its turn`);
    }
    return answer;
  };
  const certain = <T extends object>(what: string, answer: T | Rejection): T => {
    if (isRejection(answer))
      throw new Error(`${what} was rejected: ${answer.reason} ${answer.message}`);
    return answer;
  };
  const run = <Op extends Operation>(operation: Op, call = aCall()): AnswerOf<Op> | Rejection => {
    const answer = answerOf<Answer>(operation.op, (done) => engine.run(call, operation, done));
    if (!isRejection(answer) && answer.op !== operation.op) {
      throw new Error(`${operation.op} was answered as ${answer.op}`);
    }
    return answer as AnswerOf<Op> | Rejection;
  };
  const balances = (subject: SubjectLike, call = aCall()): readonly Balance[] =>
    certain(
      "balance",
      answerOf<readonly Balance[]>("balance", (done) =>
        engine.balance(call, aSubject(subject), false, done),
      ),
    );

  return {
    get engine() {
      return engine;
    },
    clock,
    journal,
    counters,
    run,
    ok: (operation, call) => certain(operation.op, run(operation, call)),
    balances,
    balance: (subject, limit, call) => balances(subject, call).find((one) => one.limit === limit),
    explain: (request, call = aCall()) =>
      answerOf<Explanation>("explain", (done) => engine.explain(call, request, done)),
    reservations: (subject = {}) =>
      certain(
        "reservations",
        answerOf<ReservationPage>("reservations", (done) =>
          engine.reservations(
            aCall(),
            { subject: aSubject(subject) satisfies Subject, pageSize: 1_000, pageToken: "" },
            done,
          ),
        ),
      ),
    reload(next) {
      document = typeof next === "string" ? aPolicy(next) : next;
      engine.reload(document);
    },
    restart(next) {
      engine.stop();
      if (next !== undefined) document = aPolicy(next);
      engine = startEngine(ownClock(clock.mono() - 5));
      if (shared) clock.advance(0);
    },
  };
}

function createCountingTelemetry(counters: Map<string, number>): Telemetry {
  const count = (name: string, by = 1): void => {
    counters.set(name, (counters.get(name) ?? 0) + by);
  };
  return {
    decided: ({ op, decision, reason }) =>
      count(`decided op=${op} decision=${decision} reason=${reason}`),
    denied: (limit, reason) => count(`denied limit=${limit} reason=${reason}`),
    shadowDenied: (limit) => count(`shadow_denied limit=${limit}`),
    charged: (meter, units) => count(`charged meter=${meter}`, units),
    overage: (meter, units) => count(`overage meter=${meter}`, units),
    reservationEnded: (end) => count(`ended end=${end}`),
    thresholdReached: (limit, used) => count(`threshold limit=${limit} used=${used}`),
    unpriced: () => count("unpriced"),
    idempotencyEvicted: () => count("idempotency_evicted"),
    policyReloaded: () => count("policy_reloaded"),
    policyReloadFailed: () => count("policy_reload_failed"),
  };
}
