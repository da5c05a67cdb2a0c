/**
 * Which lease an operation spends from: for each limit and each value of its `per` one account, and in it the
 * lease of the current period.
 *
 *   AC1  Usage is kept under (tenant uid, limit name, meter, values of `per`, period label): never under
 *        numbers, plan or match. A reload finds the same accounts again.
 *   AC2  A lease whose period is over admits nothing new; its reservations settle there (S24).
 *   AC3  A tenant has at most `bucketsPerTenant` accounts; the next one is refused, for this tenant alone.
 *   AC4  An account is dropped only when nothing is lost by it: nothing held, and nothing used or the
 *        period over.
 *   AC5  Periods never go back, whatever the wall clock does.
 */
import { freshView, type LedgerSpec, type LedgerView } from "../core/lease/ledger.ts";
import type { Action, Subject } from "../core/operation.ts";
import type { CompiledLimit } from "../core/policy/compile.ts";
import type { BreakerRule, LoopRule, PeriodRule } from "../core/policy/document.ts";
import { PLATFORM } from "../core/scope.ts";
import { MAX_UNITS } from "../core/units.ts";
import type { Calendar, Period } from "../ports/calendar.ts";
import type { Circuit } from "../core/limit/breaker.ts";
import type { Repeats } from "../core/limit/loop.ts";
import { createLease, free, settled, type Lease } from "./lease.ts";
import type { Funds } from "./funds.ts";
import type { Now } from "./now.ts";
import type { Tenant } from "./tenants.ts";

/** The counters of a loop or a breaker, with the rule that says when they are over. */
export interface BookedLoop {
  readonly state: Repeats;
  rule: LoopRule;
}
export interface BookedBreaker {
  readonly state: Circuit;
  rule: BreakerRule;
}

/** What all buckets of one tenant uid are kept in. */
export interface Books {
  readonly uid: string;
  /** By the limit's key (name and meter), then by the values of `per`. */
  readonly homes: Map<string, Map<string, Account>>;
  /** By loop name, values of `per`, and the call. */
  readonly loops: Map<string, BookedLoop>;
  /** By breaker name and values of `per`. */
  readonly breakers: Map<string, BookedBreaker>;
  /** Live accounts, loops and breakers that this tenant made. */
  live: number;
}

/** Changed in place: one owner, the engine. */
export interface Account {
  readonly bucket: string;
  /** Who made it, and whose bound it counts against. */
  readonly owner: Books;
  limit: CompiledLimit;
  /** Of the policy that `limit` belongs to. */
  generation: number;
  scope: string;
  lease: Lease;
}

/** An operation at one limit, before or after its account exists. */
export interface Place {
  readonly limit: CompiledLimit;
  readonly bucket: string;
  readonly account: Account | undefined;
}

/** Kinds of limit that keep an account; `request` maxima do not. */
export const keepsAccount = (limit: CompiledLimit): boolean => limit.rule.shape.kind !== "request";

const FOREVER: Period = { label: "-", start: 0, end: MAX_UNITS };

export interface Accounts {
  /** The account of this operation at this limit, brought to the current policy and period, if there is one. */
  find(tenant: Tenant, limit: CompiledLimit, bucket: string, now: Now): Account | undefined;
  /** The same, made where it is missing; `undefined`: the tenant has too many (AC3). */
  open(tenant: Tenant, limit: CompiledLimit, of: Opening, now: Now): Account | undefined;
  /** What the ledger of a bucket that nobody has opened would look like. */
  spec(tenant: Tenant, limit: CompiledLimit, bucket: string, now: Now): LedgerSpec;
  /** All accounts of one limit, by the values of `per`. */
  of(tenant: Tenant, limit: CompiledLimit): ReadonlyMap<string, Account>;
  books(uid: string): Books;
  /** Visits some accounts, and drops those that can go (AC4). */
  sweep(now: Now, most: number): void;
  /** A reservation has let go of this lease. */
  letGo(lease: Lease): void;
  live(): number;
  /** The next few books, round and round. */
  nextBooks(most: number): Books[];
  /** Units that are out here, by meter. Walks over all accounts: for a scrape, not for a decision. */
  leased(): ReadonlyMap<string, number>;
}

export interface Opening {
  readonly bucket: string;
  readonly subject: Subject;
  readonly action: Action;
}

export interface AccountsOptions {
  readonly calendar: Calendar;
  readonly funds: Funds;
  readonly bucketsPerTenant: number;
  readonly bucketsMax: number;
}

export function createAccounts(options: AccountsOptions): Accounts {
  const { calendar, funds } = options;
  const ledger = new Map<string, Books>();
  let live = 0;
  let visits: IterableIterator<Books> | undefined;
  let rounds: IterableIterator<[Map<string, Account>, Account]> | undefined;

  function booksOf(uid: string): Books {
    let books = ledger.get(uid);
    if (!books) ledger.set(uid, (books = newBooks(uid)));
    return books;
  }
  const uidOf = (tenant: Tenant, limit: CompiledLimit): string =>
    limit.platform ? PLATFORM : tenant.policy.uid;

  function homeOf(tenant: Tenant, limit: CompiledLimit): Map<string, Account> | undefined {
    return (limit.platform ? booksOf(PLATFORM) : tenant.books).homes.get(limit.key);
  }

  function specAt(tenant: Tenant, limit: CompiledLimit, bucket: string, wall: number): LedgerSpec {
    const rule = periodRule(limit);
    const period = rule ? calendar.periodAt(rule, zoneOf(tenant, limit), wall) : FOREVER;
    return specOf(limit, `${uidOf(tenant, limit)}\0${limit.key}\0${bucket}`, period, tenant.generation);
  }

  function renew(account: Account, tenant: Tenant, limit: CompiledLimit, now: Now): void {
    const { lease } = account;
    const rebound = account.generation !== tenant.generation;
    const over = now.wall >= lease.spec.end;
    if (!rebound && !over && !isSpentOnce(account, now)) return;
    const wall = Math.max(now.wall, lease.spec.start); // (AC5)
    const spec = specAt(tenant, limit, account.bucket, wall);
    account.limit = limit;
    account.generation = tenant.generation;
    if (spec.key === lease.spec.key && !isSpentOnce(account, now)) {
      lease.spec = spec;
      lease.dirty = true;
      funds.touch(lease);
      return;
    }
    retire(lease);
    account.lease = newLease(tenant, limit, spec, now);
  }

  /** The store may know more of it than nothing: carried units, another holder. */
  function newLease(tenant: Tenant, limit: CompiledLimit, spec: LedgerSpec, now: Now): Lease {
    const rule = periodRule(limit);
    const later =
      rule && spec.carryDebt
        ? (n: number) => startAfter(calendar, rule, zoneOf(tenant, limit), { end: spec.end, n })
        : undefined;
    const lease = createLease(spec, freshView(spec, now.mono), now.mono, later);
    refresh(lease);
    return lease;
  }

  /** What the period before leaves to this one changes as reservations of it settle. */
  function refresh(lease: Lease): void {
    lease.dirty = true;
    funds.touch(lease);
  }

  function retire(lease: Lease): void {
    lease.retired = true;
    if (lease.holds === 0) funds.close(lease);
  }

  function drop(home: Map<string, Account>, account: Account): void {
    home.delete(account.bucket);
    account.owner.live--;
    live--;
    retire(account.lease);
  }

  function* round(): IterableIterator<[Map<string, Account>, Account]> {
    for (const [uid, books] of ledger) {
      for (const [key, home] of books.homes) {
        for (const account of home.values()) yield [home, account];
        if (home.size === 0) books.homes.delete(key);
      }
      if (isEmpty(books)) ledger.delete(uid);
    }
  }

  /** A tenant at its bound gets one full sweep of its own before it is refused. */
  function makeRoom(books: Books, now: Now): boolean {
    if (books.live < options.bucketsPerTenant && live < options.bucketsMax) return true;
    for (const home of books.homes.values()) {
      for (const account of home.values()) if (canGo(account, now)) drop(home, account);
    }
    return books.live < options.bucketsPerTenant && live < options.bucketsMax;
  }

  const accounts: Accounts = {
    find(tenant, limit, bucket, now) {
      const account = homeOf(tenant, limit)?.get(bucket);
      if (account) {
        renew(account, tenant, limit, now);
        if (account.lease.spec.family !== "") refresh(account.lease);
      }
      return account;
    },
    open(tenant, limit, { bucket, subject, action }, now) {
      const known = accounts.find(tenant, limit, bucket, now);
      if (known) return known;
      if (!makeRoom(tenant.books, now)) return undefined;
      const books = limit.platform ? booksOf(PLATFORM) : tenant.books;
      let home = books.homes.get(limit.key);
      if (!home) books.homes.set(limit.key, (home = new Map()));
      const spec = specAt(tenant, limit, bucket, now.wall);
      const account: Account = {
        bucket,
        owner: tenant.books,
        limit,
        generation: tenant.generation,
        scope: limit.scope.text(tenant.policy.name, subject, action),
        lease: newLease(tenant, limit, spec, now),
      };
      home.set(bucket, account);
      tenant.books.live++;
      live++;
      return account;
    },
    spec: (tenant, limit, bucket, now) => specAt(tenant, limit, bucket, now.wall),
    of: (tenant, limit) => homeOf(tenant, limit) ?? new Map(),
    books: booksOf,
    sweep(now, most) {
      rounds ??= round();
      for (let i = 0; i < most; i++) {
        const next = rounds.next();
        if (next.done) {
          rounds = undefined;
          return;
        }
        const [home, account] = next.value;
        if (canGo(account, now)) drop(home, account);
      }
    },
    letGo(lease) {
      lease.holds--;
      if (lease.holds === 0 && lease.retired) funds.close(lease);
    },
    live: () => live,
    nextBooks(most) {
      const books: Books[] = [];
      visits ??= ledger.values();
      while (books.length < most) {
        const next = visits.next();
        if (next.done) {
          visits = undefined;
          break;
        }
        books.push(next.value);
      }
      return books;
    },
    leased() {
      const units = new Map<string, number>();
      for (const [, { limit, lease }] of round()) {
        const out = lease.reserved + free(lease);
        if (limit.meter !== "") units.set(limit.meter, (units.get(limit.meter) ?? 0) + out);
      }
      return units;
    },
  };
  return accounts;
}

const newBooks = (uid: string): Books => ({
  uid,
  homes: new Map(),
  loops: new Map(),
  breakers: new Map(),
  live: 0,
});

const isEmpty = (books: Books): boolean =>
  books.homes.size + books.loops.size + books.breakers.size + books.live === 0;

const zoneOf = (tenant: Tenant, limit: CompiledLimit): string =>
  limit.platform ? tenant.platformZone : tenant.policy.zone;

/** The farthest period that a promise looks ahead to. */
const PERIODS_AHEAD = 1_000;

/** The start of the n-th period after the one that begins at `end`; undefined beyond all reason. */
function startAfter(
  calendar: Calendar,
  rule: PeriodRule,
  zone: string,
  { end, n }: { readonly end: number; readonly n: number },
): number | undefined {
  if (n > PERIODS_AHEAD) return undefined;
  let start = end;
  for (let i = 0; i < n; i++) start = calendar.periodAt(rule, zone, start).end;
  return start;
}

function periodRule(limit: CompiledLimit): PeriodRule | undefined {
  const { shape } = limit.rule;
  return shape.kind === "budget" && shape.period.kind !== "once" ? shape.period : undefined;
}

function specOf(limit: CompiledLimit, id: string, period: Period, version: number): LedgerSpec {
  const { shape } = limit.rule;
  const passesOn =
    shape.kind === "budget" &&
    shape.period.kind !== "once" &&
    (shape.rollover > 0 || limit.rule.carryDebt);
  return {
    key: `${id}\0${shape.kind === "budget" && shape.period.kind === "once" ? "once" : period.label}`,
    kind: shape.kind === "rate" ? "rate" : shape.kind === "budget" ? "budget" : "slots",
    version,
    capacity: shape.kind === "rate" ? shape.burst : shape.kind === "budget" ? shape.units : shape.max,
    overdraft: shape.kind === "budget" ? shape.overdraft : 0,
    refill: shape.kind === "rate" ? shape : NO_REFILL,
    family: passesOn ? id : "",
    rollover: shape.kind === "budget" ? shape.rollover : 0,
    carryDebt: limit.rule.carryDebt,
    start: period.start,
    end: period.end,
  };
}

const NO_REFILL = { units: 0, everyMs: 1, burst: 0 };

/** A `once` bucket that nobody used for its ttl is another bucket (policy.md). */
function isSpentOnce(account: Account, now: Now): boolean {
  const { shape } = account.limit.rule;
  if (shape.kind !== "budget" || shape.period.kind !== "once") return false;
  return account.lease.holds === 0 && now.mono - account.lease.usedAt >= shape.period.ttlMs;
}

/** Whether nothing is lost by dropping the account (AC4). */
function canGo(account: Account, now: Now): boolean {
  const { lease, limit } = account;
  if (lease.holds > 0) return false;
  if (isSpentOnce(account, now)) return true;
  if (lease.spec.family !== "") return false;
  if (now.wall >= lease.spec.end) return true;
  return isUnused(lease, lease.view, now) && limit.rule.shape.kind !== "request";
}

function isUnused(lease: Lease, view: LedgerView, now: Now): boolean {
  const { spec } = lease;
  if (spec.kind === "slots") return lease.reserved === 0;
  if (spec.kind === "budget") return settled(lease) === 0 && lease.reserved === 0 && free(lease) === 0;
  const rate = view.rate ?? { level: 0, at: now.mono };
  const missing = spec.capacity - rate.level;
  const refilled = ((now.mono - rate.at) * spec.refill.units) / spec.refill.everyMs;
  return missing <= 0 || refilled > missing + 1;
}
