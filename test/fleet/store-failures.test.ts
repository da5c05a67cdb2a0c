/** Everything that can happen to a single Redis, under load, with books kept outside. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { endure, ENDURED_POLICY, type Ordeal } from "../support/endurance.ts";
import { startFleet, type Fleet } from "../support/fleet-sidecars.ts";
import { noRedis, redisCli } from "../support/redis-client.ts";
import { startRedis, type RedisServer } from "../support/redis-server.ts";

let redis: RedisServer;
let fleet: Fleet;

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));
afterEach(async () => {
  await fleet?.close();
  await redis?.stop();
});

const ask = (...words: readonly string[]): Promise<string> => redisCli(redis.port, ...words);

interface Case extends Ordeal {
  readonly name: string;
  readonly redisArgs?: readonly string[];
}

const CASES: readonly Case[] = [
  {
    name: "killed, and back from its append-only file",
    redisArgs: ["--appendonly", "yes", "--appendfsync", "everysec"],
    lose: () => redis.kill(),
    restore: () => redis.restart(),
    promisedMs: 15_000,
  },
  {
    name: "killed, and back empty",
    lose: () => redis.kill(),
    restore: () => redis.restart(),
    promisedMs: 15_000,
  },
  { name: "flushed", lose: () => ask("FLUSHALL"), promisedMs: 15_000 },
  {
    name: "out of memory",
    lose: () => ask("CONFIG", "SET", "maxmemory", "1"),
    restore: () => ask("CONFIG", "SET", "maxmemory", "0"),
    promisedMs: 4_000,
  },
  {
    name: "paused for its clients",
    lose: () => ask("CLIENT", "PAUSE", "20000", "ALL"),
    restore: () => ask("PING"), // is answered when the pause is over; nothing ends it earlier
    promisedMs: 8_000,
  },
  {
    name: "stopped by SIGSTOP",
    lose: () => Promise.resolve(redis.pause()),
    restore: () => Promise.resolve(redis.resume()),
    promisedMs: 8_000,
  },
  {
    name: "made a read-only replica",
    lose: () => ask("REPLICAOF", "127.0.0.1", "1"),
    restore: () => ask("REPLICAOF", "NO", "ONE"),
    promisedMs: 15_000,
  },
];

test.for(CASES)(
  "a Redis that is $name: nothing over, nothing lost, said once, and units again in time",
  { timeout: 600_000 },
  async ({ redisArgs = [], ...ordeal }) => {
    redis = await startRedis({ args: redisArgs });
    const args = ["--drain-timeout", "20s"];
    fleet = await startFleet({ policy: ENDURED_POLICY, store: redis.url, args });
    const books = await endure(fleet, ordeal);
    expect(books.charged).toBeGreaterThan(0);
  },
);
