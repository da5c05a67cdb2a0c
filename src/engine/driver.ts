/**
 * The engine: every operation is one turn on state that only this file's callers can reach.
 *
 *   EN1  Before anything is decided, what is due has expired (S18).
 *   EN2  After every turn the store knows what was settled, and nothing free is kept.
 *   EN3  Of equal keys the first answer that held, charged or settled something stands (S28).
 */
import { freshOr, type Keys } from "./idempotency.ts";
import type { Operation } from "../core/operation.ts";
import { compilePolicy } from "../core/policy/compile.ts";
import type { PolicyDocument } from "../core/policy/document.ts";
import type { Answer } from "../core/verdict.ts";
import { MINUTE } from "../core/time.ts";
import type { Calendar } from "../ports/calendar.ts";
import type { Clock } from "../ports/clock.ts";
import type { LeaseStore } from "../ports/lease-store.ts";
import type { Log } from "../ports/log.ts";
import type { Call, Done, Quota } from "../ports/quota.ts";
import type { Rng } from "../ports/rng.ts";
import type { Gauges, Telemetry } from "../ports/telemetry.ts";
import { createAccounts } from "./accounts.ts";
import { balances, listReservations } from "./balances.ts";
import type { Bounds, Core } from "./core.ts";
import { consume } from "./consume.ts";
import { expireAll, expireDue } from "./expiry.ts";
import { extend } from "./extend.ts";
import { createFunds } from "./funds.ts";
import type { Now } from "./now.ts";
import { check, explain } from "./look.ts";
import { reserve } from "./reserve.ts";
import type { Turn } from "./turn.ts";
import { createReservations } from "./reservations.ts";
import { commit, release, releaseOpen } from "./settlement.ts";
import { createTenants } from "./tenants.ts";

export interface EngineOptions {
  readonly document: PolicyDocument;
  readonly calendar: Calendar;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly store: LeaseStore;
  readonly log: Log;
  readonly telemetry: Telemetry;
  /** Most settled reservations and keyed answers that are remembered (S29). */
  readonly idempotencyKeys: number;
  /** Longest wait of a request for the store. `memory:` never makes one wait. */
  readonly waitMs: number;
  /** Most live buckets of one tenant, and of all; default 100,000 and 2,000,000. */
  readonly bucketsPerTenant?: number;
  readonly bucketsMax?: number;
  readonly bounds?: Bounds;
}

export interface Engine extends Quota, Gauges {
  /** Takes a new document: what is used stays used (policy.md). */
  reload(document: PolicyDocument): void;
  /** Settles open reservations as expiry would, and returns all leases. */
  drain(): Promise<void>;
  /** Stops the timers. Nothing may be run afterwards. */
  stop(): void;
}

/**
 * How often idle buckets are looked for, ms. Not above the shortest ttl: then the timer that is set to the next
 * expiry is never late for a reservation that was made after it was set.
 */
const TICK = 1_000;
const SWEPT_A_TICK = 2_000;
const DEFAULT_BOUNDS: Bounds = { reservationsPerTenant: 100_000, reservationsMax: 1_000_000 };

export function createEngine(options: EngineOptions): Engine {
  const { clock, telemetry, store, log, rng } = options;
  const funds = createFunds(store);
  const accounts = createAccounts({
    calendar: options.calendar,
    funds,
    bucketsPerTenant: options.bucketsPerTenant ?? 100_000,
    bucketsMax: options.bucketsMax ?? 2_000_000,
  });
  const policy = compilePolicy(options.document, 1);
  const core: Core = {
    policy,
    tenants: createTenants(policy, accounts.books),
    accounts,
    funds,
    reservations: createReservations(options.idempotencyKeys, () => telemetry.idempotencyEvicted()),
    telemetry,
    log,
    rng,
    bounds: options.bounds ?? DEFAULT_BOUNDS,
  };
  let latest = 0;
  let isBehind = false;

  function turn<T>(call: Call | undefined, act: (turn: Turn) => T): T {
    const wall = clock.wall();
    if (wall < latest - MINUTE && !isBehind) {
      log.warn({ behindMs: latest - wall }, "the wall clock went back; budgets keep their period");
    }
    isBehind = wall < latest - MINUTE;
    latest = Math.max(latest, wall);
    const now: Now = { wall, latest, mono: Math.floor(clock.mono()) };
    expireDue(core, now);
    funds.flush(); // what has expired is free for everybody, and pays debt, before this turn decides
    const result = act({ caller: call?.caller ?? NOBODY, now });
    funds.flush();
    core.reservations.tidy(now.mono);
    return result;
  }

  let cancelTick = clock.timer(TICK, tick);
  function tick(): void {
    turn(undefined, ({ now }) => {
      accounts.sweep(now, SWEPT_A_TICK);
    });
    const due = core.reservations.nextDue() - Math.floor(clock.mono());
    cancelTick = clock.timer(Math.max(1, Math.min(due, TICK)), tick);
  }

  return {
    run: (call, operation, done) => turn(call, (at) => run(core, at, operation, done)),
    balance: (call, subject, _refresh, done) =>
      turn(call, (at) => done(balances(core, at, subject))),
    explain: (call, request, done) => turn(call, (at) => explain(core, at, request, done)),
    reservations: (call, filter, done) =>
      turn(call, (at) => done(listReservations(core, at, filter))),
    abandon(id) {
      turn(undefined, ({ now }) => {
        const found = core.reservations.get(id);
        if (found?.state === "open") releaseOpen(core, found, now);
      });
    },
    reload(document) {
      core.policy = compilePolicy(document, core.policy.generation + 1);
      core.tenants = createTenants(core.policy, accounts.books);
      telemetry.policyReloaded();
    },
    drain() {
      turn(undefined, ({ now }) => expireAll(core, now));
      return Promise.resolve();
    },
    stop: () => cancelTick(),
    openReservations: () => core.reservations.openCount(),
    leasedUnits: () => accounts.leased(),
    liveBuckets: () => accounts.live(),
    storeUp: () => true,
    degraded: () => false,
  };
}

const NOBODY = { tenant: "", platform: true };

function run(core: Core, turn: Turn, op: Operation, done: Done<Answer>): void {
  const keys: Keys = { core, turn, op };
  switch (op.op) {
    case "check":
      return check(core, turn, op, done);
    case "reserve":
      return freshOr(keys, done, (finish) => reserve(core, turn, op, finish));
    case "consume":
      return freshOr(keys, done, (finish) => consume(core, turn, op, finish));
    case "extend":
      return freshOr(keys, done, (finish) => extend(core, turn, op, finish));
    case "commit":
      return freshOr(keys, done, (finish) => finish(commit(core, turn, op)));
    case "release":
      return freshOr(keys, done, (finish) => finish(release(core, turn, op)));
  }
}
