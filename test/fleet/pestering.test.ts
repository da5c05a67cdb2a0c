/** What happens to a store again and again while it is in use, and what makes it slow: nobody may notice in the sums. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { startAgents, type Agents } from "../support/agents.ts";
import { mergeBooks } from "../support/client-books.ts";
import { startDelayProxy, type DelayProxy } from "../support/delay-proxy.ts";
import { balances } from "../support/endurance.ts";
import { startFleet, type Fleet } from "../support/fleet-sidecars.ts";
import { infoField, noRedis, redisCli } from "../support/redis-client.ts";
import { startRedis, type RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";

const BUDGET = 100_000;
const POLICY = `
tenants:
  acme:
    limits:
      - {name: month, meter: tokens, budget: {units: ${BUDGET}, period: month}}
`;
const STORE_UNAVAILABLE = 10;

let redis: RedisServer;
let replica: RedisServer | undefined;
let proxy: DelayProxy | undefined;
let fleet: Fleet;

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));
afterEach(async () => {
  await fleet?.close();
  await proxy?.stop();
  await replica?.stop();
  await redis?.stop();
  proxy = undefined;
  replica = undefined;
});

async function start(port: number): Promise<Agents> {
  const store = `redis://127.0.0.1:${port}`;
  fleet = await startFleet({ policy: POLICY, store, args: ["--drain-timeout", "30s"] });
  const agents = startAgents(fleet.members, {
    ...{ tenant: "acme", isKeyed: true, thinkMs: 200, patienceMs: 60_000 },
  });
  await agents.admitted(30);
  return agents;
}

/** Does it every so often, until so many more operations have been admitted. Returns how often. */
async function pester(agents: Agents, everyMs: number, act: () => Promise<unknown>) {
  let isOver = false;
  let times = 0;
  const loop = (async () => {
    while (!isOver) {
      await act();
      times++;
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  })();
  await agents.admitted(200);
  isOver = true;
  await loop;
  return times;
}

/** Spends what is left, and compares. */
async function settle(agents: Agents): Promise<void> {
  await agents.stop();
  const last = startAgents(fleet.members, { tenant: "acme" });
  await last.done;
  const books = mergeBooks([agents.books, last.books]);
  await balances({ fleet, tenant: "acme", budget: BUDGET }, books);
}

test("SCRIPT FLUSH in a loop", { timeout: 300_000 }, async () => {
  redis = await startRedis();
  const agents = await start(redis.port);
  const times = await pester(agents, 5, () => redisCli(redis.port, "SCRIPT", "FLUSH"));
  console.log(`${times} times`);
  await settle(agents);
  expect(times).toBeGreaterThan(5);
});

test(
  "connections killed in a loop, between a script and its WAIT too",
  { timeout: 300_000 },
  async () => {
    redis = await startRedis();
    replica = await startRedis({ args: ["--replicaof", `127.0.0.1 ${redis.port}`] });
    await until(async () => (await infoField(redis.port, "connected_slaves")) === "1");
    const agents = await start(redis.port);
    const kill = () => redisCli(redis.port, "CLIENT", "KILL", "TYPE", "normal");
    const times = await pester(agents, 100, kill);
    console.log(`${times} times`);
    await settle(agents);
    expect(times).toBeGreaterThan(5);
  },
);

test("answers after 2 s: slow, but not lost", { timeout: 300_000 }, async () => {
  redis = await startRedis();
  proxy = await startDelayProxy(redis.port);
  const agents = await start(proxy.port);
  const [first] = fleet.members;
  const early = agents.books.refusals.length; // a sidecar serves before it has found its store
  proxy.delay(2_000);
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  const before = agents.books.admissions.length;
  await agents.admitted(30); // units still come
  const { refusals } = agents.books;
  const slow = refusals.slice(early).filter(({ reason }) => reason === STORE_UNAVAILABLE);
  console.log(
    `${agents.books.admissions.length - before} more admitted, ${slow.length} without a store`,
  );
  expect(slow).toEqual([]);
  expect(await first?.metric("imprest_store_up")).toBe(1);
  proxy.delay(0);
  await settle(agents);
});
