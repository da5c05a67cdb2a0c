/** How a fleet begins: on an empty store, on one that was prepared, and on one that does not let it in. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LOST, withinTime } from "../../support/endurance.ts";
import { startFleet, type Fleet, type FleetMember } from "../../support/fleet-sidecars.ts";
import { noRedis, redisCli } from "../../support/redis-client.ts";
import { startRedis, type RedisServer } from "../../support/redis-server.ts";
import { runCommand } from "../../support/command-process.ts";

const POLICY = `
tenants:
  acme:
    limits:
      - {name: month, meter: tokens, budget: {units: 1000, period: month}}
`;
const STORE_UNAVAILABLE = 10;

let redis: RedisServer;
let fleet: Fleet;

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));
afterEach(async () => {
  await fleet?.close();
  await redis?.stop();
});

const spendTen = async ({ client }: FleetMember) => {
  const { verdict } = await client.call("consume", {
    subject: { tenant: "acme" },
    amounts: [{ meter: "tokens", units: 10n }],
  });
  return { decision: verdict?.decision, reason: verdict?.denial?.reason, ...verdict };
};

/** Resolves when it has got units. */
async function untilUnits(member: FleetMember): Promise<void> {
  while ((await spendTen(member)).decision !== 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function theOnly({ members: [member] }: Fleet): FleetMember {
  if (!member) throw new Error("a fleet of none");
  return member;
}

test("on an empty Redis the first units are there within 3 s of `serving`", async () => {
  redis = await startRedis();
  fleet = await startFleet({ policy: POLICY, store: redis.url, sidecars: 1 });
  const since = performance.now();
  await untilUnits(theOnly(fleet));
  withinTime("first units on an empty Redis", performance.now() - since, 3_000);
  expect(theOnly(fleet).said("store prepared").length).toBe(1);
}, 240_000);

test("after `imprest store init` they are there at once: the first call that finds the store is granted", async () => {
  redis = await startRedis();
  const ready = await runCommand(["store", "init", "--store", redis.url]);
  expect([ready.status, ready.stdout.includes("prepared for --confirm auto")]).toEqual([0, true]);
  fleet = await startFleet({
    ...{ policy: POLICY, store: redis.url, sidecars: 1, args: ["--wait", "10s"] },
  });
  const since = performance.now();
  while ((await theOnly(fleet).metric("imprest_store_up")) === 0) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(await spendTen(theOnly(fleet))).toMatchObject({ decision: 1, degraded: false });
  withinTime("first units on a prepared Redis", performance.now() - since, 1_000);
  expect(theOnly(fleet).said("store prepared")).toEqual([]);
}, 240_000);

test("with a wrong password it serves degraded, says why once, and goes on when the password is right", async () => {
  redis = await startRedis({ args: ["--requirepass", "right"] });
  const folder = await mkdtemp(join(tmpdir(), "imprest-"));
  const file = join(folder, "password");
  await writeFile(file, "wrong\n");
  fleet = await startFleet({
    ...{ policy: POLICY, store: redis.url, sidecars: 1, args: ["--store-password-file", file] },
  });
  const sidecar = theOnly(fleet);
  await sidecar.says(LOST);
  expect(await spendTen(sidecar)).toMatchObject({
    ...{ decision: 3, reason: STORE_UNAVAILABLE, degraded: true },
  });
  expect(String(sidecar.said(LOST)[0]?.["cause"])).toMatch(/WRONGPASS|NOAUTH/);
  expect(await sidecar.ready()).toMatch(/WRONGPASS|NOAUTH/);
  expect(await sidecar.metric("imprest_store_up")).toBe(0);
  const beats = Number(await refusedLogins());
  while (Number(await refusedLogins()) < beats + 3) {
    await new Promise((resolve) => setTimeout(resolve, 50)); // it goes on trying
  }
  expect(sidecar.said(LOST).length).toBe(1);
  await writeFile(file, "right\n");
  await sidecar.says("store back");
  await untilUnits(sidecar);
  expect(await sidecar.metric("imprest_store_up")).toBe(1);
  expect(sidecar.said(LOST).length).toBe(1);
  await rm(folder, { recursive: true });
}, 240_000);

async function refusedLogins(): Promise<string> {
  const told = await redisCli(redis.port, "-a", "right", "--no-auth-warning", "INFO", "errorstats");
  return /errorstat_WRONGPASS:count=(\d+)/.exec(told)?.[1] ?? "0";
}
