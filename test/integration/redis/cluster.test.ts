/** A Cluster of three primaries and three replicas: shards are found, followed when they move, and heard. */
import { afterAll, beforeEach, expect, test } from "vitest";
import { hashSlot } from "../../../src/adapters/redis/hash-slot.ts";
import { shardOf, tagOf } from "../../../src/adapters/redis/keys.ts";
import { startRedisCluster, type RedisCluster } from "../../support/redis-cluster.ts";
import { noRedis, redisCli } from "../../support/redis-client.ts";
import {
  useStore,
  type StoreUser,
  type StoreUserOptions,
} from "../../support/shared-store-user.ts";
import { until } from "../../support/until.ts";

let cluster: RedisCluster | undefined;
beforeEach(async ({ skip }) => {
  skip(noRedis !== undefined, noRedis);
  cluster ??= await startRedisCluster();
});
afterAll(() => cluster?.stop());

const now = (): RedisCluster => {
  if (cluster === undefined) throw new Error("the Cluster did not start");
  return cluster;
};

interface Ending {
  onTestFinished(end: () => Promise<void>): void;
}

function use({ onTestFinished }: Ending, options?: StoreUserOptions): StoreUser {
  const user = useStore(now().url, options);
  onTestFinished(() => user.close());
  return user;
}

const isAnswered = (reply: object): boolean => !("fault" in reply);

/** One tenant for each of the primaries. */
async function tenants(): Promise<readonly string[]> {
  const found = new Map<number, string>();
  for (let i = 0; found.size < 3; i += 1) {
    const owner = await now().ownerOf(tagOf(shardOf(`t${i}`)));
    if (!found.has(owner.port)) found.set(owner.port, `t${i}`);
  }
  return [...found.values()];
}

test("the slot of a key is the one that the server computes", async () => {
  const { servers } = now();
  for (const key of ["{q17}:m", "{q1023}", "imprest:id", "a{}b", "{a}{b}", "x{y"]) {
    const told = await redisCli(servers[0]?.port ?? 0, "CLUSTER", "KEYSLOT", key);
    expect(hashSlot(key)).toBe(Number(told));
  }
});

test("each tenant's shard is served by its own primary, and confirmed by its replica", async (ending) => {
  const user = use(ending);
  await user.hears("up");
  for (const uid of await tenants()) {
    expect(await user.get(5, { uid })).toMatchObject({ status: "ok", confirmed: true });
  }
  const sizes = await Promise.all(
    now()
      .servers.slice(0, 3)
      .map(async ({ port }) => Number(await redisCli(port, "DBSIZE"))),
  );
  expect(Math.min(...sizes)).toBeGreaterThan(300);
});

test("hints come over channels that stay within their shard", async (ending) => {
  const [one, other] = [use(ending), use(ending)];
  await Promise.all([one.hears("up"), other.hears("up")]);
  const uid = "hints";
  await one.get(100, { uid });
  await other.ask(0, { uid });
  const { port } = await now().ownerOf(tagOf(shardOf(uid)));
  const channel = tagOf(shardOf(uid));
  await until(async () => (await redisCli(port, "PUBSUB", "SHARDNUMSUB", channel)).endsWith("\n2"));
  await other.ask(30, { uid, waitMs: 10_000 });
  await one.ask(0, { uid, returned: 50 });
  await until(() => other.hints.some(({ kind }) => kind === "wake"));
  expect(other.hints.find(({ kind }) => kind === "wake")).toMatchObject({ units: 30 });
});

test("RT1: a slot that moves under load is followed; nothing that was refused is lost", async (ending) => {
  const user = use(ending);
  await user.hears("up");
  const uid = "mover";
  await user.get(1, { uid });
  const tag = tagOf(shardOf(uid));
  const slot = String(hashSlot(tag));
  const from = await now().ownerOf(tag);
  const to =
    now()
      .servers.slice(0, 3)
      .find(({ port }) => port !== from.port) ?? from;
  const idOf = ({ port }: { readonly port: number }) => redisCli(port, "CLUSTER", "MYID");
  const [fromId, toId] = [await idOf(from), await idOf(to)];
  await redisCli(to.port, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromId);
  await redisCli(from.port, "CLUSTER", "SETSLOT", slot, "MIGRATING", toId);
  const keys = (await redisCli(from.port, "CLUSTER", "GETKEYSINSLOT", slot, "100")).split("\n");
  let isMoving = true;
  const replies: object[] = [];
  const load = (async () => {
    while (isMoving) replies.push(await user.ask(0, { uid }));
  })();
  for (const key of keys) {
    await redisCli(from.port, "MIGRATE", "127.0.0.1", String(to.port), key, "0", "5000");
  }
  // All is there, and nobody has said so yet: the old owner sends who asks to the new one.
  expect(isAnswered(await user.ask(0, { uid }))).toBe(true);
  for (const { port } of [to, from]) {
    await redisCli(port, "CLUSTER", "SETSLOT", slot, "NODE", toId);
  }
  await until(async () => isAnswered(await user.ask(0, { uid })));
  isMoving = false;
  await load;
  expect(replies.filter((reply) => !isAnswered(reply))).toEqual([]);
  await user.hears("changed"); // (CT2)
  expect((await now().ownerOf(tag)).port).toBe(to.port);
});

test("CT1, CT2: a replica that was promoted in place is found, though no connection breaks", async (ending) => {
  const user = use(ending);
  await user.hears("up");
  const [, uid = ""] = await tenants();
  await user.get(1, { uid });
  const tag = tagOf(shardOf(uid));
  const owner = await now().ownerOf(tag);
  const id = await redisCli(owner.port, "CLUSTER", "MYID");
  const nodes = (await redisCli(owner.port, "CLUSTER", "NODES")).split("\n");
  const replica = Number(
    /:(\d+)@/.exec(nodes.find((line) => line.includes(`slave ${id}`)) ?? "")?.[1],
  );
  await redisCli(replica, "CLUSTER", "FAILOVER");
  await user.hears("changed");
  await until(async () => isAnswered(await user.ask(0, { uid })));
  expect((await now().ownerOf(tag)).port).toBe(replica);
  await until(async () => !(await redisCli(owner.port, "CLIENT", "LIST")).includes("imprest:test"));
});

test("a primary that dies leaves the others serving; its replica takes over, and is followed", async (ending) => {
  const user = use(ending);
  await user.hears("up");
  const [uid = ""] = await tenants();
  await user.get(1, { uid });
  const owner = await now().ownerOf(tagOf(shardOf(uid)));
  await owner.kill();
  await until(() =>
    user.lines.some(({ message }) => message.includes("server of the store is lost")),
  );
  expect(user.store.status().cause).toContain(`127.0.0.1:${owner.port}: `);
  await until(async () => isAnswered(await user.ask(0, { uid })));
  await until(() =>
    user.lines.some(({ message }) => message.startsWith("every server of the store")),
  );
  expect(user.told).toContain("changed");
  await owner.restart();
});
