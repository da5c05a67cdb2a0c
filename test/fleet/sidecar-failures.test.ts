/** Sidecars that die for good, and sidecars that stand still. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { startAgents } from "../support/agents.ts";
import { audit, machineTime, overdraft } from "../support/client-books.ts";
import { startFleet, type Fleet, type FleetOptions } from "../support/fleet-sidecars.ts";
import { noRedis } from "../support/redis-client.ts";
import { startRedis, type RedisServer } from "../support/redis-server.ts";

const BUDGET = 100_000;
const RATE = { burst: 400, perMs: 0.2 };
const SLOTS = 12;
const POLICY = `
tenants:
  acme:
    limits:
      - {name: month, meter: tokens, budget: {units: ${BUDGET}, period: month}}
  rated:
    limits:
      - {name: rate, meter: tokens, rate: {units: ${RATE.perMs * 1_000}, every: 1s, burst: ${RATE.burst}}}
  slotted:
    limits:
      - {name: slots, concurrency: {max: ${SLOTS}}}
`;
const TIME = 600_000;
/** Past ttl and grace of a lease, ms. */
const LEASE_OVER = 12_000;

let redis: RedisServer;
let fleet: Fleet;

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));
afterEach(async () => {
  await fleet?.close();
  await redis?.stop();
});

async function start(options: Partial<FleetOptions> = {}): Promise<void> {
  redis = await startRedis();
  const args = ["--drain-timeout", "20s"];
  fleet = await startFleet({ policy: POLICY, store: redis.url, args, ...options });
}

const passed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test(
  "a sidecar that dies without a journal leaves its leases in quarantine, until an operator resolves it (S27)",
  async () => {
    await start();
    const [victim, ...others] = fleet.members;
    if (!victim) throw new Error("a fleet of none");
    const agents = startAgents(fleet.members, { thinkMs: 50 });
    await agents.admitted(60);
    await victim.kill();
    const rest = startAgents(others, {});
    await rest.done;
    await agents.stop();
    const books = { ...rest.books, entries: [...agents.books.entries, ...rest.books.entries] };
    const { most, surely } = audit(books, BUDGET, Infinity);
    expect(most).toBeLessThanOrEqual(BUDGET);
    let [ledger] = await fleet.ledgers("acme");
    while (ledger?.quarantined === 0) {
      await passed(1_000);
      startAgents(others, { patienceMs: 1, least: 1, greatest: 1 }); // somebody who asks
      [ledger] = await fleet.ledgers("acme");
    }
    const quarantined = ledger?.quarantined ?? 0;
    console.log(`surely ${surely}, ${quarantined} in quarantine, of ${BUDGET}`);
    expect(quarantined).toBeGreaterThan(0);
    expect(quarantined).toBeLessThanOrEqual(BUDGET / 2);
    const dead = ledger?.holders.filter(({ state }) => state === "dead") ?? [];
    expect(dead.map(({ label }) => label)).toEqual([victim.name]);

    const words = ["ledger", "resolve", "--tenant", "acme"];
    const asked = await fleet.command(...words);
    expect([asked.status, asked.stdout.includes("Nothing was changed")]).toEqual([3, true]);
    expect((await fleet.ledgers("acme"))[0]?.quarantined).toBe(quarantined);
    const done = await fleet.command(...words, "--yes");
    expect(done.status).toBe(0);
    expect(done.stderr).toContain('"msg":"ledger resolve"');
    expect((await fleet.ledgers("acme"))[0]).toMatchObject({ quarantined: 0 });
    const after = startAgents(others, {});
    await after.done;
    const used = after.books.charged;
    console.log(`${used} of ${quarantined} were spent after that`);
    expect(used).toBeGreaterThan(0.9 * quarantined);
    expect(used).toBeLessThanOrEqual(BUDGET - (ledger?.spent ?? 0));

    const reset = ["ledger", "reset", "--tenant", "acme", "--limit", "month", "--yes"];
    expect((await fleet.command(...reset)).status).toBe(0);
    const again = startAgents(others, { forMs: 3_000 });
    await again.done;
    expect(again.books.charged).toBeGreaterThan(0);
  },
  TIME,
);

test(
  "a sidecar that stands still for longer than its lease: no slot twice, no rate above an ideal bucket (ST3)",
  async () => {
    await start();
    const [victim, ...others] = fleet.members;
    if (!victim) throw new Error("a fleet of none");
    const slots = startAgents(fleet.members, {
      ...{ tenant: "slotted", way: "hold", meter: "", holdMs: 400, patienceMs: 60_000 },
    });
    const rates = startAgents(fleet.members, {
      ...{
        tenant: "rated",
        way: "consume",
        least: 1,
        greatest: 9,
        patienceMs: 60_000,
        thinkMs: 20,
      },
    });
    await Promise.all([slots.admitted(60), rates.admitted(100)]);
    victim.pause();
    const pausedAt = machineTime();
    await passed(LEASE_OVER);
    const open = rates.books.admissions.length;
    await rates.admitted(20);
    expect(rates.books.admissions.length).toBeGreaterThan(open);
    victim.resume();
    console.log(`stood still for ${(machineTime() - pausedAt).toFixed()} ms`);
    await Promise.all([slots.admitted(60), rates.admitted(100)]);
    await Promise.all([slots.stop(), rates.stop()]);
    const { most, perhaps } = audit(slots.books, SLOTS, Infinity);
    const worst = overdraft(rates.books, RATE);
    console.log(`at most ${most} of ${SLOTS} slots, ${worst.toFixed()} above an ideal bucket`);
    expect(most).toBeLessThanOrEqual(SLOTS);
    expect(perhaps).toBe(0);
    expect(worst).toBeLessThanOrEqual(0);
    expect(others.length).toBe(2);
  },
  TIME,
);
