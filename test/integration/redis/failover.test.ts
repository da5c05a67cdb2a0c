/** A primary with two replicas and three Sentinels: what is confirmed, and what follows when another takes over. */
import { afterAll, beforeEach, expect, test } from "vitest";
import { noRedis, redisCli } from "../../support/redis-client.ts";
import { startRedisSet, type RedisSet } from "../../support/redis-set.ts";
import {
  useStore,
  type StoreUser,
  type StoreUserOptions,
} from "../../support/shared-store-user.ts";
import { eventually } from "../../support/eventually.ts";

let set: RedisSet | undefined;
beforeEach(async ({ skip }) => {
  skip(noRedis !== undefined, noRedis);
  set ??= await startRedisSet();
});
afterAll(() => set?.stop());

const setNow = (): RedisSet => {
  if (set === undefined) throw new Error("the set did not start");
  return set;
};

interface Ending {
  onTestFinished(end: () => Promise<void>): void;
}

function use({ onTestFinished }: Ending, url: string, options?: StoreUserOptions): StoreUser {
  const user = useStore(url, options);
  onTestFinished(() => user.close());
  return user;
}

test("CL1: a grant that too few replicas have is not confirmed, and nobody else waits for it (CL2)", async (ending) => {
  const { url, servers } = setNow();
  const user = use(ending, url);
  await user.hears("up");
  expect(await user.get(10)).toMatchObject({ confirmed: true });
  const [, first, second] = servers;
  first?.pause();
  expect(await user.ask(1)).toMatchObject({ status: "ok", confirmed: true });
  second?.pause();
  const asked = user.ask(1);
  const looked = user.store.status();
  const views = await new Promise((resolve) => user.store.read("acme", [], resolve));
  expect({ looked, views }).toEqual({ looked: { isUp: true, cause: "" }, views: [] });
  expect(await asked).toMatchObject({ status: "ok", confirmed: false });
  first?.resume();
  second?.resume();
  await eventually(async () => {
    const reply = await user.ask(0);
    return !("fault" in reply) && reply.confirmed;
  });
});

test("CL1: each batch has a WAIT right behind it, on the connection of its scripts", async (ending) => {
  const { url, servers } = setNow();
  const user = use(ending, url);
  await user.hears("up");
  await user.ask(0);
  const port = servers[0]?.port ?? 0;
  await redisCli(port, "CONFIG", "RESETSTAT");
  await Promise.all([user.ask(0), user.ask(0), user.ask(0)]);
  await user.ask(0);
  const stats = await redisCli(port, "INFO", "commandstats");
  expect(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1]).toBe("4");
  expect(/cmdstat_wait:calls=(\d+)/.exec(stats)?.[1]).toBe("2");
  // What was last said on the connection of scripts is a WAIT, never a script.
  const clients = await redisCli(port, "CLIENT", "LIST", "TYPE", "normal");
  expect(clients).toMatch(/name=imprest:test .* cmd=wait /);
  expect(clients).not.toContain("cmd=evalsha");
});

test("RS3: after a failover by Sentinel the new primary is found, and told to be another data set", async (ending) => {
  const { url, servers, primaryPort } = setNow();
  const user = use(ending, url);
  await user.hears("up");
  const before = await primaryPort();
  const old = servers.find(({ port }) => port === before);
  await old?.kill();
  const began = performance.now();
  await user.hears("down");
  await user.hears("up", 2);
  expect(user.told).toContain("changed");
  expect(await primaryPort()).not.toBe(before);
  const reply = await user.ask(1);
  expect(reply).toMatchObject({ status: "ok" });
  // The survivor may lack what the lost one had granted: it listens before it grants.
  expect("fault" in reply ? 0 : reply.blocks[0]?.learningMs).toBeGreaterThan(5_000);
  expect(performance.now() - began).toBeLessThan(15_000);
});
