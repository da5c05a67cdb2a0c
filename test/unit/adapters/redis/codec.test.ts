import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeHint,
  decodeSync,
  encodeSync,
  encodeViews,
} from "../../../../src/adapters/redis/codec.ts";
import { hashSlot } from "../../../../src/adapters/redis/hash-slot.ts";
import {
  decodeKey,
  decodeText,
  encodeKey,
  encodeText,
  keyOf,
  shardOf,
  SHARDS,
  tagOf,
} from "../../../../src/adapters/redis/keys.ts";
import { counterexample } from "../../../support/counterexample.ts";
import { aLedgerSpec } from "../../../support/ledgers.ts";
import { aSyncBlock, aSyncMessage } from "../../../support/shard-player.ts";

const options = { tag: "{q7}", publish: "PUBLISH", clock: "", historyId: "" } as const;

describe("names in Redis", () => {
  test("KN1: a key can be read, and read back", () => {
    expect(encodeKey("acme\0tokens/in\0é {x}\x002026-11-21T10:05")).toBe(
      "acme/tokens%2Fin/%C3%A9%20%7Bx%7D/2026-11-21T10:05",
    );
  });

  test("KN1: whatever callers put into it, different keys stay different", () => {
    const part = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 8 }),
      fc.constantFrom("/", "%2F", "%", "", "}", "{q1}", "__proto__", " "),
    );
    const key = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("\0"));
    const found = counterexample(fc.tuple(key, key), ([a, b]) => {
      if (decodeKey(encodeKey(a)) !== a) throw new Error("not read back");
      if (a !== b && encodeKey(a) === encodeKey(b)) throw new Error("the same");
      if (!/^[A-Za-z0-9_.@:=%/-]*$/.test(encodeKey(a))) throw new Error("unsafe");
      if (decodeText(encodeText(a)) !== a) throw new Error("text not read back");
    });
    expect(found).toBe("");
  });

  test("KN2: all keys of a tenant are in one slot, whatever is in them", () => {
    const { keys } = encodeSync(
      aSyncMessage([
        aSyncBlock({ spec: aLedgerSpec({ key: "acme\0a\0{q9}\0-" }) }),
        aSyncBlock({ spec: aLedgerSpec({ key: "acme\0b\0\0n", family: "acme\0b\0" }) }),
      ]),
      options,
    );
    expect(keys).toEqual([
      "{q7}:m",
      ...["{q7}:L:acme/a/%7Bq9%7D/-", "{q7}:X:acme/a/%7Bq9%7D/-", "{q7}:L:acme/a/%7Bq9%7D/-"],
      ...["{q7}:L:acme/b//n", "{q7}:X:acme/b//n", "{q7}:F:acme/b/"],
    ]);
    expect(new Set([...keys, options.tag].map(hashSlot)).size).toBe(1);
    expect(encodeViews("{q7}", ["acme\0a\0-"], "").keys).toEqual([
      "{q7}:L:acme/a/-",
      "{q7}:F:acme/a",
    ]);
  });

  test("KN2: tenants are spread evenly over the shards, each for ever in its own", () => {
    expect([shardOf("acme"), shardOf("/platform"), shardOf("")]).toEqual([82, 319, 217]);
    const counts = new Map<number, number>();
    for (let n = 0; n < 100 * SHARDS; n++) {
      const shard = shardOf(`tenant-${n}`);
      counts.set(shard, (counts.get(shard) ?? 0) + 1);
    }
    expect(counts.size).toBe(SHARDS);
    expect(Math.max(...counts.values())).toBeLessThan(200);
    expect(Math.min(...counts.values())).toBeGreaterThan(40);
    expect(keyOf(tagOf(82), "L", "a")).toBe("{q82}:L:a");
  });
});

describe("what is heard from Redis", () => {
  test("a hint names the ledger as the holder knows it", () => {
    expect(decodeHint("W acme/a%2Fb/- 0199 17")).toEqual({
      kind: "wake",
      key: "acme\0a/b\0-",
      holder: "0199",
      units: 17,
    });
    expect(decodeHint("W acme/-  17")).toMatchObject({ key: "acme\0-", holder: "", units: 17 });
    expect(decodeHint("R acme/- 2 9007199254740991")).toEqual({
      kind: "recall",
      key: "acme\0-",
      level: 2,
      units: 9_007_199_254_740_991,
    });
  });

  test.each(["", "W", "X a b 1", "R a 3 1", "W a b", "W a b -1", "R a 1 1e999"])(
    "%j is no hint of this version, and is left alone",
    (text) => {
      expect(decodeHint(text)).toBeUndefined();
    },
  );

  test.each([["OK"], [["great", "1", "1"]], [["ok", "1", "1", "ok|1"]]])(
    "%j is no answer of the script",
    (reply) => {
      expect(() => decodeSync(aSyncMessage([aSyncBlock()]), reply, true)).toThrow("the store");
    },
  );

  test("a refusal has no blocks", () => {
    const reply = decodeSync(aSyncMessage([aSyncBlock()]), ["stale", "5", "0"], false);
    expect(reply).toEqual({ status: "stale", now: 5, fence: 0, confirmed: false, blocks: [] });
  });
});
