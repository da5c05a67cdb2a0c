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
import { freshView, type LedgerSpec } from "../core/lease/ledger.ts";
import type { Action, Subject } from "../core/operation.ts";
import type { CompiledLimit } from "../core/policy/compile.ts";
import { PLATFORM } from "../core/scope.ts";
import type { Calendar } from "../ports/calendar.ts";
import { isEmpty, newBooks, type Account, type Books, type Home } from "./books.ts";
import type { Funds } from "./funds.ts";
import { canGo, isSpentOnce } from "./idle.ts";
import { createLease, free, type Lease } from "./lease.ts";
import { createLedgerSpecs } from "./ledger-spec.ts";
import type { Now } from "./now.ts";
import type { Tenant } from "./tenants.ts";

export interface Accounts {
  /** The account of this operation at this limit, brought to the current policy and period, if there is one. */
  find(tenant: Tenant, limit: CompiledLimit, bucket: string, now: Now): Account | undefined;
  /** The same, made where it is missing; `undefined`: the tenant has too many (AC3). */
  open(tenant: Tenant, limit: CompiledLimit, of: Opening, now: Now): Account | undefined;
  /** What the ledger of a bucket that nobody has opened would look like. */
  spec(tenant: Tenant, limit: CompiledLimit, bucket: string, now: Now): LedgerSpec;
  /** All accounts of one limit, by the values of `per`. */
  of(tenant: Tenant, limit: CompiledLimit): ReadonlyMap<string, Account>;
  readonly books: (uid: string) => Books;
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

const NO_ACCOUNTS: Home = new Map();

export function createAccounts(options: AccountsOptions): Accounts {
  const { funds } = options;
  const specs = createLedgerSpecs(options.calendar);
  const ledger = new Map<string, Books>();
  let live = 0;
  let visits: IterableIterator<Books> | undefined;
  let rounds: IterableIterator<[Home, Account]> | undefined;

  function booksOf(uid: string): Books {
    let books = ledger.get(uid);
    if (!books) ledger.set(uid, (books = newBooks(uid)));
    return books;
  }
  function homeOf(tenant: Tenant, limit: CompiledLimit): Home | undefined {
    return (limit.platform ? booksOf(PLATFORM) : tenant.books).homes.get(limit.key);
  }

  function renew(account: Account, tenant: Tenant, limit: CompiledLimit, now: Now): void {
    const { lease } = account;
    const rebound = account.generation !== tenant.generation;
    const over = now.wall >= lease.spec.end;
    if (!rebound && !over && !isSpentOnce(account, now)) return;
    const wall = Math.max(now.wall, lease.spec.start); // (AC5)
    const spec = specs.at(tenant, limit, account.bucket, wall);
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
    const later = spec.carryDebt
      ? (n: number): number | undefined => specs.later(tenant, limit, spec, n)
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

  function drop(home: Home, account: Account): void {
    home.delete(account.bucket);
    account.owner.live--;
    live--;
    retire(account.lease);
  }

  function* round(): IterableIterator<[Home, Account]> {
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
      if (!home) books.homes.set(limit.key, (home = new Map<string, Account>()));
      const spec = specs.at(tenant, limit, bucket, now.wall);
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
    spec: (tenant, limit, bucket, now) => specs.at(tenant, limit, bucket, now.wall),
    of: (tenant, limit) => homeOf(tenant, limit) ?? NO_ACCOUNTS,
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
