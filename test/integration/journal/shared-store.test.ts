/** A sidecar with a journal on a Redis that a fleet shares, killed, and started again in the same folder. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { aJournaledSidecar, type JournaledSidecar } from "../../support/journaled-sidecar.ts";
import type { QuotaClient } from "../../support/quota-client.ts";
import { noRedis } from "../../support/redis-client.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const POLICY = `
revision: 1
tenants:
  acme:
    limits:
      - {name: month, meter: tokens, budget: {units: 1M, period: month}}
      - {name: slots, concurrency: {max: 3}}
      - {name: kept, match: {action: tool.read}, meter: pages, on_expiry: charge, budget: {units: 1k, period: month}}
      - {name: pace, match: {action: tool.read}, meter: pages, on_expiry: charge, rate: {units: 1k, every: 30d}}
`;
const subject = { tenant: "acme" };
const action = { kind: "llm.completion" };
const tokens = (units: bigint) => [{ meter: "tokens", units }];
const ALLOW = 1;

let redis: RedisServer;
let sidecar: JournaledSidecar;

beforeEach(async ({ skip }) => {
  skip(noRedis !== undefined, noRedis);
  redis = await startRedis();
  sidecar = await aJournaledSidecar(POLICY, redis.url);
});
afterEach(async () => {
  await sidecar?.close();
  await redis?.stop();
});

async function restart(): Promise<QuotaClient> {
  await sidecar.kill();
  await sidecar.start();
  return sidecar.client;
}

/** Asks until it is let through: a new store learns first. */
async function reserve(client: QuotaClient, idempotencyKey = "") {
  const ask = {
    ...{ subject, action, idempotencyKey },
    amounts: tokens(100n),
    ttl: { seconds: 600n, nanos: 0 },
  };
  for (;;) {
    const answer = await client.call("reserve", ask);
    if (answer.verdict?.decision === ALLOW) return answer;
  }
}

/** What the store says of the month, once nothing here is on its way to it. */
async function settledMonth(client: QuotaClient, spentUnits: bigint) {
  for (;;) {
    const { balances } = await client.call("getBalance", { subject, refresh: true });
    const month = balances.find(({ limit }) => limit === "month");
    if (month?.spentUnits === spentUnits) return month;
  }
}

it("after SIGKILL answers, reservations and units are as they were, and nothing is held back (S27)", async () => {
  const before = sidecar.client;
  const keyed = await reserve(before, "k-1");
  const commit = { reservationId: keyed.reservationId, amounts: tokens(130n) };
  const committed = await before.call("commit", commit);
  const held = await reserve(before);
  const open = await before.call("listReservations", { subject });

  const client = await restart();
  expect(await sidecar.command.logged("journal opened")).toMatchObject({ intact: true });
  expect(await client.call("listReservations", { subject })).toEqual(open);
  expect(await client.call("commit", commit)).toEqual(committed);
  expect(await reserve(client, "k-1")).toEqual(keyed);
  const month = await settledMonth(client, 130n);
  expect(month).toMatchObject({ quarantinedUnits: 0n, localReservedUnits: 100n });
  const last = await client.call("commit", {
    reservationId: held.reservationId,
    amounts: tokens(20n),
  });
  expect(last.released).toMatchObject([{ meter: "tokens", units: 80n }]);
  expect(await settledMonth(client, 150n)).toMatchObject({ quarantinedUnits: 0n });
});

it("SIGTERM keeps what on_expiry: charge has charged, and a late commit may still charge less (S18, S27)", async () => {
  await reserve(sidecar.client);
  const pages = (units: bigint) => [{ meter: "pages", units }];
  const ttl = { seconds: 600n, nanos: 0 };
  const asked = { subject, action: { kind: "tool.read" }, amounts: pages(400n), ttl };
  const { reservationId, verdict } = await sidecar.client.call("reserve", asked);
  expect(verdict?.decision).toBe(ALLOW);
  sidecar.client.close();
  const since = performance.now();
  sidecar.command.send("SIGTERM");
  expect((await sidecar.command.ended()).status).toBe(0);
  expect(performance.now() - since).toBeLessThan(4_000);
  await sidecar.start();
  const left = async (expected: bigint): Promise<void> => {
    for (;;) {
      const { balances } = await sidecar.client.call("getBalance", { subject, refresh: true });
      const ofPages = balances.filter(({ meter }) => meter === "pages");
      if (ofPages.every(({ remainingUnits }) => remainingUnits === expected)) return;
    }
  };
  await left(600n);
  const late = await sidecar.client.call("commit", { reservationId, amounts: pages(30n) });
  expect(late.late).toBe(true);
  await left(970n);
});

it("what was committed a moment before SIGKILL reaches the store with the next process", async () => {
  const before = sidecar.client;
  let spent = 0n;
  for (let kill = 0; kill < 2; kill++) {
    const at = kill === 0 ? before : sidecar.client;
    for (let n = 0; n < 10; n++) {
      const { reservationId } = await reserve(at);
      await at.call("commit", { reservationId, amounts: tokens(7n) });
      spent += 7n;
    }
    await restart();
  }
  const month = await settledMonth(sidecar.client, spent);
  expect(month).toMatchObject({ quarantinedUnits: 0n, localReservedUnits: 0n });
});

it("a store that is empty meanwhile is given the time in which the others, too, say what they have (IN3)", async () => {
  const { reservationId } = await reserve(sidecar.client);
  await sidecar.client.call("commit", { reservationId, amounts: tokens(100n) });
  await sidecar.kill();
  await redis.kill();
  await redis.restart();
  await sidecar.start();
  expect(await sidecar.command.logged("store prepared")).toMatchObject({ windowMs: 12_000 });
  expect(await settledMonth(sidecar.client, 100n)).toMatchObject({ quarantinedUnits: 0n });
});
