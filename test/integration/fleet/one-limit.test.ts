/** Three sidecars, one Redis, hundreds of clients: one limit for all of them, and all of it to be had. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { audit, overdraft, type Books } from "../../support/client-books.ts";
import { isQuiet } from "../../support/endurance.ts";
import { eventually } from "../../support/eventually.ts";
import { startFleet, type Fleet } from "../../support/fleet-sidecars.ts";
import { noRedis } from "../../support/redis-client.ts";
import { startRedis, type RedisServer } from "../../support/redis-server.ts";
import { A_PLAN, type SpendingPlan } from "../../support/spenders.ts";
import { spendFrom } from "../../support/spending.ts";
import type { Split } from "../../support/spending-process.ts";

const BUDGET = 150_000;
const RATE = { burst: 400, perMs: 0.2 };
const SLOTS = 30;

const POLICY = `
tenants:
  even: &budget
    limits:
      - {name: month, meter: tokens, budget: {units: ${BUDGET}, period: month}}
  one: *budget
  moving: *budget
  first: *budget
  rated:
    limits:
      - {name: rate, meter: tokens, rate: {units: ${RATE.perMs * 1_000}, every: 1s, burst: ${RATE.burst}}}
  slotted:
    limits:
      - {name: slots, concurrency: {max: ${SLOTS}}}
`;

let redis: RedisServer;
let fleet: Fleet;

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));
beforeAll(async () => {
  if (noRedis !== undefined) return;
  redis = await startRedis();
  fleet = await startFleet({ policy: POLICY, store: redis.url });
  const one = { subject: { tenant: "first" }, amounts: [{ meter: "tokens", units: 1n }] };
  // A new store only listens at first, and grants nothing (S17).
  for (const { client } of fleet.members) {
    await eventually(async () => (await client.call("consume", one)).verdict?.decision === 1);
  }
}, 240_000);
afterAll(async () => {
  await fleet?.close();
  await redis?.stop();
});

const CLIENTS = 240;
const PROCESSES = 2;

const run = (split: Split, plan: Partial<SpendingPlan>): Promise<Books> =>
  spendFrom(PROCESSES, {
    name: split,
    addresses: fleet.members.map(({ address }) => address),
    count: CLIENTS / PROCESSES,
    split,
    plan: { ...A_PLAN, ...plan },
  });

/** How long units may lie idle (S17), on a machine as slow as this one is now. */
async function longestIdle(): Promise<number> {
  const trips = await Promise.all(fleet.members.map((member) => member.slowestTrips()));
  return Math.max(250, 12 * Math.max(...trips));
}

/** A sidecar that is not given the time to run cannot tell a slow store from one that has nothing. */
const tolerated = (refusals: readonly unknown[]): number =>
  isQuiet() ? 0 : Math.ceil(refusals.length / 10);

describe("a hard budget", () => {
  test.for(["even", "one", "moving"] as const)(
    "is never overspent, and can be spent, with the load %s (S17)",
    { timeout: 240_000 },
    async (split) => {
      const books = await run(split, { tenant: split });
      const idleMs = await longestIdle();
      const { most, surely, perhaps, falseRefusals } = audit(books, BUDGET, idleMs);
      const { admissions, refusals } = books;
      console.log(
        `${split}: ${admissions.length} admitted, ${refusals.length} refused, ${falseRefusals.length} falsely (R = ${idleMs} ms), at most ${most}, in the end ${surely} of ${BUDGET}`,
      );
      expect(most).toBeLessThanOrEqual(BUDGET);
      expect([surely, perhaps]).toEqual([books.charged, books.charged]);
      expect(surely).toBeGreaterThanOrEqual(0.995 * BUDGET);
      expect(falseRefusals.length).toBeLessThanOrEqual(tolerated(refusals));
    },
  );
});

const SECONDS = 4;

test("a rate admits no more than an ideal bucket, and all of that (S13)", async () => {
  const forMs = SECONDS * 1_000;
  const plan = { tenant: "rated", way: "consume", least: 5, greatest: 35, forMs } as const;
  const books = await run("even", plan);
  const { admissions } = books;
  const worst = overdraft(books, RATE);
  const [first] = admissions;
  const spent = admissions.reduce((sum, { units }) => sum + units, 0);
  const passed = (admissions.at(-1)?.at ?? 0) - (first?.at ?? 0);
  const ideal = RATE.burst + RATE.perMs * passed;
  console.log(
    `rate: ${spent} of ${ideal.toFixed()} in ${passed.toFixed()} ms, ${worst.toFixed()} above an ideal bucket`,
  );
  expect(worst).toBeLessThanOrEqual(0);
  expect(spent).toBeGreaterThanOrEqual(0.95 * ideal);
}, 240_000);

test("slots are never more than there are, and each of them is used (S12, S17)", async () => {
  const forMs = SECONDS * 1_000;
  const plan = { tenant: "slotted", way: "hold", meter: "", holdMs: 1_500, forMs } as const;
  const books = await run("even", plan);
  const idleMs = await longestIdle();
  const { most, perhaps, falseRefusals } = audit(books, SLOTS, idleMs);
  const { admissions, refusals } = books;
  console.log(
    `slots: ${admissions.length} admitted, ${refusals.length} refused, ${falseRefusals.length} falsely (R = ${idleMs} ms), at most ${most} of ${SLOTS}`,
  );
  expect(most).toBe(SLOTS);
  expect(perhaps).toBe(0);
  expect(falseRefusals.length).toBeLessThanOrEqual(tolerated(refusals));
}, 240_000);
