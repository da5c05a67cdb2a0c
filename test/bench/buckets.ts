/**
 * What one decision costs, by how many buckets are alive: a Consume against a tenant's budget and one for each run, the runs
 * picked at random. Argument: how many runs, spread over tenants that the policy does not list one by one.
 *
 * Nothing scans, and yet many runs cost more than few: what a decision reads is no longer in the processor's caches, and the
 * embedded store hears of each bucket once in 100 ms (FU4), which few buckets share among many decisions.
 */
import { createCalendar } from "../../src/adapters/calendar/calendar.ts";
import { createMemoryLeaseStore } from "../../src/adapters/memory/lease-store.ts";
import { createClock } from "../../src/adapters/system/clock.ts";
import { createRng } from "../../src/adapters/system/rng.ts";
import type { Consume } from "../../src/core/operation.ts";
import { isRejection } from "../../src/core/rejection.ts";
import { createEngine } from "../../src/engine/driver.ts";
import { aCall, aConsume } from "../support/builders.ts";
import { NO_TELEMETRY, SILENT } from "../support/silence.ts";
import { aPolicy } from "../support/engine-harness.ts";
import { createSeededRng } from "../support/seeded-rng.ts";

const RUNS_PER_TENANT = 1_000;
const DECISIONS = 200_000;

const runs = Number(process.argv[2]);
const clock = createClock();
const engine = createEngine({
  document: aPolicy(`
default_plan: standard
plans:
  standard:
    limits:
      - {name: tokens-per-month, meter: tokens, budget: {units: 1000000000000, period: month}}
      - {name: tokens-per-run, meter: tokens, per: [run], budget: {units: 1000000000, period: once}}
`),
  calendar: createCalendar(),
  clock,
  rng: createRng(),
  store: createMemoryLeaseStore(clock),
  log: SILENT,
  telemetry: NO_TELEMETRY,
  idempotencyKeys: 100_000,
  waitMs: 250,
});

/** Names are made anew for each call, as a wire does: no string is found by its identity. */
const consume = (run: number): Consume =>
  aConsume({
    subject: {
      tenant: `t-${Math.floor(run / RUNS_PER_TENANT)}`,
      dimensions: new Map([["run", `r-${run}`]]),
    },
    amounts: [{ meter: "tokens", units: 1_500 }],
  });

function decide(operation: Consume): void {
  engine.run(aCall(), operation, (answer) => {
    if (isRejection(answer)) throw new Error(`${answer.reason}: ${answer.message}`);
    if (answer.op === "consume" && answer.verdict.decision !== "allow") throw new Error("denied");
  });
}

for (let run = 0; run < runs; run += 1) decide(consume(run));
const rng = createSeededRng(1);
const picked = Array.from({ length: DECISIONS }, () => consume(Math.floor(rng.next() * runs)));
const warm = Array.from({ length: DECISIONS / 4 }, () => consume(Math.floor(rng.next() * runs)));
for (const operation of warm) decide(operation);
const before = process.cpuUsage();
for (const operation of picked) decide(operation);
const { user, system } = process.cpuUsage(before);
const micros = ((user + system) / DECISIONS).toFixed(2);
const megabytes = (process.memoryUsage.rss() / 2 ** 20).toFixed(0);
console.log(
  `${String(runs).padStart(9)} runs: ${micros} µs a decision, ${megabytes} MB resident, ${engine.liveBuckets()} buckets`,
);
process.exit(0);
