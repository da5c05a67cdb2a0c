/** The store is killed under load, and comes back without what it knew. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { endure } from "../../support/endurance.ts";
import { startFleet, type Fleet } from "../../support/fleet-sidecars.ts";
import { noRedis } from "../../support/redis-client.ts";
import { startRedis, type RedisServer } from "../../support/redis-server.ts";

const BUDGET = 200_000;
const POLICY = `
tenants:
  acme:
    limits:
      - {name: month, meter: tokens, budget: {units: ${BUDGET}, period: month}}
`;

let redis: RedisServer;
let fleet: Fleet;

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));
afterEach(async () => {
  await fleet?.close();
  await redis?.stop();
});

test("a Redis that is killed and comes back empty: nothing over, nothing lost, units again within 15 s", async () => {
  redis = await startRedis();
  fleet = await startFleet({
    policy: POLICY,
    store: redis.url,
    args: ["--drain-timeout", "20s"],
  });
  const { charged } = await endure(
    { fleet, tenant: "acme", budget: BUDGET },
    { lose: () => redis.kill(), restore: () => redis.restart(), promisedMs: 15_000 },
  );
  expect(charged).toBeGreaterThan(0);
}, 240_000);
