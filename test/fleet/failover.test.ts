/** A store of several servers: failover by Sentinel, and in a Cluster failover and a slot that moves, under load. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { shardOf, tagOf } from "../../src/adapters/redis/keys.ts";
import { endure, ENDURED_POLICY, type Ordeal } from "../support/endurance.ts";
import { startFleet, type Fleet } from "../support/fleet-sidecars.ts";
import { noRedis, redisCli } from "../support/redis-client.ts";
import { startRedisCluster, type RedisCluster } from "../support/redis-cluster.ts";
import type { RedisServer } from "../support/redis-server.ts";
import { startRedisSet } from "../support/redis-set.ts";
import { until } from "../support/until.ts";

/** Sentinels, and nodes of the Cluster, take a few seconds of their own to agree. */
const PROMISED = 25_000;
/** A key of the tenant's shard. */
const KEY = `${tagOf(shardOf("acme"))}:m`;

let fleet: Fleet | undefined;
let servers: { stop(): Promise<void> } | undefined;

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));
afterEach(async () => {
  await fleet?.close();
  await servers?.stop();
});

async function survive(
  url: string,
  confirm: string,
  ordeal: Pick<Ordeal, "lose" | "restore">,
): Promise<void> {
  const args = ["--drain-timeout", "30s", "--confirm", confirm];
  fleet = await startFleet({ policy: ENDURED_POLICY, store: url, args });
  const { charged } = await endure(fleet, { ...ordeal, isShort: true, promisedMs: PROMISED });
  expect(charged).toBeGreaterThan(0);
}

test.for(["auto", "strict"])(
  "Sentinels promote a replica of a primary that was killed, --confirm %s",
  { timeout: 600_000 },
  async (confirm) => {
    const set = await startRedisSet();
    servers = set;
    const before = await set.primaryPort();
    await survive(set.url, confirm, {
      lose: async () => set.servers.find(({ port }) => port === before)?.kill(),
      restore: () => until(async () => (await set.primaryPort()) !== before),
    });
    expect(fleet?.members.length).toBe(3);
  },
);

interface Ends {
  readonly from: RedisServer;
  readonly replica: RedisServer;
  readonly other: RedisServer;
  readonly slot: string;
}

/** The server that has the tenant's shard, its replica, and another primary. */
async function endsOf(cluster: RedisCluster): Promise<Ends> {
  const from = await cluster.ownerOf(KEY);
  const nodes = (await redisCli(from.port, "CLUSTER", "NODES")).split("\n");
  const own = await redisCli(from.port, "CLUSTER", "MYID");
  const at = (line: string | undefined): RedisServer => {
    const port = Number(/:(\d+)@/.exec(line ?? "")?.[1]);
    const server = cluster.servers.find((each) => each.port === port);
    if (!server) throw new Error(`no such server:\n${nodes.join("\n")}`);
    return server;
  };
  return {
    from,
    replica: at(nodes.find((line) => line.includes("slave") && line.includes(own))),
    other: at(nodes.find((line) => line.includes("master") && !line.startsWith(own))),
    slot: await redisCli(from.port, "CLUSTER", "KEYSLOT", KEY),
  };
}

test("CLUSTER FAILOVER of the server that has the shard", { timeout: 600_000 }, async () => {
  const cluster = await startRedisCluster();
  servers = cluster;
  const { from, replica } = await endsOf(cluster);
  const lose = async (): Promise<void> => {
    await redisCli(replica.port, "CLUSTER", "FAILOVER");
    await until(async () => (await cluster.ownerOf(KEY)) !== from);
  };
  await survive(cluster.url, "auto", { lose });
  expect(await cluster.ownerOf(KEY)).toBe(replica);
});

test("the shard's slot moves to another server, key by key", { timeout: 600_000 }, async () => {
  const cluster = await startRedisCluster();
  servers = cluster;
  const { from, other, slot } = await endsOf(cluster);
  const idOf = ({ port }: RedisServer): Promise<string> => redisCli(port, "CLUSTER", "MYID");
  const lose = async (): Promise<void> => {
    const [source, target] = [await idOf(from), await idOf(other)];
    await redisCli(other.port, "CLUSTER", "SETSLOT", slot, "IMPORTING", source);
    await redisCli(from.port, "CLUSTER", "SETSLOT", slot, "MIGRATING", target);
    for (;;) {
      const key = await redisCli(from.port, "CLUSTER", "GETKEYSINSLOT", slot, "1");
      if (key === "") break;
      await redisCli(from.port, "MIGRATE", "127.0.0.1", `${other.port}`, key, "0", "5000");
      await new Promise((resolve) => setTimeout(resolve, 300)); // half of it here, half there
    }
    await redisCli(other.port, "CLUSTER", "SETSLOT", slot, "NODE", target);
    await redisCli(from.port, "CLUSTER", "SETSLOT", slot, "NODE", target);
  };
  await survive(cluster.url, "auto", { lose });
  expect(await cluster.ownerOf(KEY)).toBe(other);
});
