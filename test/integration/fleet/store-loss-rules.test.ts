/** `on_store_loss`: what each limit does while there is no store, and that it stops at its ceilings. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startAgents } from "../../support/agents.ts";
import { overdraft } from "../../support/client-books.ts";
import { LOST } from "../../support/endurance.ts";
import { startFleet, type Fleet } from "../../support/fleet-sidecars.ts";
import { noRedis } from "../../support/redis-client.ts";
import { startRedis, type RedisServer } from "../../support/redis-server.ts";

const RATE = { burst: 300, perMs: 0.3 };
const budget = "meter: tokens, budget: {units: 1M, period: month}";
const POLICY = `
tenants:
  denies:
    limits:
      - {name: l, ${budget}}
  allows:
    limits:
      - {name: l, ${budget}, on_store_loss: allow}
  allows-some:
    limits:
      - {name: l, ${budget}, on_store_loss: {allow: {max_units: 500, for: 5m}}}
  shares:
    limits:
      - {name: l, meter: tokens, rate: {units: ${RATE.perMs * 1_000}, every: 1s, burst: ${RATE.burst}}}
  slots:
    limits:
      - {name: l, concurrency: {max: 5}}
`;
const STORE_UNAVAILABLE = 10;
const FALLBACK = 3;

let redis: RedisServer;
let fleet: Fleet;

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));
beforeAll(async () => {
  if (noRedis !== undefined) return;
  redis = await startRedis();
  fleet = await startFleet({ policy: POLICY, store: redis.url });
  // Each sidecar learns how many share the rate.
  const agents = startAgents(fleet.members, {
    ...{ tenant: "shares", way: "consume", least: 1, greatest: 3, thinkMs: 100 },
  });
  await agents.admitted(60);
  await redis.kill();
  await Promise.all(fleet.members.map((member) => member.says(LOST)));
  await agents.stop();
}, 240_000);
afterAll(async () => {
  await fleet?.close();
  await redis?.stop();
});

/** What each sidecar says to 100 units, so many times. */
async function ask(tenant: string, times: number) {
  const verdicts = [];
  for (const { client } of fleet.members) {
    for (let i = 0; i < times; i++) {
      const { verdict } = await client.call("consume", {
        subject: { tenant },
        amounts: [{ meter: "tokens", units: 100n }],
      });
      verdicts.push({
        ...{ decision: verdict?.decision, reason: verdict?.denial?.reason },
        ...{ source: verdict?.source, degraded: verdict?.degraded },
        retries: verdict?.denial?.retryAfter !== undefined,
      });
    }
  }
  return verdicts;
}

const ADMITTED = {
  decision: 1,
  reason: undefined,
  source: FALLBACK,
  degraded: true,
  retries: false,
};
const DENIED = { decision: 3, reason: STORE_UNAVAILABLE, degraded: true, retries: true };
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

test("a budget denies, and says when the store is tried again (S15)", async () => {
  expect(await ask("denies", 2)).toMatchObject(times(6, DENIED));
});

test("slots deny", async () => {
  expect(await ask("slots", 1)).toMatchObject(times(3, DENIED));
});

test("FB1: `allow` admits", async () => {
  expect(await ask("allows", 4)).toEqual(times(12, ADMITTED));
});

test("FB2: `allow` with a ceiling admits as much on each sidecar, and then denies", async () => {
  const each = [...times(5, ADMITTED), ...times(3, DENIED)];
  expect(await ask("allows-some", 8)).toMatchObject([...each, ...each, ...each]);
});

test("FB1: of a rate each sidecar admits its share: together no more than the rate", async () => {
  const agents = startAgents(fleet.members, {
    ...{ tenant: "shares", way: "consume", least: 5, greatest: 30, forMs: 4_000 },
  });
  await agents.done;
  const worst = overdraft(agents.books, RATE);
  const { admissions } = agents.books;
  const spent = admissions.reduce((sum, { units }) => sum + units, 0);
  console.log(`share: ${spent} in 4 s, ${worst.toFixed()} above an ideal bucket`);
  // What was leased before comes on top, and is never more than the bucket holds.
  expect(worst).toBeLessThanOrEqual(RATE.burst);
  expect(spent).toBeGreaterThan(RATE.perMs * 4_000 * 0.8);
  expect(admissions.every(({ degraded }) => degraded)).toBe(true);
  expect(agents.books.refusals.every(({ degraded }) => degraded)).toBe(true);
}, 60_000);
