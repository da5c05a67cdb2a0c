/** What only a real server can tell of the scripts. That they do what the reference does is in differential.test.ts. */
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import {
  decodeSync,
  decodeViews,
  encodeSync,
  encodeViews,
  SCRIPTS,
  type ScriptWords,
} from "../../../src/adapters/redis/codec.ts";
import { freshView, type LedgerSpec } from "../../../src/core/lease/ledger.ts";
import type { SyncBlock, SyncMessage, SyncReply } from "../../../src/core/lease/message.ts";
import { aLedgerSpec } from "../../support/ledgers.ts";
import { noRedis } from "../../support/redis-client.ts";
import { startRedis, type RedisServer } from "../../support/redis-server.ts";
import { aSyncBlock, aSyncMessage, leaseId } from "../../support/shard-player.ts";

const FAMILY = "acme\0tokens";
const spec: LedgerSpec = aLedgerSpec({
  key: `${FAMILY}\0now`,
  family: FAMILY,
  rollover: 10,
  start: 1_000,
  end: 1e14,
});
const HOUR = 3_600_000;

let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  if (noRedis !== undefined) return;
  server = await startRedis();
  redis = new Redis(server.port);
});
beforeEach(async ({ skip }) => {
  skip(noRedis !== undefined, noRedis);
  await redis.flushall();
});
afterAll(async () => {
  if (noRedis !== undefined) return;
  redis.disconnect();
  await server.stop();
});

const run = (client: Redis, { script, keys, args }: ScriptWords): Promise<unknown> =>
  client.eval(script.source, keys.length, ...keys, ...args);

const wordsOf = (message: SyncMessage): ScriptWords =>
  encodeSync(message, { tag: "{q1}", publish: "PUBLISH", clock: "", historyId: "" });

async function say(parts: Partial<SyncBlock>, client = redis): Promise<SyncReply> {
  const message = aSyncMessage([aSyncBlock({ spec, lifeMs: HOUR, ...parts })]);
  return decodeSync(message, await run(client, wordsOf(message)), true);
}

test("by itself a script takes the server's clock, and its replication id for the history", async () => {
  const before = Date.now();
  const { now, fence } = await say({});
  expect(now).toBeGreaterThanOrEqual(before);
  expect(now).toBeLessThanOrEqual(Date.now());
  expect(fence).toBe(now);
  const replid = /master_replid:(\w+)/.exec(await redis.info("replication"))?.[1];
  expect(await redis.hget("{q1}:m", "history")).toBe(replid);
});

test("SH6: what belongs to a ledger is forgotten by the server with it; the shard never is", async () => {
  const before = Date.now();
  await say({ want: 5 });
  for (const key of ["{q1}:L:acme/tokens/now", "{q1}:X:acme/tokens/now"]) {
    const ends = before + (await redis.pttl(key));
    expect(Math.abs(ends - (Date.now() + HOUR))).toBeLessThan(5_000);
  }
  expect(await redis.pttl("{q1}:F:acme/tokens")).toBeGreaterThan(HOUR);
  expect(await redis.pttl("{q1}:m")).toBe(-1);
});

test("S31: of a period that nobody has opened the one before is told, also when its ledger is gone", async () => {
  const next: LedgerSpec = {
    ...spec,
    key: `${FAMILY}\0next`,
    carryDebt: true,
    start: spec.end,
    end: 2e14,
  };
  const seen = async (key: string) => {
    const reply = await run(redis, encodeViews("{q1}", [key], ""));
    const [view] = decodeViews([key], reply);
    return view && "before" in view ? freshView(next, 0, view.before) : undefined;
  };
  expect(await seen(next.key)).toBeUndefined();
  await say({ beyond: spec.capacity + 30, spent: spec.capacity + 30, overage: 30 });
  expect(await seen(next.key)).toMatchObject({ available: next.capacity - 30 });
  await redis.del("{q1}:L:acme/tokens/now");
  expect(await seen(next.key)).toMatchObject({ available: next.capacity - 30 });
  expect(await redis.exists("{q1}:L:acme/tokens/next")).toBe(0);
});

test("SH1: a ledger that a later version has written is refused, and left as it is", async () => {
  await say({ want: 5 });
  const key = "{q1}:L:acme/tokens/now";
  const written = (await redis.hget(key, "ledger")) ?? "";
  await redis.hset(key, "ledger", `2|and|other|words|${written}`);
  const dump = await redis.dumpBuffer(key);
  expect(await say({ seq: 2, granted: 5, want: 5 })).toMatchObject({ status: "newer", blocks: [] });
  expect((await redis.dumpBuffer(key)).equals(dump)).toBe(true);
});

test("WT2: a hint that may not be published is lost, and nothing else", async () => {
  await redis.call("ACL", "SETUSER", "mute", "on", "nopass", "~*", "+@all", "resetchannels");
  const mute = new Redis(server.port, { username: "mute", password: "any" });
  await say({ want: 100, need: 100 });
  const refused = await say({ holder: leaseId(2), want: 5, need: 5 }, mute);
  expect(refused.blocks[0]).toMatchObject({ status: "ok", grant: 0 });
  const back = await say({ seq: 2, granted: 100, returned: 100 }, mute);
  expect(back.blocks[0]?.view.available).toBe(100);
  mute.disconnect();
});

test("a message costs as many commands with two hundred holders as with two", async () => {
  const cost = async (): Promise<string> => {
    await redis.config("RESETSTAT");
    await say({ seq: ++seq, want: 1 });
    const stats = await redis.info("commandstats");
    const calls = Array.from(stats.matchAll(/cmdstat_(\w+):calls=(\d+)/g), ([, name, count]) => {
      return `${name} ${count}`;
    });
    return calls
      .filter((call) => !call.startsWith("config"))
      .toSorted()
      .join(", ");
  };
  let seq = 0;
  await say({ seq: ++seq });
  await say({ holder: leaseId(2) });
  const few = await cost();
  for (let n = 3; n <= 200; n++) await say({ holder: leaseId(n), want: 1, demand: 1 });
  expect(await cost()).toBe(few);
  expect(few).toContain("zadd 1");
});

test("EX2: a repetition is written, within a millisecond too: WAIT waits for it (CL1)", async () => {
  const message = aSyncMessage([aSyncBlock({ spec, lifeMs: HOUR, want: 5 })]);
  const clock = String(Date.now());
  const words = encodeSync(message, { tag: "{q1}", publish: "PUBLISH", clock, historyId: "a" });
  const changes = async (): Promise<number> =>
    Number(/rdb_changes_since_last_save:(\d+)/.exec(await redis.info("persistence"))?.[1]);
  await run(redis, words);
  const before = await changes();
  const { blocks } = decodeSync(message, await run(redis, words), true);
  expect(blocks.map(({ status }) => status)).toEqual(["duplicate"]);
  expect(await changes()).toBeGreaterThan(before);
});

test("every script is known by the hash that its server makes of it", async () => {
  for (const { source, sha } of Object.values(SCRIPTS)) {
    expect(await redis.script("LOAD", source)).toBe(sha);
  }
});
