/**
 * The model: what the contract says, in the dumbest way that works. Plain lists, every figure summed up anew at every
 * question, one limit at a time; no leases, no heaps, no caches. It knows one tenant, one level (`run`), amounts and
 * no prices. It was written from the rules alone (S1–S31) and shares nothing with the engine.
 */
import type { OracleLimit } from "./limit.ts";

/** In order of precedence. */
const REASON = {
  request: "REQUEST_TOO_LARGE",
  budget: "BUDGET_EXHAUSTED",
  slots: "CONCURRENCY_EXHAUSTED",
  rate: "RATE_LIMITED",
} as const;
const PRECEDENCE: readonly string[] = Object.values(REASON);

/** What one hold has in one bucket. */
interface Part {
  readonly bucket: Bucket;
  readonly hold: Hold;
  held: number;
  charged: number;
  /** Left uncharged by a cap; not chased later. */
  forgiven: number;
}
interface Bucket {
  readonly limit: OracleLimit;
  readonly run: string;
  /** Start of the period; 0 where there is none. */
  readonly start: number;
  readonly parts: Part[];
  debt: number;
  /** Rates: when the level moved, and by how much. */
  readonly moves: { readonly at: number; readonly by: number }[];
}
export interface Hold {
  readonly run: string;
  readonly made: number;
  readonly ttlMs: number;
  expires: number;
  /** gone: expired and past grace. */
  state: "open" | "expired" | "committed" | "released" | "gone";
  readonly reserved: Map<string, number>;
  readonly charged: Map<string, number>;
  readonly parts: Part[];
}
export type Amounts = ReadonlyMap<string, number>;
interface Ask {
  readonly run: string;
  readonly amounts: Amounts;
  /** An extension looks at these limits alone. */
  readonly only?: readonly OracleLimit[];
}
interface Refusal {
  readonly reason: string;
  readonly limit: string;
  readonly retryMs: number | undefined;
}
export interface Ruling {
  readonly refusal: Refusal | undefined;
  readonly caps: boolean;
  readonly wouldDeny: readonly string[];
}
export interface Settlement {
  readonly charged: Amounts;
  readonly uncharged: number;
}

const GRACE_MS = 600_000;
const DAY_MS = 86_400_000;
const isHeld = ({ state }: Hold, { onExpiry }: OracleLimit): boolean =>
  state === "open" || (state === "expired" && onExpiry === "charge");

export function createOracle(limits: readonly OracleLimit[]) {
  const buckets: Bucket[] = [];
  const holds: Hold[] = [];

  const find = (limit: OracleLimit, run: string, start: number): Bucket | undefined =>
    buckets.find((b) => b.limit === limit && b.start === start && b.run === run);

  /** The bucket that is there, or one that nobody has touched yet. */
  function bucketOf(limit: OracleLimit, run: string, now: number): Bucket {
    const own = limit.perRun ? run : "";
    const start = limit.periodMs < Infinity ? now - (now % limit.periodMs) : 0;
    const fresh = { limit, run: own, start, parts: [], debt: 0, moves: [] };
    return find(limit, own, start) ?? fresh;
  }

  const taken = ({ held, charged, hold, bucket }: Part): number =>
    isHeld(hold, bucket.limit) ? Math.max(held, charged) : charged;
  const used = ({ parts }: Bucket): number => parts.reduce((sum, part) => sum + taken(part), 0);

  /** What earlier periods left to this one: unspent units up to `rollover`, debt where it is carried (S23). */
  function carried({ limit, run, start }: Bucket): number {
    if (limit.rollover === 0 && !limit.carryDebt) return 0;
    const earlier = buckets.filter((b) => b.limit === limit && b.run === run && b.start < start);
    let left = 0;
    for (let at = Math.min(...earlier.map((b) => b.start)); at < start; at += limit.periodMs) {
      const period = find(limit, run, at);
      const rest = limit.units + left - (period ? used(period) : 0);
      left = Math.min(limit.rollover, Math.max(rest, limit.carryDebt ? rest : 0));
    }
    return left;
  }

  /** Level of a rate in units × everyMs, all moves from the beginning. Refill and returns stop at burst. */
  function level({ moves, limit }: Bucket, now: number): number {
    const full = limit.burst * limit.everyMs;
    let amount = full;
    let last = moves[0]?.at ?? now;
    for (const { at, by } of [...moves, { at: now, by: 0 }]) {
      amount = Math.min(full, amount + limit.units * (at - last)) + by * limit.everyMs;
      amount = Math.min(full, amount);
      last = at;
    }
    return amount;
  }

  function remaining(b: Bucket, now: number): number {
    if (b.limit.kind === "rate") return Math.floor(level(b, now) / b.limit.everyMs);
    if (b.limit.kind === "budget") return b.limit.units + carried(b) - used(b);
    return b.limit.units - b.parts.filter(({ hold }) => hold.state === "open").length;
  }
  const free = (b: Bucket, now: number): number => remaining(b, now) + b.limit.overdraft;
  function debtOf(b: Bucket, now: number): number {
    if (b.limit.mode !== "enforce") return 0;
    if (b.limit.kind === "rate") return Math.max(0, -remaining(b, now));
    const brought = Math.max(0, -carried(b));
    return Math.min(b.debt + brought, Math.max(0, -free(b, now)));
  }
  /** Units that came free pay debts, for good. */
  const payDebts = (now: number): void => {
    for (const b of buckets) b.debt = Math.min(b.debt, Math.max(0, -free(b, now)));
  };

  /** How long until `amount` fits if nobody else does anything; `undefined`: waiting does not help (S15). */
  function wait(b: Bucket, amount: number, now: number): number | undefined {
    const { limit } = b;
    if (limit.kind === "rate") {
      return Math.ceil(Math.max(0, amount * limit.everyMs - level(b, now)) / limit.units);
    }
    if (limit.kind === "slots") {
      const open = b.parts.filter(({ hold }) => hold.state === "open");
      const ends = open.map(({ hold }) => hold.expires).toSorted((x, y) => x - y);
      return (ends[ends.length - limit.units] ?? now) - now;
    }
    if (limit.periodMs === Infinity) return undefined;
    for (let start = b.start + limit.periodMs; ; start += limit.periodMs) {
      const later = { ...b, start, parts: [], debt: 0 };
      if (amount <= free(later, start) && debtOf(later, start) === 0) return start - now;
    }
  }

  const applying = (run: string): readonly OracleLimit[] =>
    limits.filter((limit) => !limit.perRun || run !== "");
  const amountAt = (limit: OracleLimit, amounts: Amounts): number =>
    limit.kind === "slots" ? 1 : (amounts.get(limit.meter) ?? 0);

  function refusalAt(limit: OracleLimit, ask: Ask, now: number): Refusal | undefined {
    const amount = amountAt(limit, ask.amounts);
    const whole = limit.kind === "rate" ? limit.burst : limit.units + limit.overdraft;
    if (limit.kind !== "slots" && amount > whole) {
      return { reason: REASON.request, limit: limit.name, retryMs: undefined };
    }
    if (limit.kind === "request") return undefined;
    const b = bucketOf(limit, ask.run, now);
    if ((amount === 0 || amount <= free(b, now)) && debtOf(b, now) === 0) return undefined;
    return { reason: REASON[limit.kind], limit: limit.name, retryMs: wait(b, amount, now) };
  }

  function decide(ask: Ask, now: number): Ruling {
    const asked = ask.only ?? applying(ask.run);
    const all = asked.flatMap((limit) => {
      const refusal = refusalAt(limit, ask, now);
      return refusal ? [{ ...refusal, of: limit }] : [];
    });
    const refusals = all.filter(({ of }) => of.mode === "enforce");
    const [first] = refusals.toSorted(
      (a, b) =>
        PRECEDENCE.indexOf(a.reason) - PRECEDENCE.indexOf(b.reason) ||
        Number(b.of.perRun) - Number(a.of.perRun) ||
        (b.retryMs ?? Infinity) - (a.retryMs ?? Infinity) ||
        limits.indexOf(a.of) - limits.indexOf(b.of),
    );
    const longest = Math.max(...refusals.map(({ retryMs }) => retryMs ?? Infinity));
    const caps = asked.some((limit) => {
      if (limit.capsAt === 0 || limit.mode === "shadow") return false;
      const total = used(bucketOf(limit, ask.run, now)) + amountAt(limit, ask.amounts);
      return total * 100 >= limit.capsAt * limit.units;
    });
    const shadows = all.filter(({ of }) => of.mode === "shadow");
    return {
      refusal: first && {
        reason: first.reason,
        limit: first.limit,
        retryMs: longest < Infinity ? longest : undefined,
      },
      caps: caps && first === undefined,
      wouldDeny: shadows.map(({ limit, reason }) => `${limit} ${reason}`).toSorted(),
    };
  }

  const move = (b: Bucket, at: number, by: number): void => void b.moves.push({ at, by });

  function hold(run: string, amounts: Amounts, ttlMs: number, now: number): Hold {
    const times = { made: now, ttlMs, expires: now + ttlMs };
    const totals = { reserved: new Map(amounts), charged: new Map<string, number>() };
    const made: Hold = { run, ...times, ...totals, state: "open", parts: [] };
    for (const limit of applying(run).filter(({ kind }) => kind !== "request")) {
      const bucket = bucketOf(limit, run, now);
      if (!buckets.includes(bucket)) buckets.push(bucket);
      const part = { bucket, hold: made, held: amountAt(limit, amounts), charged: 0, forgiven: 0 };
      made.parts.push(part);
      bucket.parts.push(part);
      move(bucket, now, -part.held);
    }
    holds.push(made);
    return made;
  }

  function end(h: Hold, state: "expired" | "released", at: number): void {
    for (const { bucket, held, charged } of h.parts) {
      if (state === "released" || bucket.limit.onExpiry === "release") {
        move(bucket, at, Math.max(0, held - charged));
      }
    }
    h.state = state;
    payDebts(at);
  }

  /** Frees what expired, in the order of expiry. Called before every command. */
  function pass(now: number): void {
    const due = holds.filter((h) => h.state === "open" && h.expires <= now);
    for (const h of due.toSorted((a, b) => a.expires - b.expires)) end(h, "expired", h.expires);
    for (const h of holds.filter((one) => one.state === "expired")) {
      if (now <= h.expires + GRACE_MS) continue;
      for (const part of h.parts.filter(({ bucket }) => bucket.limit.onExpiry === "charge")) {
        part.charged = Math.max(part.charged, part.held);
      }
      h.state = "gone";
    }
    payDebts(now);
  }

  /** Charges up to `stated` totals. `undefined`: an overage of reject refuses (S23), and nothing has changed. */
  function commit(h: Hold, stated: Amounts, partial: boolean, now: number): Settlement | undefined {
    const target = (meter: string): number => {
      const before = h.charged.get(meter) ?? 0;
      const silent = partial ? before : (h.reserved.get(meter) ?? 0);
      return Math.max(before, stated.get(meter) ?? silent);
    };
    const counted = h.parts.filter(({ bucket }) => bucket.limit.kind !== "slots");
    const plans = counted.map((part) => {
      const { limit } = part.bucket;
      const covered = taken(part);
      const silent = partial ? 0 : (h.reserved.get(limit.meter) ?? 0);
      const due = (stated.get(limit.meter) ?? silent) - part.forgiven;
      const wanted = Math.max(part.charged, due);
      const beyond = Math.max(0, wanted - covered - Math.max(0, free(part.bucket, now)));
      return { part, limit, wanted, covered, beyond: limit.mode === "enforce" ? beyond : 0 };
    });
    if (plans.some((p) => p.limit.overage === "reject" && p.beyond > 0)) return undefined;
    for (const { part, limit, wanted, covered, beyond } of plans) {
      if (limit.overage === "debt") part.bucket.debt += beyond;
      const forgiven = limit.overage === "cap" ? beyond : 0;
      part.forgiven += forgiven;
      part.charged = wanted - forgiven;
      const kept = partial ? Math.max(covered, part.charged) : part.charged;
      move(part.bucket, now, covered - kept);
    }
    const meters = new Set([...h.reserved.keys(), ...stated.keys()]);
    for (const meter of meters) h.charged.set(meter, target(meter));
    if (partial) h.expires = Math.min(h.made + DAY_MS, Math.max(h.expires, now + h.ttlMs));
    else h.state = "committed";
    payDebts(now);
    const capped = plans.filter(({ limit }) => limit.overage === "cap");
    const uncharged = Math.max(0, ...capped.map(({ beyond }) => beyond));
    return { charged: new Map(h.charged), uncharged };
  }

  /** Adds to every part of the meters in `add`; decided before. */
  function extend(h: Hold, byMs: number, add: Amounts, now: number): void {
    for (const part of h.parts) {
      const more = add.get(part.bucket.limit.meter) ?? 0;
      part.held += more;
      move(part.bucket, now, -more);
    }
    for (const [meter, units] of add) h.reserved.set(meter, (h.reserved.get(meter) ?? 0) + units);
    h.expires = Math.min(h.made + DAY_MS, h.expires + byMs);
  }

  function balance(limit: OracleLimit, run: string, now: number) {
    const b = bucketOf(limit, run, now);
    return { remaining: remaining(b, now), debt: debtOf(b, now) };
  }
  return { limits, applying, pass, decide, hold, commit, end, extend, balance, payDebts };
}
export type Oracle = ReturnType<typeof createOracle>;
