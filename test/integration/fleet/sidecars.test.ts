/** What sidecars do to a fleet: they are killed, drained and started again under load. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { startAgents } from "../../support/agents.ts";
import { audit, mergeBooks } from "../../support/client-books.ts";
import { withinTime } from "../../support/endurance.ts";
import { startFleet, type Fleet, type FleetOptions } from "../../support/fleet-sidecars.ts";
import { noRedis } from "../../support/redis-client.ts";
import { startRedis, type RedisServer } from "../../support/redis-server.ts";

const BUDGET = 50_000;
const POLICY = `
tenants:
  rich:
    limits:
      - {name: month, meter: tokens, budget: {units: 1G, period: month}}
  acme:
    limits:
      - {name: month, meter: tokens, budget: {units: ${BUDGET}, period: month}}
`;

/** A drain is to be complete on a machine that is slower than the usual 1.5 s allow. */
const PATIENT = ["--drain-timeout", "20s"];

let redis: RedisServer;
let fleet: Fleet;

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));
afterEach(async () => {
  await fleet?.close();
  await redis?.stop();
});

async function start(options: Partial<FleetOptions> = {}): Promise<void> {
  redis = await startRedis();
  fleet = await startFleet({ policy: POLICY, store: redis.url, args: PATIENT, ...options });
}

test("SIGKILL under load, with a journal: nothing over, nothing lost, all of it to be had (S27)", async () => {
  await start({ journal: true });
  const agents = startAgents(fleet.members, { isKeyed: true });
  const restarts: Promise<void>[] = [];
  for (const [i, member] of fleet.members.entries()) {
    await agents.sees(({ charged }) => charged > BUDGET * 0.2 * (i + 1));
    await member.kill();
    restarts.push(member.start());
  }
  await Promise.all(restarts);
  await agents.done;
  const last = startAgents(fleet.members, {}); // what was held by those that were away
  await last.done;
  const books = mergeBooks([agents.books, last.books]);
  const { most, surely, perhaps } = audit(books, BUDGET, Infinity);
  console.log(`at most ${most}, charged ${books.charged} of ${BUDGET}`);
  expect(most).toBeLessThanOrEqual(BUDGET);
  expect([surely, perhaps]).toEqual([books.charged, books.charged]);
  expect(surely).toBeGreaterThanOrEqual(0.995 * BUDGET);
  await Promise.all(fleet.members.map((member) => member.drain()));
  expect(await fleet.ledgers("acme")).toMatchObject([
    { spent: books.charged, leased: 0, quarantined: 0 },
  ]);
}, 240_000);

test("SIGTERM gives all leases back, a rolling update strands nothing, and the next ones have units at once (S27, S36)", async () => {
  await start();
  const agents = startAgents(fleet.members, { tenant: "rich", isKeyed: true, way: "consume" });
  for (const member of fleet.members) {
    await agents.admitted(20);
    const { status, ms } = await member.drain();
    withinTime("drained", ms, 1_500);
    expect(status).toBe(0);
    expect(member.said("the store has not taken all leases back")).toEqual([]);
    const [ledger] = await fleet.ledgers("rich");
    expect(ledger?.holders.filter(({ label }) => label === member.name)).toEqual([]);
    await member.start();
  }
  await agents.stop();
  await Promise.all(fleet.members.map((member) => member.drain()));
  expect(await fleet.ledgers("rich")).toMatchObject([
    { spent: agents.books.charged, leased: 0, quarantined: 0, holders: [] },
  ]);
}, 240_000);
