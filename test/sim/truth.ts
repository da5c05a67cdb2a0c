/**
 * What callers were told, and so what is true: every reservation with what it holds where, followed through its
 * life by answers, and by what becomes of it without one (known.ts). After each answer the accounts that it touched
 * are looked at.
 */
import type { Amount, Operation } from "../../src/core/operation.ts";
import type { LimitStatus } from "../../src/core/verdict.ts";
import {
  charge,
  fault,
  forget,
  hold,
  lossAt,
  newAccount,
  type Account,
  type Kind,
  type Moment,
} from "./account.ts";
import type { Agenda } from "./agenda.ts";
import type { Lost } from "./cluster.ts";
import { START } from "./host.ts";
import type { Idle } from "./idle.ts";
import {
  drop,
  isOpenAt,
  isDue,
  leave,
  leaveSlots,
  leaveUnused,
  ROUNDING_MS,
  takeUp,
  type Known,
  type Owner,
  type Part,
} from "./known.ts";
import { LIMITS, type LimitName, type Numbers } from "./scheme.ts";
import type { Setting } from "./setting.ts";

export interface Truth {
  readonly accounts: ReadonlyMap<string, Account>;
  reserved(options: {
    readonly id: string;
    readonly owner: Owner;
    readonly tenant: string;
    readonly ttlMs: number;
    /** Until it expires, as the answer says. */
    readonly leftMs: number;
    readonly limits: readonly LimitStatus[];
    readonly reserved: readonly Amount[];
  }): Known;
  extended(known: Known, byMs: number, add: readonly Amount[]): void;
  committed(known: Known, options: Settling): void;
  released(known: Known): void;
  /** Settled by this operation, which its process ended before it answered. */
  cutOff(known: Known, told: Operation): void;
  /** Charged at once. */
  consumed(
    owner: Owner,
    tenant: string,
    options: {
      readonly limits: readonly LimitStatus[];
      readonly charged: readonly Amount[];
      readonly overage: ReadonlyMap<string, number>;
      readonly alreadySpent: boolean;
    },
  ): void;
  /**
   * A drain settles all that is open as expiry would. What `drain` lets leave was decided before that, or by those who
   * waited and found what came free by it: it is looked at when all of it is known.
   */
  drained(owner: Owner, drain: () => void): void;
  /** Nobody will ever settle what this owner holds. */
  lose(owner: Owner): void;
  /** The store dropped a ledger whose life was over; true: under an open reservation. */
  purged(name: string): boolean;
  loss(what: Lost): void;
  /** The store's clock went ahead: as much is refilled once more. */
  clockStepped(ms: number): void;
  /** The limits as of a new revision. */
  renumber(numbers: Numbers): void;
  /** The account of a denial or a status. */
  find(
    tenant: string,
    status: Pick<LimitStatus, "limit" | "scope" | "resetsAt">,
  ): Account | undefined;
  /** Lets everything expire that is due. */
  tick(): void;
  openOf(owner: Owner): number;
  heldBy(owner: Owner, account: Account): number;
}

export interface Settling {
  readonly partial: boolean;
  readonly late: boolean;
  /** Totals, as the answer says. */
  readonly charged: readonly Amount[];
  /** Told by the engine while it settled, by meter. */
  readonly overage: ReadonlyMap<string, number>;
  readonly ending: string;
}

const KIND: Readonly<Record<LimitName, Kind>> = {
  plat: "budget",
  month: "budget",
  dept: "budget",
  once: "budget",
  rate: "rate",
  slots: "slots",
};

const isLimit = (name: string): name is LimitName => (LIMITS as readonly string[]).includes(name);

/** How far the store's clock may be ahead of what a sidecar knows of it: it is set while the store runs. */
const LATE_MS = 350;

/** The name of a ledger, as answers and the store's keys both tell it. `end`: of its period, where it has one. */
export const accountName = (
  uid: string,
  limit: string,
  values: string,
  end: number | undefined,
): string => `${uid} ${limit} ${values} ${end === undefined ? "-" : end - START}`;

export function createTruth(options: {
  readonly agenda: Agenda;
  readonly setting: Setting;
  readonly numbers: Numbers;
  /** What the store's clock shows. */
  readonly storeTime: () => number;
  /** Of an account; undefined: nobody asks where units lie. */
  readonly idleOf?: ((name: string) => Idle) | undefined;
  readonly fail: (what: string) => void;
}): Truth {
  const { agenda, setting, fail } = options;
  let highest = options.numbers;
  const accounts = new Map<string, Account>();
  /** The same by how answers name them. */
  const asTold = new Map<string, Account>();
  const live = new Set<Known>();
  /** Their processes lost the end of what they had written. */
  const torn = new Set<Owner>();
  const at = ({ host }: Owner): Moment => ({ now: agenda.now(), place: host });

  function accountOf(
    tenant: string,
    status: Pick<LimitStatus, "limit" | "scope" | "resetsAt">,
  ): Account | undefined {
    const told = `${tenant} ${status.limit} ${status.scope} ${status.resetsAt}`;
    return asTold.get(told) ?? opened(told, tenant, status);
  }

  function opened(
    told: string,
    tenant: string,
    { limit, scope, resetsAt }: Pick<LimitStatus, "limit" | "scope" | "resetsAt">,
  ): Account | undefined {
    if (!isLimit(limit)) return undefined;
    const uid = limit === "plat" ? "/platform" : tenant;
    const values = scope.split("/").at(-1)?.split(":");
    const narrower = scope.includes("/") ? (values?.[1] ?? "") : "";
    const name = accountName(uid, limit, narrower, resetsAt);
    let account = accounts.get(name);
    if (!account) {
      const perMs = limit === "rate" ? setting.rate.units / 1_000 : 0;
      const capacity = highest[limit];
      const idle = options.idleOf?.(name);
      const isPeriod = limit === "month" && setting.periodMs > 0;
      const begins = isPeriod && resetsAt !== undefined ? resetsAt - setting.periodMs : -Infinity;
      const kind = KIND[limit];
      account = newAccount({ name, kind, capacity, perMs, begins, now: agenda.now(), idle });
      accounts.set(name, account);
    }
    asTold.set(told, account);
    return account;
  }

  /** Accounts that a drain has touched so far; undefined: none is under way. */
  let unseen: Set<Account> | undefined;

  function look(account: Account, why: string): void {
    if (unseen) return void unseen.add(account);
    const found = fault(account);
    if (found !== "") fail(`${found} (${why})`);
  }

  function revive(known: Known): void {
    if (known.state !== "expired") return;
    known.state = "open";
    live.add(known);
    takeUp(known, agenda.now());
  }

  function tick(): void {
    for (const known of live) {
      if (known.state === "open" && isDue(known)) {
        known.state = "expired";
        drop(known, agenda.now());
        live.delete(known);
      } else if (known.owner.time() >= known.deadline) {
        leaveSlots(known, agenda.now());
        if (known.state === "lost") live.delete(known);
      }
    }
  }

  const truth: Truth = {
    accounts,
    reserved({ id, owner, tenant, ttlMs, leftMs, limits, reserved }) {
      tick();
      const parts: Part[] = [];
      for (const status of limits) {
        const account = accountOf(tenant, status);
        if (!account) continue;
        const held = reserved.find(({ meter }) => meter === status.meter)?.units ?? 0;
        if (status.resetsAt !== undefined && options.storeTime() > status.resetsAt + LATE_MS) {
          fail(
            `S24 ${account.name}: spent ${options.storeTime() - status.resetsAt} ms after its end`,
          );
        }
        parts.push({ account, meter: status.meter, held, charged: 0, isLeft: false, dropped: 0 });
      }
      const known: Known = {
        id,
        owner,
        tenant,
        ttlMs,
        parts,
        state: "open",
        deadline: owner.time() + leftMs,
        shiftedThen: owner.shifted(),
        ending: "",
        isCutOff: false,
      };
      if (leftMs <= ROUNDING_MS) {
        known.state = "expired"; // an answer that is repeated tells of what is over
        for (const part of parts) part.held = 0;
        return known;
      }
      live.add(known);
      for (const { account, held } of parts) {
        hold(account, held, at(owner));
        look(account, `reserve ${id} at ${owner.name}`);
      }
      return known;
    },
    extended(known, byMs, add) {
      tick();
      if (torn.has(known.owner) && known.state === "expired") return; // as a partial commit of it
      revive(known);
      known.deadline += byMs;
      for (const part of known.parts) {
        const more = add.find(({ meter }) => meter === part.meter)?.units ?? 0;
        if (more === 0 || known.state !== "open") continue;
        part.held += more;
        hold(part.account, more, at(known.owner));
        look(part.account, `extend ${known.id}`);
      }
    },
    committed(known, { partial, late, charged, overage, ending }) {
      tick();
      if (known.state === "settled") return fail(`I2 ${known.id} settled twice`);
      // Its process has lost that it expired, and pays with what it counts beyond (HS2).
      const isForgotten = !late && known.state === "expired" && torn.has(known.owner);
      if (partial && !late && !isForgotten) revive(known);
      const wasOpen = known.state !== "expired"; // of one that was lost the hold still counts
      for (const part of known.parts) {
        const { account, meter } = part;
        const total = charged.find((one) => one.meter === meter)?.units ?? part.charged;
        const due = Math.max(0, total - part.charged);
        const held = wasOpen ? Math.min(part.held, partial ? due : part.held) : 0;
        part.charged += due;
        const beyond = isForgotten ? due : (overage.get(meter) ?? 0);
        // What was told of a lost one may be lost, too: it is charged as its process remembers it.
        const excess = Math.max(0, due - held, known.state === "lost" ? beyond : 0);
        if (account.kind !== "slots") {
          charge(account, { units: due, overage: beyond, excess }, at(known.owner));
        }
        // After that, or what only changes its name would overflow in a full bucket.
        if (wasOpen && (account.kind !== "slots" || !partial)) leave(part, held, at(known.owner));
        look(account, `commit ${known.id} at ${known.owner.name}`);
      }
      if (partial) {
        if (wasOpen) known.deadline = Math.max(known.deadline, known.owner.time() + known.ttlMs);
        return;
      }
      known.state = "settled";
      known.ending = ending;
      live.delete(known);
    },
    released(known) {
      tick();
      if (known.state === "open") drop(known, agenda.now());
      else leaveSlots(known, agenda.now()); // of one that was lost the units stay, its agent has gone
      known.state = "settled";
      live.delete(known);
    },
    cutOff(known, told) {
      tick();
      leaveUnused(known, told, agenda.now());
    },
    consumed(owner, tenant, { limits, charged, overage, alreadySpent }) {
      tick();
      for (const status of limits) {
        const account = accountOf(tenant, status);
        const units = charged.find(({ meter }) => meter === status.meter)?.units ?? 0;
        if (!account || account.kind === "slots") continue;
        const excess = alreadySpent ? units : 0;
        charge(account, { units, overage: overage.get(status.meter) ?? 0, excess }, at(owner));
        look(account, "consume");
      }
    },
    drained(owner, drain) {
      const touched = new Set<Account>();
      unseen = touched;
      drain();
      unseen = undefined;
      for (const known of live) {
        if (known.owner !== owner || known.state !== "open") continue;
        known.state = "expired";
        drop(known, agenda.now());
        live.delete(known);
      }
      for (const account of touched) look(account, `drain of ${owner.name}`);
    },
    lose(owner) {
      torn.add(owner);
      for (const known of live) {
        if (known.owner !== owner || known.state !== "open") continue;
        known.state = "lost";
      }
    },
    purged(name) {
      tick();
      const account = accounts.get(name);
      if (account?.kind !== "budget") return false; // others are told of by who holds them
      forget(account);
      return [...live].some(
        ({ state, parts }) => state === "open" && parts.some((part) => part.account === account),
      );
    },
    loss(what) {
      for (const account of accounts.values()) {
        if (!setting.terms.strict) lossAt(account);
        if (what === "all" && account.begins > options.storeTime()) forget(account);
      }
    },
    clockStepped(ms) {
      for (const account of accounts.values()) account.slack += account.perMs * ms;
    },
    renumber(numbers) {
      const entries = LIMITS.map((name) => [name, Math.max(highest[name], numbers[name])] as const);
      highest = Object.fromEntries(entries) as Numbers;
      for (const account of accounts.values()) {
        const limit = account.name.split(" ")[1] ?? "";
        if (isLimit(limit)) account.capacity = Math.max(account.capacity, numbers[limit]);
      }
    },
    find: accountOf,
    tick,
    openOf: (owner) => [...live].filter((one) => isOpenAt(owner, one)).length,
    heldBy(owner, account) {
      let held = 0;
      for (const known of live) {
        if (!isOpenAt(owner, known)) continue;
        for (const part of known.parts) {
          if (part.account === account) held += account.kind === "slots" ? 1 : part.held;
        }
      }
      return held;
    },
  };
  return truth;
}
