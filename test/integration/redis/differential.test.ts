/**
 * The scripts, on a real server, against the reference: the same random messages to both, and after each of them the
 * answers, the hints and the whole state are the same. Faults are part of it: clocks that step, histories that
 * change, data that is lost or rolled back, whole or one ledger of it.
 *
 *   DIFF_OPS=20000 DIFF_SEED=7   a long run
 */
import assert from "node:assert/strict";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { familyOf } from "../../../src/core/lease/family.ts";
import { isOpened, type Sight } from "../../../src/core/lease/ledger.ts";
import { list, read } from "../../../src/core/lease/inspect.ts";
import { reset, resolve } from "../../../src/core/lease/operate.ts";
import type { Hint } from "../../../src/core/lease/message.ts";
import { birth, createShard, sync, type Shard } from "../../../src/core/lease/shard.ts";
import { NEVER, type SharedLedger } from "../../../src/core/lease/shared-ledger.ts";
import { createRandomFleet } from "../../support/random-fleet.ts";
import { noRedis } from "../../support/redis-client.ts";
import { startRedis, type RedisServer } from "../../support/redis-server.ts";
import {
  openRedisShard,
  type RedisShard,
  type RedisState,
  type Saved,
} from "../../support/redis-shard.ts";
import { createSeededRng } from "../../support/seeded-rng.ts";
import { checkShard } from "../../support/shard-check.ts";

const OPS = Number(process.env["DIFF_OPS"] ?? 400);
const SEED = Number(process.env["DIFF_SEED"] ?? 1);
/** Later than the server's own clock, by which it forgets keys. */
const START = 2e12;

vi.setConfig({ testTimeout: 30_000 + 50 * OPS });

let server: RedisServer | undefined;
beforeAll(async () => {
  if (noRedis === undefined) server = await startRedis();
});
beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));
afterAll(() => server?.stop());

/** What the server has, in the words of the reference; of what is over neither says anything. */
function stateOf(shard: Shard, keys: readonly string[], now: number): unknown {
  const lives = ({ lifeEnd }: { lifeEnd: number }): boolean => lifeEnd > now;
  const families = keys.map(familyOf);
  const ledgers = Array.from(shard.ledgers).filter(
    ([key, ledger]) => keys.includes(key) && lives(ledger),
  );
  return {
    meta: shard.meta,
    ledgers: new Map(ledgers.map(([key, ledger]) => [key, writtenOf(ledger)])),
    families: new Map(
      Array.from(shard.families)
        .filter(([id, family]) => families.includes(id) && lives(family))
        .map(([id, { members, since, lifeEnd }]) => {
          const lines = members.map(
            ({ spec, settled, owed, carried, lostCarried, lifeEnd: end, awaitedUntil }) =>
              [
                ...[`=${spec.key.slice(spec.key.lastIndexOf("\0") + 1)}`, spec.start, spec.end],
                ...[spec.capacity, spec.overdraft, spec.rollover, spec.carryDebt ? 1 : 0],
                ...[settled, owed, carried, lostCarried, end, awaitedUntil],
              ].join("|"),
          );
          return [id, { line: [since, lifeEnd, ...lines].join(";"), expires: lifeEnd }];
        }),
    ),
  };
}

const writtenOf = (ledger: SharedLedger): unknown => ({
  ledger: { ...ledger, spec: { ...ledger.spec, family: "" } },
  index: new Map(
    Array.from(ledger.records, ([id, { expiresAt }]) => [id, expiresAt] as const).filter(
      ([, expiresAt]) => expiresAt < NEVER,
    ),
  ),
  expires: [ledger.lifeEnd, ledger.lifeEnd],
});

/** Of a period that nobody has opened: what the one before it counts with. */
function seenOf(sight: Sight): unknown {
  if (!sight || isOpened(sight)) return sight;
  const { spec, ...sums } = sight.before;
  const { capacity, overdraft, rollover, carryDebt, start, end } = spec;
  return { ...sums, spec: { capacity, overdraft, rollover, carryDebt, start, end } };
}

function heardOf({ meta, ledgers, families }: RedisState, now: number): unknown {
  const number = (field: string): number => Number(meta.get(field));
  return {
    meta:
      meta.size === 0
        ? undefined
        : {
            historyId: meta.get("history"),
            fence: number("fence"),
            learningUntil: number("learning_until"),
            latest: number("latest"),
            mayEndEarly: number("may_end_early") === 1,
          },
    ledgers: new Map(
      Array.from(ledgers)
        .filter(([, { ledger }]) => ledger.lifeEnd > now)
        .map(([key, { ledger, index, expires }]) => [
          key,
          // Without a holder that may lapse there is no index.
          { ledger, index, expires: index.size > 0 ? expires : [expires[0], expires[0]] },
        ]),
    ),
    families: new Map(Array.from(families).filter(([, { expires }]) => expires > now)),
  };
}

test(`${OPS} random messages: Redis answers, hints and keeps what the reference does`, async () => {
  const redis: RedisShard = await openRedisShard(server?.port ?? 0);
  const rng = createSeededRng(SEED);
  const fleet = createRandomFleet(rng);
  const counts = new Map<string, number>();
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  const saved: { readonly shard: Shard; readonly keys: Saved }[] = [];
  let shard = createShard();
  let now = START;
  let historyId = "r0";

  function time(): void {
    now += rng.chance(0.01) ? rng.below(4_000) : rng.below(150);
    if (rng.chance(0.01)) now -= rng.below(1_500);
    if (rng.chance(0.002)) now += rng.pick([70_000, -70_000, 3_700_000]);
  }

  async function fault(op: number): Promise<void> {
    if (rng.chance(0.003)) historyId = `r${op}`;
    if (rng.chance(0.01)) saved.push({ shard: structuredClone(shard), keys: await redis.save() });
    if (saved.length > 10) saved.shift();
    if (saved.length > 0 && rng.chance(0.002)) {
      const { shard: old, keys } = rng.pick(saved);
      shard = structuredClone(old);
      await redis.load(keys);
      count("rolled back");
    }
    if (saved.length > 0 && rng.chance(0.002)) {
      const { shard: old, keys } = rng.pick(saved);
      const key = rng.pick(fleet.keys);
      const ledger = old.ledgers.get(key);
      if (ledger) shard.ledgers.set(key, structuredClone(ledger));
      else shard.ledgers.delete(key);
      await redis.load(keys, key);
      count("one rolled back");
    }
    if (rng.chance(0.001)) {
      shard = createShard();
      await redis.load(new Map());
      count("lost");
      if (rng.chance(0.5)) {
        birth(shard, 500, { now, historyId });
        await redis.birth(500, { now, historyId });
      }
    }
  }

  async function operate(): Promise<void> {
    if (rng.chance(0.01)) {
      const views = read(shard, fleet.keys, now);
      assert.deepEqual((await redis.read(fleet.keys, now)).map(seenOf), views.map(seenOf), "views");
      if (views.some((view) => view && !isOpened(view))) count("seen before it was opened");
    }
    const key = rng.pick(fleet.keys);
    if (rng.chance(0.004)) {
      const dead = list(shard, now)
        .filter((one) => one.key === key)
        .flatMap(({ holders }) => holders.filter(({ state }) => state === "expired"));
      const one = dead.length > 0 && rng.chance(0.5) ? rng.pick(dead).id : undefined;
      const resolved = resolve(shard, key, one, now);
      assert.deepEqual(await redis.operate(key, "resolve", one ?? "", now), resolved, "resolved");
      if (resolved && resolved.units > 0) note("resolved", resolved.hints);
    }
    if (rng.chance(0.002)) {
      const expected = reset(shard, key, now);
      assert.deepEqual(await redis.operate(key, "reset", "", now), expected, "reset");
      if (expected) note("reset", expected.hints);
    }
  }

  function note(what: string, hints: readonly Hint[]): void {
    count(what);
    if (hints.length > 0) count(`woken by ${what}`);
  }

  for (let op = 0; op < OPS; op++) {
    time();
    await fault(op);
    await operate();
    const env = { now, historyId };
    const message = fleet.message(now);
    const told = `op ${op} of seed ${SEED}: ${JSON.stringify(message)}`;
    const expected = sync(shard, message, env);
    checkShard(shard);
    const found = await redis.sync(message, env);
    assert.deepEqual(found, expected, told);
    // A script changes no keys but those that it was given; now and then all are looked at.
    const keys = op % 50 === 0 ? fleet.keys : message.blocks.map(({ spec }) => spec.key);
    assert.deepEqual(heardOf(await redis.state(keys), now), stateOf(shard, keys, now), told);
    fleet.hear(message, found.reply);
    count(found.reply.status);
    for (const block of found.reply.blocks) {
      if (block.status !== "ok") count(`block ${block.status}`);
      if (block.grant > 0) count(block.toMs > 0 ? "booked" : "granted");
      if (block.freesMs >= 0) count("comes free");
      if (block.learningMs > 0) count("learning");
    }
    for (const { kind, key } of found.hints) {
      count(message.blocks.some(({ spec }) => spec.key === key) ? kind : `${kind} elsewhere`);
    }
  }
  redis.close();
  if (OPS > 1_000) console.log(SEED, Object.fromEntries(counts));
  expect(counts.get("granted")).toBeGreaterThan(OPS / 20);
});
