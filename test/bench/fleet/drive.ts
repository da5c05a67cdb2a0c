/**
 * One run of a workload: whole engines, one shared store, virtual time. Counts what the store is asked, and whether
 * anything was refused that lay idle somewhere.
 *
 * A false denial: refused although on every limit of the operation at least its amount had lain free, in the pool or
 * in idle leases, for as long as R = max(250 ms, 12 round trips) (S17).
 */
import { available } from "../../../src/core/lease/ledger.ts";
import { accountOf } from "../../../src/core/lease/shared-ledger.ts";
import { isRejection } from "../../../src/core/rejection.ts";
import type { Commit, Reserve } from "../../../src/core/operation.ts";
import { anAction, aCommit, aReserve } from "../../support/builders.ts";
import { fleetOf, type FleetHarness, type Replica } from "../../support/fleet-harness.ts";
import { createSeededRng, type SeededRng } from "../../support/seeded-rng.ts";
import { createGauge, type Gauge } from "./gauge.ts";
import type { Workload } from "./workloads.ts";

/** Sums over one run; the report divides them. */
export interface Counts {
  decisions: number;
  /** Before 99.9 % of a limit was used, and from 3 s after. */
  early: number;
  late: number;
  blocks: number;
  blocksEarly: number;
  blocksLate: number;
  messages: number;
  messagesEarly: number;
  hints: number;
  denied: number;
  deniedFalsely: number;
  deniedFalselyEarly: number;
  /** Refused although it had lain in the store for 4 s and R. */
  deniedLong: number;
  /** Share of the limit that was used when the first was. */
  firstFalse: number;
  over: number;
  /** Answered from memory, of all, and of those before the limit was used. */
  lease: number;
  leaseEarly: number;
  used: number;
  /** Of a rate: admitted by one ideal bucket; and by the fleet. */
  ideal: number;
  admitted: number;
  /** Of slots: their mean share that was taken. */
  taken: number;
  waits: number[];
}

const newCounts = (): Counts => ({
  decisions: 0,
  early: 0,
  late: 0,
  blocks: 0,
  blocksEarly: 0,
  blocksLate: 0,
  messages: 0,
  messagesEarly: 0,
  hints: 0,
  denied: 0,
  deniedFalsely: 0,
  deniedFalselyEarly: 0,
  deniedLong: 0,
  firstFalse: 1,
  over: 0,
  lease: 0,
  leaseEarly: 0,
  used: 0,
  ideal: 0,
  admitted: 0,
  taken: 0,
  waits: [],
});

/** The last commits come in after the last requests. */
const SETTLING = 6_000;
const WARM = 5_000;

function policyOf({ kind, capacity, refill = 0, levels = 1 }: Workload): string {
  const rule = {
    budget: `meter: tokens, budget: {units: ${capacity}, period: year}`,
    rate: `meter: tokens, rate: {units: ${Math.round(refill * 60)}, every: 1m, burst: ${capacity}}`,
    slots: `concurrency: {max: ${capacity}}`,
  }[kind];
  const limits = Array.from(
    { length: levels },
    (_, i) => `      - {name: l${i}, match: {tag: t${i}}, ${rule}}`,
  );
  return `revision: 1\ndefault_plan: p\nplans:\n  p:\n    limits:\n${limits.join("\n")}\n`;
}

/** The level that a ledger is of. */
const LEVEL = /\0l(\d)\//;

const refillOf = ({ refill = 0 }: Workload): number => refill / 1_000;

const gaugesOf = (work: Workload): readonly Gauge[] =>
  Array.from({ length: work.levels ?? 1 }, () => createGauge(work.capacity, refillOf(work)));

interface Run {
  readonly work: Workload;
  readonly fleet: FleetHarness;
  readonly rng: SeededRng;
  /** What is left of each limit; and what of it lies in the store. */
  readonly gauges: readonly Gauge[];
  readonly pools: readonly Gauge[];
  readonly idealBucket: Gauge;
  readonly counts: Counts;
  readonly patience: number;
  /** When 99.9 % of a limit was used. */
  usedUpAt: number;
  now(): number;
  at(after: number, task: () => void): void;
}

export function drive(work: Workload, seed: number, roundTripMs: number): Counts {
  const rng = createSeededRng(seed);
  const gauges = gaugesOf(work);
  const pools = gaugesOf(work);
  const fleet = fleetOf(policyOf(work), {
    replicas: work.replicas,
    roundTripMs,
    seed,
    delay: () => roundTripMs * 0.35 + exponential(rng, roundTripMs * 0.15),
    settled: (ledger) => {
      const pool = pools[Number(LEVEL.exec(ledger.spec.key)?.[1])];
      const now = clock.mono() - start;
      pool?.take(pool.left(now) - available(accountOf(ledger, clock.wall())), now);
    },
  });
  const { clock, counted } = fleet;
  const start = clock.mono();
  Object.assign(counted, { messages: 0, blocks: 0, hints: 0 });
  const run: Run = {
    work,
    fleet,
    rng,
    gauges,
    pools,
    idealBucket: createGauge(work.capacity, refillOf(work)),
    counts: newCounts(),
    patience: Math.max(250, 12 * roundTripMs),
    usedUpAt: Infinity,
    now: () => clock.mono() - start,
    at: (after, task) => void clock.timer(after, task),
  };
  for (const [i, replica] of fleet.replicas.entries()) begin(run, i, replica);
  finishLate(run);
  clock.advance(work.lasts);
  const { counts } = run;
  clock.advance(SETTLING);
  counts.blocks = counted.blocks;
  counts.messages = counted.messages;
  counts.hints = counted.hints;
  if (run.usedUpAt === Infinity) noteUsedUp(run);
  counts.over = Math.max(...gauges.map((gauge) => gauge.over()));
  counts.used = Math.max(...gauges.map((gauge) => 1 - gauge.left(run.now()) / work.capacity));
  for (const { engine } of fleet.replicas) engine.stop();
  return counts;
}

const exponential = (rng: SeededRng, mean: number): number => -Math.log(1 - rng.next()) * mean;

const normal = (rng: SeededRng): number =>
  Math.sqrt(-2 * Math.log(1 - rng.next())) * Math.cos(2 * Math.PI * rng.next());

/** One sidecar's callers. */
function begin(run: Run, index: number, replica: Replica): void {
  const { work, rng } = run;
  let isOn = !work.isBursty || rng.chance(0.2);
  const toggle = (): void => {
    isOn = !isOn;
    run.at(exponential(rng, isOn ? 2_000 : 8_000), toggle);
  };
  if (work.isBursty) run.at(exponential(rng, 3_000), toggle);
  const next = (): void => {
    const rate = isOn ? work.rate(index, run.now()) : 0;
    const pause = rate > 0 ? exponential(rng, 1_000 / rate) : 50;
    run.at(Math.min(pause, 500), () => {
      if (run.now() >= work.lasts) return;
      if (rate > 0 && pause <= 500) ask(run, replica);
      next();
    });
  };
  next();
  if (index === 0 && work.kind === "slots") run.at(WARM, () => sample(run));
}

/** How many slots are taken, each 100 ms. */
function sample(run: Run): void {
  const { work, counts, gauges } = run;
  const [gauge] = gauges;
  if (!gauge || run.now() >= work.lasts) return;
  const left = gauge.left(run.now());
  counts.taken += ((1 - left / work.capacity) * 100) / (work.lasts - WARM);
  run.at(100, () => sample(run));
}

interface Asked {
  readonly levels: readonly number[];
  readonly amount: number;
}

function amountOf({ work, rng }: Run): number {
  const { kind, sigma = 0.7, isCounted = false } = work;
  if (kind === "slots" || isCounted) return 1;
  return Math.max(1, Math.round(1_000 * Math.exp(sigma * normal(rng) - (sigma * sigma) / 2)));
}

function askedOf(run: Run): Asked {
  const { work, rng } = run;
  const all = Array.from({ length: work.levels ?? 1 }, (_, i) => i);
  const picked = all.length === 1 ? all : all.filter(() => rng.chance(work.pick ?? 1));
  return { levels: picked.length > 0 ? picked : [rng.pick(all)], amount: amountOf(run) };
}

const reserveOf = ({ work }: Run, { levels, amount }: Asked): Reserve =>
  aReserve({
    action: anAction({ tags: levels.map((level) => `t${level}`) }),
    amounts: work.kind === "slots" ? {} : { tokens: amount },
    ttlMs: 60_000,
  });

/** How much of an amount is really used. */
function shareOf({ work, rng }: Run): number {
  if (work.isCounted) return rng.chance(0.35) ? 0 : 1;
  return work.kind === "budget" ? 0.3 + 0.7 * rng.next() : 1;
}

function ask(run: Run, replica: Replica): void {
  const { work, counts, rng, idealBucket } = run;
  const asked = askedOf(run);
  const since = run.now();
  counts.decisions++;
  if (since > run.usedUpAt + 3_000) counts.late++;
  if (work.kind === "rate" && idealBucket.left(since) >= asked.amount) {
    counts.ideal += asked.amount;
    idealBucket.take(asked.amount, since);
  }
  const share = shareOf(run);
  replica.engine.run(CALL, reserveOf(run, asked), (answer) => {
    if (isRejection(answer) || answer.op !== "reserve") throw new Error(JSON.stringify(answer));
    const { decision, source } = answer.verdict;
    const isEarly = run.usedUpAt === Infinity;
    if (isEarly) counts.early++;
    if (source === "lease") counts.lease++;
    if (source === "lease" && isEarly) counts.leaseEarly++;
    if (run.now() > since) counts.waits.push(run.now() - since);
    if (decision === "deny") return denied(run, asked);
    for (const level of asked.levels) take(run, level, asked.amount);
    counts.admitted += asked.amount;
    const actual = Math.ceil(asked.amount * share);
    const commit = aCommit(answer.reservationId, {
      amounts: work.kind === "slots" ? {} : { tokens: actual },
    });
    run.at(exponential(rng, 800), () => settle(run, replica, { ...asked, commit, actual }));
  });
}

const CALL = { caller: { tenant: "", platform: true }, deadline: Infinity };

function settle(
  run: Run,
  { engine }: Replica,
  { commit, actual, levels, amount }: Asked & { readonly commit: Commit; readonly actual: number },
): void {
  engine.run(CALL, commit, (answer) => {
    if (isRejection(answer)) throw new Error(answer.message);
    const back = run.work.kind === "slots" ? amount : amount - actual;
    if (back > 0) for (const level of levels) take(run, level, -back);
  });
}

function take(run: Run, level: number, units: number): void {
  const { work, gauges } = run;
  const gauge = gauges[level];
  if (!gauge) return;
  gauge.take(units, run.now());
  const isUsedUp = work.kind === "budget" && gauge.left(run.now()) <= 0.001 * work.capacity;
  if (isUsedUp && run.usedUpAt === Infinity) {
    run.usedUpAt = run.now();
    noteUsedUp(run);
  }
}

function noteUsedUp({ counts, fleet }: Run): void {
  counts.blocksEarly = fleet.counted.blocks;
  counts.messagesEarly = fleet.counted.messages;
}

/** Counts what the store is asked from 3 s after. */
function finishLate(run: Run): void {
  const { counts, fleet, work } = run;
  let from: number | undefined;
  const look = (): void => {
    if (from === undefined && run.now() >= run.usedUpAt + 3_000) from = fleet.counted.blocks;
    if (run.now() < work.lasts - 10) return run.at(10, look);
    if (from !== undefined) counts.blocksLate = fleet.counted.blocks - from;
  };
  run.at(10, look);
}

function denied(run: Run, { levels, amount }: Asked): void {
  const { counts, gauges, pools, work, patience } = run;
  counts.denied++;
  if (run.now() < WARM && work.capacity > 1e5) return;
  const lay = (where: readonly Gauge[], within: number): boolean =>
    levels.every((level) => (where[level]?.least(within, run.now()) ?? 0) >= amount);
  if (!lay(gauges, patience)) return;
  counts.deniedFalsely++;
  if (run.usedUpAt === Infinity) counts.deniedFalselyEarly++;
  if (lay(pools, patience + 4_000)) counts.deniedLong++;
  const used = Math.max(...gauges.map((gauge) => 1 - gauge.left(run.now()) / work.capacity));
  counts.firstFalse = Math.min(counts.firstFalse, used);
}
