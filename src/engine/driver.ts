/**
 * The engine: every operation is one turn on state that only this file's callers can reach.
 *
 *   EN1  Before anything is decided, what is due has expired (S18).
 *   EN2  After every turn the store knows what was settled, and nothing free is kept; of what may wait (FU4) this
 *        is true before anybody looks.
 *   EN3  Of equal keys the first answer that held, charged or settled something stands (S28).
 *   EN4  Once it drains nothing new is admitted: who still waits for units is told so, and what comes goes back.
 */
import { freshOr, type Keys } from "./idempotency.ts";
import type { Operation } from "../core/operation.ts";
import { compilePolicy } from "../core/policy/compile.ts";
import { DEFAULT_TERMS, type LeaseTerms } from "../core/lease/message.ts";
import type { PolicyDocument } from "../core/policy/document.ts";
import type { Answer } from "../core/verdict.ts";
import type { Calendar } from "../ports/calendar.ts";
import type { Clock } from "../ports/clock.ts";
import type { LeaseStore } from "../ports/lease-store.ts";
import type { SharedStore } from "../ports/shared-store.ts";
import type { Log } from "../ports/log.ts";
import type { Call, Done, Quota } from "../ports/quota.ts";
import type { Rng } from "../ports/rng.ts";
import type { Gauges, Telemetry } from "../ports/telemetry.ts";
import { createAccounts } from "./accounts.ts";
import { balances, listReservations } from "./balances.ts";
import type { Bounds, Core } from "./core.ts";
import { consume } from "./consume.ts";
import { expireAll, expireDue, expireIfOver } from "./expiry.ts";
import { extend } from "./extend.ts";
import { createFunds, type Funds } from "./funds.ts";
import { createHolder, type HolderOptions } from "./holder/holder.ts";
import { createAlarm } from "./alarm.ts";
import { createMoments } from "./moment.ts";
import type { Now } from "./now.ts";
import { check, explain } from "./look.ts";
import { createOutbox } from "./outbox.ts";
import { createPersistence, goOn, type Kept } from "./persistence.ts";
import { reserve } from "./reserve.ts";
import type { Ticket, Turn } from "./turn.ts";
import { createReservations } from "./reservations.ts";
import { commit, release, releaseOpen } from "./settlement.ts";
import { createTenants } from "./tenants.ts";
import { NO_WATCH } from "./watch.ts";

export interface EngineOptions {
  readonly document: PolicyDocument;
  readonly calendar: Calendar;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Where units are kept: in the process, or a fleet's. */
  readonly store: LeaseStore | Fleet;
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
  /** What is to survive the process goes there, and the engine goes on from what was recovered. */
  readonly journal?: Kept;
}

/** A store that other sidecars share. */
export interface Fleet {
  readonly shared: SharedStore;
  /** What an operator sees this holder as. */
  readonly label: string;
  /** Default: {@link DEFAULT_TERMS}. */
  readonly terms?: LeaseTerms;
}

export interface Engine extends Quota, Gauges {
  /** Takes a new document: what is used stays used (policy.md). */
  reload(document: PolicyDocument): void;
  /** Settles open reservations as expiry would, and returns all leases; resolves when the store knows. */
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
  const { clock, telemetry, log, rng, journal } = options;
  const outbox = createOutbox(clock, journal?.journal, (isMarked) => funds.journalLost(isMarked));
  const persistence = journal && createPersistence();
  const watch = persistence ?? NO_WATCH;
  const funds = openFunds(options, {
    now: () => readNow(),
    outbox: (task) => outbox.send(task),
    wake: () => alarm.set(),
  });
  const accounts = createAccounts({
    calendar: options.calendar,
    funds,
    bucketsPerTenant: options.bucketsPerTenant ?? 100_000,
    bucketsMax: options.bucketsMax ?? 2_000_000,
    watch,
  });
  const policy = compilePolicy(options.document, 1);
  const core: Core = {
    policy,
    tenants: createTenants(policy, accounts.books),
    accounts,
    funds,
    reservations: createReservations(
      options.idempotencyKeys,
      () => telemetry.idempotencyEvicted(),
      watch,
    ),
    telemetry,
    log,
    rng,
    bounds: options.bounds ?? DEFAULT_BOUNDS,
    isDraining: false,
    followers: new Map(),
  };
  const readNow = createMoments(clock, log, (mono) => funds.periodTime(mono));

  /** Runs `act` on the state; `again` is how it is decided anew, where it has to wait for the store. */
  function turn(
    call: Call,
    act: (turn: Turn) => void,
    ticket?: Ticket,
    now: Now = readNow(),
  ): void {
    const again = (waiting: Ticket | undefined): void => turn(call, act, waiting);
    funds.begin(now);
    if (expireDue(core, now)) funds.flush(); // what has expired is free for everybody, and pays debt, before this turn decides
    act({
      caller: call.caller,
      now,
      ticket,
      suspend(wait, leads) {
        const waiting = ticket ?? newTicket(call, now, clock);
        waiting.leads ??= leads;
        funds.wait(wait, waiting, () => again(waiting));
      },
      again: () => again(ticket),
    });
    funds.end();
    core.reservations.tidy(now.mono);
    outbox.wake();
    alarm.set();
  }

  let sweptAt = -Infinity;
  const alarm = createAlarm({
    clock,
    next: (mono) => Math.min(core.reservations.nextDue(), mono + TICK),
    sooner: funds.isShared ? () => funds.nextDue() : undefined,
    ring: () =>
      turn(OURSELVES, ({ now }) => {
        if (now.mono - sweptAt < TICK) return;
        sweptAt = now.mono;
        funds.flush();
        accounts.sweep(now, SWEPT_A_TICK);
      }),
  });
  if (journal && persistence) goOn(core, journal, persistence, readNow);
  alarm.set();

  /** An answer to what may have changed something leaves when that is written. */
  const written = <T>(done: Done<T>): Done<T> =>
    journal ? (answer) => outbox.send(() => done(answer)) : done;

  return {
    run(call, operation, done) {
      const answer = operation.op === "check" ? done : written(done);
      turn(call, (at) => run(core, at, operation, answer));
    },
    balance: (call, subject, refresh, done) =>
      turn(call, (at) => {
        const found = balances(core, at, { subject, refresh });
        if (found) done(found);
      }),
    explain: (call, request, done) => turn(call, (at) => explain(core, at, request, done)),
    reservations: (call, filter, done) =>
      turn(call, (at) => done(listReservations(core, at, filter))),
    abandon(id) {
      turn(OURSELVES, ({ now }) => {
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
      core.isDraining = true;
      turn(OURSELVES, ({ now }) => expireAll(core, now, outbox.keeps()));
      outbox.flush();
      return new Promise((resolve) => {
        funds.drain(resolve);
        alarm.set();
      });
    },
    stop: () => alarm.stop(),
    openReservations: () => core.reservations.openCount(),
    leasedUnits() {
      funds.flush();
      return accounts.leased();
    },
    liveBuckets: () => accounts.live(),
    storeUp: () => funds.isUp(),
    degraded: () => funds.isLost(),
    whyDegraded: () => funds.whyLost(),
  };
}

/** Units come from a store in the process, or from leases of a fleet's. */
function openFunds(
  { store, rng, log, waitMs, journal }: EngineOptions,
  hooks: Pick<HolderOptions, "now" | "outbox" | "wake">,
): Funds {
  if (!("shared" in store)) return createFunds(store, journal !== undefined);
  const { shared, label, terms = DEFAULT_TERMS } = store;
  const recovered = journal?.recovered;
  return createHolder({ store: shared, rng, log, label, terms, waitMs, recovered, ...hooks });
}

const OURSELVES: Call = { caller: { tenant: "", platform: true }, deadline: Infinity };

/** An operation of this call begins to wait. */
function newTicket(call: Call, now: Now, clock: Clock): Ticket {
  const { deadline } = call;
  return {
    until: now.mono + Math.max(0, deadline - now.wall),
    isOver: false,
    isPartial: false,
    hasRead: false,
    isGone: () => (call.cancelled?.() ?? false) || clock.wall() >= deadline,
    leads: undefined,
    views: new Map(),
  };
}

function run(core: Core, turn: Turn, op: Operation, done: Done<Answer>): void {
  const keys: Keys = { core, turn, op };
  switch (op.op) {
    case "check":
      return check(core, turn, op, done);
    case "reserve":
      return freshOr(keys, done, (at, finish) => reserve(core, at, op, finish));
    case "consume":
      return freshOr(keys, done, (at, finish) => consume(core, at, op, finish));
    case "extend":
      return freshOr(keys, done, (at, finish) => {
        expireIfOver(core, op.reservationId, at.now);
        extend(core, at, op, finish);
      });
    case "commit":
      return freshOr(keys, done, (at, finish) => {
        if (op.partial) expireIfOver(core, op.reservationId, at.now);
        const answer = commit(core, at, op);
        if (answer) finish(answer);
      });
    case "release":
      return freshOr(keys, done, (at, finish) => finish(release(core, at, op)));
  }
}
