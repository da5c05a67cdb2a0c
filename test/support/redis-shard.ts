/** One shard in a real Redis, run by hooks: its clock and its history are what a test says. */
import { Redis } from "ioredis";
import {
  decodeHint,
  encodeBirth,
  encodeSync,
  encodeOperation,
  encodeViews,
  decodeOperation,
  decodeSync,
  decodeViews,
  SCRIPTS,
  type ScriptWords,
} from "../../src/adapters/redis/codec.ts";
import { keyOf, metaKey } from "../../src/adapters/redis/keys.ts";
import { readLedger } from "../../src/adapters/redis/written-ledger.ts";
import type { Sight } from "../../src/core/lease/ledger.ts";
import { familyOf } from "../../src/core/lease/family.ts";
import type { Hint, SyncMessage, SyncReply } from "../../src/core/lease/message.ts";
import type { Operated } from "../../src/core/lease/operate.ts";
import type { StoreEnv } from "../../src/core/lease/shard.ts";
import type { SharedLedger } from "../../src/core/lease/shared-ledger.ts";
import { MAX_UNITS } from "../../src/core/units.ts";

const TAG = "{q1}";

/** All that is in the keys, in one look. */
const LOOK = `
local things = {}
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  local words = {}
  if kind == 'hash' then words = redis.call('HGETALL', key) end
  if kind == 'zset' then words = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end
  things[i] = { words, string.format('%.0f', redis.call('PEXPIRETIME', key)) }
end
return things
`;

/** As words: the client reads an integer of 16 digits as the next even one. */
type Thing = readonly [words: readonly string[], expires: string];
const NOTHING: Thing = [[], "-1"];

function pairs(words: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (let i = 0; i < words.length; i += 2) found.set(words[i] ?? "", words[i + 1] ?? "");
  return found;
}

export interface RedisShard {
  sync(message: SyncMessage, env: StoreEnv): Promise<{ reply: SyncReply; hints: readonly Hint[] }>;
  birth(learnMs: number, env: StoreEnv): Promise<void>;
  read(keys: readonly string[], now: number): Promise<Sight[]>;
  operate(
    key: string,
    op: "resolve" | "reset",
    holder: string,
    now: number,
  ): Promise<Operated | undefined>;
  /** All of it, as it is written down. */
  state(keys: readonly string[]): Promise<RedisState>;
  /** A copy of all keys, or of one ledger; puts it back in place of what is there. */
  save(): Promise<Saved>;
  load(saved: Saved, key?: string): Promise<void>;
  close(): void;
}

export interface RedisState {
  readonly meta: ReadonlyMap<string, string>;
  readonly ledgers: ReadonlyMap<string, WrittenLedger>;
  /** Of each family what it is written as. */
  readonly families: ReadonlyMap<string, { readonly line: string; readonly expires: number }>;
}

export interface WrittenLedger {
  readonly ledger: SharedLedger;
  readonly index: ReadonlyMap<string, number>;
  /** When the ledger and its index go. */
  readonly expires: readonly number[];
}

export type Saved = ReadonlyMap<string, { readonly dump: Buffer; readonly expires: number }>;

export async function openRedisShard(port: number): Promise<RedisShard> {
  const redis = new Redis(port);
  const ear = new Redis(port);
  const heard: Hint[] = [];
  await ear.subscribe(TAG);
  ear.on("message", (_: string, text: string) => {
    const hint = decodeHint(text);
    if (!hint) throw new Error(`published: ${text}`);
    heard.push(hint);
  });
  for (const { source } of Object.values(SCRIPTS)) await redis.script("LOAD", source);
  const run = ({ script, keys, args }: ScriptWords): Promise<unknown> =>
    redis.evalsha(script.sha, keys.length, ...keys, ...args);
  const hooksOf = ({ now, historyId }: StoreEnv): { clock: string; historyId: string } => ({
    clock: String(now),
    historyId,
  });

  return {
    async sync(message, env) {
      const words = encodeSync(message, { tag: TAG, publish: "PUBLISH", ...hooksOf(env) });
      const reply = decodeSync(message, await run(words), true);
      await ear.ping(); // what was published before has arrived now
      return { reply, hints: heard.splice(0) };
    },
    async birth(learnMs, env) {
      await run(encodeBirth(TAG, learnMs, hooksOf(env)));
    },
    read: async (keys, now) => decodeViews(keys, await run(encodeViews(TAG, keys, String(now)))),
    async operate(key, op, holder, now) {
      const options = { tag: TAG, publish: "PUBLISH", clock: String(now) } as const;
      const units = decodeOperation(await run(encodeOperation(key, { op, holder }, options)));
      await ear.ping();
      const hints = heard.splice(0);
      return units === undefined ? undefined : { units, hints };
    },
    async state(keys) {
      const families = [...new Set(keys.map(familyOf))];
      const names = keys.flatMap((key) => [keyOf(TAG, "L", key), keyOf(TAG, "X", key)]);
      const ends = families.map((id) => keyOf(TAG, "F", id));
      const all = [metaKey(TAG), ...names, ...ends];
      const things = (await redis.eval(LOOK, all.length, ...all)) as Thing[];
      const [meta = NOTHING, ...rest] = things;
      const ledgers = new Map<string, WrittenLedger>();
      for (const [i, key] of keys.entries()) {
        const [[hash, expires] = NOTHING, [index, indexExpires] = NOTHING] = rest.slice(2 * i);
        if (hash.length === 0) continue;
        const entries = Array.from(pairs(index), ([id, at]) => [id, Number(at)] as const);
        ledgers.set(key, {
          ledger: readLedger(key, pairs(hash)),
          index: new Map(entries),
          expires: [Number(expires), Number(indexExpires)],
        });
      }
      const lines = new Map<string, { line: string; expires: number }>();
      for (const [i, id] of families.entries()) {
        const [hash, expires] = rest[2 * keys.length + i] ?? NOTHING;
        const line = pairs(hash).get("m");
        if (line !== undefined) lines.set(id, { line, expires: Number(expires) });
      }
      return { meta: pairs(meta[0]), ledgers, families: lines };
    },
    async save() {
      const keys = await redis.keys("*");
      const copies = await Promise.all(
        keys.map(async (key) => {
          const [dump, expires] = await Promise.all([
            redis.dumpBuffer(key),
            redis.pexpiretime(key),
          ]);
          return [key, { dump, expires: Math.min(expires, MAX_UNITS) }] as const;
        }),
      );
      return new Map(copies);
    },
    async load(saved, key) {
      const only = key === undefined ? [] : [keyOf(TAG, "L", key), keyOf(TAG, "X", key)];
      if (key === undefined) await redis.flushall();
      else await redis.del(...only);
      for (const [name, { dump, expires }] of saved) {
        if (key !== undefined && !only.includes(name)) continue;
        await redis.restore(name, Math.max(0, expires), dump, "ABSTTL");
      }
    },
    close() {
      redis.disconnect();
      ear.disconnect();
    },
  };
}
