/**
 * Which lease an operation spends from: for each limit and each value of its `per` one account, and in it the
 * lease of the current period.
 *
 *   AC1  Usage is kept under (tenant uid, limit name, meter, values of `per`, period label): never under
 *        numbers, plan or match. A reload finds the same accounts again.
 *   AC2  A lease whose period is over admits nothing new; its reservations settle there (S24).
 *   AC3  A tenant has at most `bucketsPerTenant` accounts, loops and breakers; the next one is refused, for
 *        this tenant alone.
 *   AC4  An account is dropped only when nothing is lost by it: nothing held, and nothing used or the
 *        period over. A lease that a reload puts aside before its period is over stays on a shelf.
 *   AC5  Periods never go back, whatever the wall clock does.
 */
import { freshView, viewUnder, type LedgerSpec } from "../core/lease/ledger.ts";
import type { CompiledLimit } from "../core/policy/compile.ts";
import { PLATFORM_UID } from "../core/scope.ts";
import { MAX_UNITS } from "../core/units.ts";
import type { Calendar } from "../ports/calendar.ts";
import { newBooks, type Account, type Books, type Home } from "./books.ts";
import type { Funds } from "./funds.ts";
import { isSpentOnce } from "./idle.ts";
import { createLease, free, type Lease } from "./lease.ts";
import { createLedgerSpecs, type LedgerSpecs } from "./ledger-spec.ts";
import type { Now } from "./now.ts";
import { createSweep } from "./sweep.ts";
import type { Tenant } from "./tenants.ts";
import { NO_WATCH, type Placing, type Watch } from "./watch.ts";

export interface Accounts {
  /** The account of this operation at this limit, brought to the current policy and period, if there is one. */
  find(tenant: Tenant, limit: CompiledLimit, bucket: string, now: Now): Account | undefined;
  /** The same, made where it is missing; `undefined`: the tenant has too many (AC3). */
  open(tenant: Tenant, limit: CompiledLimit, bucket: string, now: Now): Account | undefined;
  /** Whether a tenant may have one bucket more. */
  hasRoom(books: Books, now: Now): boolean;
  /** What the ledger of a bucket that nobody has opened would look like. */
  spec(tenant: Tenant, limit: CompiledLimit, bucket: string, now: Now): LedgerSpec;
  /** The start of the n-th period after the one after this; undefined where no debt is carried on. */
  readonly later: LedgerSpecs["later"];
  /** All accounts of one limit, by the values of `per`. */
  of(tenant: Tenant, limit: CompiledLimit): ReadonlyMap<string, Account>;
  readonly books: (uid: string) => Books;
  /** Visits some of all that is kept, and drops what can go (AC4). */
  sweep(now: Now, most: number): void;
  /** A reservation has let go of this lease. */
  letGo(lease: Lease, now: Now): void;
  /** Puts a lease back where a journal says that it was; it meets the policy of today when it is next asked for. */
  restore(lease: Lease, placing: Placing): void;
  live(): number;
  /** Units that are out here, by meter. Walks over all accounts: for a scrape, not for a decision. */
  leased(): ReadonlyMap<string, number>;
}

type Periods = Pick<Lease, "later" | "next">;

export interface AccountsOptions {
  readonly calendar: Calendar;
  readonly funds: Funds;
  readonly bucketsPerTenant: number;
  readonly bucketsMax: number;
  readonly watch?: Watch;
}

const NO_ACCOUNTS: Home = new Map();
/** A tenant at its bound is looked through this often at most, ms: each look costs milliseconds. */
const LOOK_AGAIN = 1_000;

export function createAccounts(options: AccountsOptions): Accounts {
  const { funds, watch = NO_WATCH } = options;
  const specs = createLedgerSpecs(options.calendar);
  const library = new Map<string, Books>();
  /** Leases that a reload put aside before their period was over, by ledger. */
  const shelf = new Map<string, Pick<Account, "limit" | "lease">>();
  let live = 0;

  function booksOf(uid: string): Books {
    let books = library.get(uid);
    if (!books) library.set(uid, (books = newBooks(uid)));
    return books;
  }

  function homeOf(tenant: Tenant, limit: CompiledLimit): Home | undefined {
    return (limit.platform ? booksOf(PLATFORM_UID) : tenant.books).homes.get(limit.key);
  }

  function homeIn({ homes }: Books, { key }: CompiledLimit): Home {
    let home = homes.get(key);
    if (!home) homes.set(key, (home = new Map<string, Account>()));
    return home;
  }

  function renew(account: Account, tenant: Tenant, limit: CompiledLimit, now: Now): void {
    const { lease } = account;
    const rebound = account.generation !== tenant.generation;
    const spentOnce = isSpentOnce(account, now);
    const isOver = now.latest >= lease.spec.end || now.latest < lease.spec.start;
    if (!rebound && !isOver && !spentOnce) return;
    const spec = specs.at(tenant, limit, account.bucket, now.latest); // (AC5)
    if (spec.key === lease.spec.key && !spentOnce) {
      respec(lease, spec);
      Object.assign(lease, periodsOf(tenant, limit, spec, account.bucket));
    } else {
      retire(account, spentOnce, now);
      account.lease = newLease(tenant, limit, { spec, bucket: account.bucket }, now);
    }
    if (rebound) account.scope = "";
    account.limit = limit;
    account.generation = tenant.generation;
    tellPlace(account);
  }

  const tellPlace = ({ lease, limit, bucket, owner }: Account): void =>
    watch.placed(lease, { place: "account", limit, bucket, owner: owner.uid });

  function close(lease: Lease): void {
    funds.close(lease);
    watch.gone(lease);
  }

  const periodsOf = (
    tenant: Tenant,
    limit: CompiledLimit,
    spec: LedgerSpec,
    bucket: string,
  ): Periods => ({
    later: spec.family !== "" ? (n) => specs.later(tenant, limit, spec, n) : undefined,
    // What one period leaves to the next is known only when it is over.
    next:
      funds.isShared && isRepeated(spec)
        ? () => specs.at(tenant, limit, bucket, spec.end)
        : undefined,
  });

  function establish(
    tenant: Tenant,
    limit: CompiledLimit,
    place: { readonly spec: LedgerSpec; readonly bucket: string },
    now: Now,
  ): Account {
    const home = homeIn(limit.platform ? booksOf(PLATFORM_UID) : tenant.books, limit);
    const lease = newLease(tenant, limit, place, now);
    const { books: owner, generation } = tenant;
    const account: Account = { bucket: place.bucket, owner, limit, generation, scope: "", lease };
    home.set(place.bucket, account);
    owner.live++;
    live++;
    tellPlace(account);
    return account;
  }

  /** A limit that is again what it was finds what is used of it, also where nobody used what it was in between. */
  function fromShelf(
    tenant: Tenant,
    limit: CompiledLimit,
    bucket: string,
    now: Now,
  ): Account | undefined {
    if (shelf.size === 0) return undefined;
    const spec = specs.at(tenant, limit, bucket, now.latest);
    const isThere = shelf.has(spec.key) && hasRoom(tenant.books, now);
    return isThere ? establish(tenant, limit, { spec, bucket }, now) : undefined;
  }

  /** The store may know more of it than nothing: carried units, another holder. */
  function newLease(
    tenant: Tenant,
    limit: CompiledLimit,
    { spec, bucket }: { readonly spec: LedgerSpec; readonly bucket: string },
    now: Now,
  ): Lease {
    const held = funds.held(spec);
    if (held) {
      respec(held, spec);
      held.retired = false;
      return held;
    }
    const shelved = shelf.get(spec.key);
    shelf.delete(spec.key);
    if (shelved) {
      respec(shelved.lease, spec);
      shelved.lease.retired = false;
      return shelved.lease;
    }
    const periods = periodsOf(tenant, limit, spec, bucket);
    const lease = createLease(spec, freshView(spec, now.mono), now.mono, periods);
    refresh(lease);
    return lease;
  }

  /** A store in the process is asked at once: what was used under the old numbers must not wait (FU4). */
  function respec(lease: Lease, spec: LedgerSpec): void {
    if (funds.isShared) lease.view = viewUnder(lease.view, lease.spec, spec);
    lease.spec = spec;
    refresh(lease);
    funds.flush();
  }

  /** What the period before leaves to this one changes as reservations of it settle. */
  function refresh(lease: Lease): void {
    lease.dirty = true;
    funds.touch(lease);
  }

  function retire({ limit, lease, bucket }: Account, over: boolean, now: Now): void {
    if (!over && now.latest < lease.spec.end) {
      shelf.set(lease.spec.key, { limit, lease });
      watch.placed(lease, { place: "shelf", limit, bucket, owner: "" });
      return;
    }
    lease.retired = true;
    if (lease.holds === 0) close(lease);
    else watch.placed(lease, { place: "over", limit, bucket, owner: "" });
  }

  function drop(home: Home, account: Account, now: Now): void {
    home.delete(account.bucket);
    account.owner.live--;
    live--;
    retire(account, true, now);
  }

  /** A tenant at its bound gets a look through all of its own before it is refused. */
  function hasRoom(books: Books, now: Now): boolean {
    const fits = (): boolean => books.live < options.bucketsPerTenant && live < options.bucketsMax;
    if (fits() || now.mono - books.sweptAt < LOOK_AGAIN) return fits();
    books.sweptAt = now.mono;
    funds.flush(); // what the store has not heard of keeps a bucket
    for (const step = sweep.through(books, () => now); !step.next().done;);
    return fits();
  }

  const sweep = createSweep({ library, shelf, drop, close });

  const accounts: Accounts = {
    find(tenant, limit, bucket, now) {
      const account = homeOf(tenant, limit)?.get(bucket);
      if (!account) return fromShelf(tenant, limit, bucket, now);
      renew(account, tenant, limit, now);
      if (account.lease.spec.family !== "") refresh(account.lease);
      return account;
    },
    open(tenant, limit, bucket, now) {
      const known = accounts.find(tenant, limit, bucket, now);
      if (known) return known;
      if (!hasRoom(tenant.books, now)) return undefined;
      const spec = specs.at(tenant, limit, bucket, now.latest);
      return establish(tenant, limit, { spec, bucket }, now);
    },
    hasRoom,
    spec: (tenant, limit, bucket, now) => specs.at(tenant, limit, bucket, now.latest),
    later: (tenant, limit, spec, n) => specs.later(tenant, limit, spec, n),
    of: (tenant, limit) => homeOf(tenant, limit) ?? NO_ACCOUNTS,
    books: booksOf,
    sweep: (now, most) => sweep.some(now, most),
    letGo(lease, now) {
      lease.holds--;
      lease.usedAt = now.mono;
      if (lease.holds === 0 && lease.retired) close(lease);
      else watch.used(lease);
    },
    restore(lease, { place, limit, bucket, owner: uid }) {
      if (place === "shelf") shelf.set(lease.spec.key, { limit, lease });
      if (place === "over") lease.retired = true;
      if (place !== "account") return;
      const owner = booksOf(uid);
      const home = homeIn(limit.platform ? booksOf(PLATFORM_UID) : owner, limit);
      home.set(bucket, { bucket, owner, limit, generation: 0, scope: "", lease });
      owner.live++;
      live++;
    },
    live: () => live,
    leased: () => leasedUnits(library.values()),
  };
  return accounts;
}

/** A budget that begins anew, and to which nothing is left by the period before. */
const isRepeated = ({ kind, family, end }: LedgerSpec): boolean =>
  kind === "budget" && family === "" && end < MAX_UNITS;

function leasedUnits(library: Iterable<Books>): ReadonlyMap<string, number> {
  const units = new Map<string, number>();
  for (const { homes } of library) {
    for (const home of homes.values()) {
      for (const { limit, lease } of home.values()) {
        if (limit.meter === "") continue;
        units.set(limit.meter, (units.get(limit.meter) ?? 0) + lease.reserved + free(lease));
      }
    }
  }
  return units;
}
