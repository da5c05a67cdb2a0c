import { expect, test } from "vitest";
import { inspect } from "../../../../src/adapters/redis/inspection.ts";
import type { Link, Outcome } from "../../../../src/adapters/redis/link.ts";
import type { StoreKind } from "../../../../src/adapters/redis/store-url.ts";

const FIT = {
  redis_version: "7.0.15",
  role: "master",
  master_replid: "a".repeat(40),
  maxmemory_policy: "noeviction",
  cluster_enabled: "0",
};

/** What is said of a server that tells these fields of itself. */
async function findingsOf(
  fields: Readonly<Record<string, string | undefined>>,
  kind: StoreKind = "single",
  fencing = true,
): Promise<readonly string[]> {
  const told = Object.entries({ ...FIT, ...fields }).filter(([, value]) => value !== undefined);
  const text = told.map(([name, value]) => `${name}:${value}`).join("\r\n");
  const link = {
    run: (): Promise<readonly Outcome[]> =>
      Promise.resolve([
        { kind: "reply", reply: [] },
        { kind: "reply", reply: 0 },
      ]),
  } as unknown as Link;
  const inspection = await inspect(
    link,
    { kind: "reply", reply: text },
    { kind, fencing, probeKey: "{q0}:probe" },
  );
  return (inspection?.findings ?? []).map((finding) => finding.text);
}

test.each([
  [{}],
  [{ redis_version: "6.2.0" }],
  [{ redis_version: "7.2.4", valkey_version: "8.1.0" }],
  [{ redis_version: "10.0.1" }],
])("%o is fit", async (fields) => {
  expect(await findingsOf(fields)).toEqual([]);
});

test.each([
  ["899", "1000", []],
  ["900", "1000", [expect.stringContaining("its memory is used to 90 % of maxmemory")]],
  ["2000", "1000", [expect.stringContaining("200 %")]],
  ["2000", "0", []],
])("%s bytes used of %s, without eviction: %j", async (used_memory, maxmemory, says) => {
  expect(await findingsOf({ used_memory, maxmemory })).toEqual(says);
});

test.each<[object, StoreKind, string]>([
  [{ redis_version: "6.0.16" }, "single", "it is version 6.0.16: Redis 6.2 or newer, or Valkey"],
  [{ redis_version: undefined }, "single", "it is version unknown"],
  [{ maxmemory_policy: "volatile-lru" }, "single", "maxmemory-policy is volatile-lru"],
  [{ cluster_enabled: "1" }, "single", "it is a node of a Cluster: write --store redis+cluster"],
  [{}, "cluster", "it is no node of a Cluster: write --store redis://"],
  [
    { role: "slave", master_host: "h", master_port: "7" },
    "single",
    "it is a read-only replica of h:7",
  ],
  [{ master_replid: undefined }, "single", "it hides master_replid"],
])("%o behind a %s address is refused: %s", async (fields, kind, says) => {
  const [first = "", ...more] = await findingsOf({ ...fields }, kind);
  expect(first).toContain(says);
  expect(more).toEqual([]);
});

test("--store-fencing none does without master_replid", async () => {
  expect(await findingsOf({ master_replid: undefined }, "single", false)).toEqual([]);
});
