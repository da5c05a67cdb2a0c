/**
 * Agents that go on whatever happens, and keep their own books: reserve, spend, commit, or give back; over single
 * calls or a stream. What they hear no answer to they ask again, under the same key, of the same sidecar.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { QuotaClient, Some } from "./quota-client.ts";
import type * as wire from "../../src/gen/imprest/v1/quota.ts";
import { machineTime, type Books } from "./client-books.ts";
import { createSeededRng } from "./seeded-rng.ts";

/** A sidecar that is sometimes not there. */
export interface Place {
  readonly client: Pick<QuotaClient, "call">;
  /** Resolves when it is there. */
  readonly back: Promise<void>;
}

export interface SpendingPlan {
  readonly tenant: string;
  /** "" for a limit of concurrency alone. */
  readonly meter: string;
  readonly least: number;
  readonly greatest: number;
  /**
   * consume     in one call
   * settle      reserves, then commits a part, or gives back
   * hold        reserves, keeps it for a while, and gives it back
   */
  readonly way: "consume" | "settle" | "hold";
  /** For how long what is held is kept: up to this, ms. */
  readonly holdMs: number;
  /** Between two operations, ms. */
  readonly thinkMs: number;
  /** For how long a refused one waits, ms. */
  readonly pauseMs: number;
  /** Ends when nothing was admitted for so long, ms. */
  readonly patienceMs: number;
  /** Ends then in any case, ms. */
  readonly forMs: number;
  /** What is not answered is asked again, under the same key. */
  readonly isKeyed: boolean;
}

export const A_PLAN: SpendingPlan = {
  tenant: "acme",
  meter: "tokens",
  least: 20,
  greatest: 300,
  way: "settle",
  holdMs: 60,
  thinkMs: 0,
  pauseMs: 30,
  patienceMs: 3_000,
  forMs: Infinity,
  isKeyed: false,
};

export interface Spender {
  readonly name: string;
  /** Where the next operation goes. */
  readonly at: () => Place;
  readonly plan: SpendingPlan;
  readonly books: Books;
  readonly isOver: () => boolean;
}

const ALLOW = new Set([1, 2]);

/** Spends until it is over, or nothing has been admitted for long. */
export async function spend(spender: Spender): Promise<void> {
  const { name, at, plan, isOver } = spender;
  const rng = createSeededRng(Buffer.from(name).reduce((sum, one) => (sum * 31 + one) % 1e9, 7));
  const between = (least: number, greatest: number): number =>
    least + Math.floor(rng.next() * (greatest - least + 1));
  const endsAt = machineTime() + plan.forMs;
  let lastAt = machineTime();
  const goesOn = (): boolean =>
    !isOver() && machineTime() < Math.min(endsAt, lastAt + plan.patienceMs);
  for (let n = 0; goesOn(); n++) {
    const units = plan.meter === "" ? 1 : between(plan.least, plan.greatest);
    const act: Act = { spender, place: at(), units, key: `${name}-${n}` };
    const isAdmitted = await once(act, rng.next(), between);
    if (isAdmitted) lastAt = machineTime();
    const rest = isAdmitted ? plan.thinkMs : Math.max(plan.thinkMs, plan.pauseMs);
    if (rest > 0) await pause(rest * (0.5 + rng.next()));
  }
}

interface Act {
  readonly spender: Spender;
  readonly place: Place;
  readonly units: number;
  readonly key: string;
}

type Between = (least: number, greatest: number) => number;

async function once(act: Act, chance: number, between: Between): Promise<boolean> {
  const { way, holdMs } = act.spender.plan;
  if (way === "consume") return consume(act);
  const id = await reserve(act);
  if (id === undefined) return false;
  if (way === "hold") await pause(between(5, holdMs));
  if (way === "hold" || chance < 0.1) await release(act, id);
  else await commit(act, id, between(Math.ceil(act.units * 0.3), act.units));
  return true;
}

/** Undefined: there was no answer, and there will be none. */
async function answered<T>(
  { spender, place }: Act,
  call: (client: Place["client"]) => Promise<T>,
): Promise<T | undefined> {
  for (;;) {
    try {
      if (spender.plan.isKeyed) await place.back;
      return await call(place.client);
    } catch (error) {
      if (!isTransient(error)) throw error;
      if (!spender.plan.isKeyed || spender.isOver()) return undefined;
      await pause(20);
    }
  }
}

/** UNAVAILABLE: it was killed under the call, or drains. */
const isTransient = (error: unknown): boolean =>
  error instanceof Error &&
  (("code" in error && error.code === 14) || /does not run|has been shut down/.test(error.message));

function ask({ spender, units, key }: Act): Some<wire.ReserveRequest> {
  const { tenant, meter, isKeyed } = spender.plan;
  return {
    subject: { tenant },
    action: { kind: "llm.completion" },
    amounts: meter === "" ? [] : [{ meter, units: BigInt(units) }],
    ...(isKeyed && { idempotencyKey: key }),
  };
}

async function consume(act: Act): Promise<boolean> {
  const { books } = act.spender;
  const sentAt = machineTime();
  const answer = await answered(act, (client) => client.call("consume", ask(act)));
  const isAdmitted = note(act, sentAt, answer?.verdict);
  if (isAdmitted) books.charged += act.units;
  return isAdmitted;
}

async function reserve(act: Act): Promise<string | undefined> {
  const request = { ...ask(act), ttl: { seconds: 600n, nanos: 0 } };
  const sentAt = machineTime();
  const answer = await answered(act, (client) => client.call("reserve", request));
  return note(act, sentAt, answer?.verdict) ? answer?.reservationId : undefined;
}

/** What became of a question. */
function note(act: Act, sentAt: number, verdict: wire.Verdict | undefined): boolean {
  const { units, spender } = act;
  const { entries, refusals, admissions } = spender.books;
  const at = machineTime();
  if (verdict === undefined) {
    entries.push({ at: sentAt, surely: 0, perhaps: units });
    return false;
  }
  const { decision, denial, degraded, source } = verdict;
  if (ALLOW.has(decision)) {
    entries.push({ at: sentAt, surely: 0, perhaps: units }, { at, surely: units, perhaps: 0 });
    admissions.push({ sentAt, at, units, source, degraded });
    return true;
  }
  refusals.push({ at, units, reason: denial?.reason ?? 0, degraded });
  return false;
}

async function commit(act: Act, reservationId: string, actual: number): Promise<void> {
  const { meter } = act.spender.plan;
  const amounts = meter === "" ? [] : [{ meter, units: BigInt(actual) }];
  const { books } = act.spender;
  const back = act.units - actual;
  books.entries.push({ at: machineTime(), surely: -back, perhaps: 0 });
  const answer = await answered(act, (client) => client.call("commit", { reservationId, amounts }));
  if (answer === undefined) return;
  books.entries.push({ at: machineTime(), surely: 0, perhaps: -back });
  books.charged += Number(answer.charged.find((each) => each.meter === meter)?.units ?? 0n);
}

async function release(act: Act, reservationId: string): Promise<void> {
  const { books } = act.spender;
  books.entries.push({ at: machineTime(), surely: -act.units, perhaps: 0 });
  const answer = await answered(act, (client) => client.call("release", { reservationId }));
  if (answer === undefined) return;
  books.entries.push({ at: machineTime(), surely: 0, perhaps: -act.units });
}
