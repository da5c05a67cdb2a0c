import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, test } from "vitest";
import { createDial } from "../../../../src/adapters/redis/dial.ts";
import { createLink } from "../../../../src/adapters/redis/link.ts";
import type { StoreUrl } from "../../../../src/adapters/redis/store-url.ts";
import { createRoundTrips } from "../../../../src/adapters/redis/round-trips.ts";
import { freePort } from "../../../support/redis-server.ts";

test("LK1: without a connection each command is lost, in a later turn, with the cause", async () => {
  const url: StoreUrl = {
    ...{ kind: "single", name: "", sentinelLogin: false, username: "", password: "", database: 0 },
    hosts: [{ host: "127.0.0.1", port: await freePort() }],
    tls: undefined,
  };
  const dial = createDial({
    ...{ url, passwordFile: "", label: "a b" },
    rng: { next: () => 0, id: () => "" },
  });
  const lost = Promise.withResolvers<string>();
  const link = createLink({ dial, onLost: lost.resolve });
  const cause = await lost.promise;
  expect(cause).toContain("ECONNREFUSED");
  let isTold = false;
  const outcomes = link
    .run([
      ["GET", "a"],
      ["GET", "b"],
    ])
    .then((all) => {
      isTold = true;
      return all;
    });
  expect(isTold).toBe(false);
  expect(await outcomes).toEqual([
    { kind: "lost", error: cause },
    { kind: "lost", error: cause },
  ]);
  link.close();
});

test("LK2: attempts are never farther apart than 2 s, and not in step", () => {
  const url = { kind: "single", hosts: [{ host: "h", port: 1 }] } as unknown as StoreUrl;
  const dialWith = (next: number) =>
    createDial({ url, passwordFile: "", label: "", rng: { next: () => next, id: () => "" } });
  const waits = [1, 2, 3, 50].map((attempt) => dialWith(0.999_999).backoff(attempt));
  expect(waits).toEqual([50, 100, 200, 2_000]);
  expect(dialWith(0).backoff(50)).toBe(1_000);
});

test("the slowest of many round trips is left out, the next one counts", () => {
  const trips = createRoundTrips();
  expect(trips.p99()).toBe(1);
  for (let i = 0; i < 99; i += 1) trips.note(2);
  trips.note(900);
  expect(trips.p99()).toBe(2);
  trips.note(800);
  trips.note(700);
  expect(trips.p99()).toBe(700);
});

test("LK2: a stream that fails twice, as TLS does, ends nothing", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const url = { kind: "single", hosts: [{ host: "127.0.0.1", port }] } as unknown as StoreUrl;
  const dial = createDial({
    ...{ url, passwordFile: "", label: "" },
    rng: { next: () => 0, id: () => "" },
  });
  const lost: string[] = [];
  const link = createLink({ dial, onLost: (cause) => lost.push(cause) });
  await once(link.redis, "connect");
  link.redis.stream.emit("error", new Error("first"));
  expect(() => link.redis.stream.emit("error", new Error("second"))).not.toThrow();
  expect(lost).toEqual(["first"]);
  link.close();
  server.close();
});
