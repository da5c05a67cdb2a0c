import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeQuota, type FakeQuota } from "../../support/fake-quota.ts";
import { until } from "../../support/until.ts";
import { type QuotaServer, startQuotaServer } from "../../support/quota-server.ts";

const subject = { tenant: "acme" };
const check = { op: { $case: "check", value: { subject } } } as const;
const reserve = { op: { $case: "reserve", value: { subject } } } as const;
const tied = { op: { $case: "reserve", value: { subject, releaseOnDisconnect: true } } } as const;

let quota: FakeQuota;
let service: QuotaServer;
beforeEach(async () => {
  quota = createFakeQuota();
  service = await startQuotaServer(quota);
});
afterEach(() => service.close());

test("T1: each message has one response of its own sequence, its results in their order", async () => {
  const stream = service.client().stream();
  stream.send(2n ** 64n - 1n, [check, {}, reserve]);
  stream.send(0n, [check]);
  const first = await stream.next();
  expect(first.sequence).toBe(2n ** 64n - 1n);
  expect(first.results.map(({ result }) => result?.$case)).toEqual(["check", "error", "reserve"]);
  expect((await stream.next()).sequence).toBe(0n);
});

test("S34: messages are started in the order received, and one that waits holds up none", async () => {
  const stream = service.client().stream();
  quota.hold();
  stream.send(1n, [check]);
  stream.send(2n, [reserve]);
  await quota.whenWaiting(2);
  expect(quota.asked.map(({ op }) => op)).toEqual(["check", "reserve"]);
  quota.letGo();
  expect((await stream.next()).sequence).toBe(1n);
  expect((await stream.next()).sequence).toBe(2n);
});

test("operations inside one message are done in their order: the next waits for the one before", async () => {
  const stream = service.client().stream();
  quota.hold();
  stream.send(1n, [check, reserve]);
  await quota.whenWaiting(1);
  expect(quota.asked).toHaveLength(1);
  quota.letGo();
  await stream.next();
  expect(quota.asked.map(({ op }) => op)).toEqual(["check", "reserve"]);
});

test("S34: a malformed message is answered with `error`, and the stream goes on", async () => {
  const stream = service.client().stream();
  stream.send(1n, []);
  expect((await stream.next()).error).toMatchObject({
    code: status.INVALID_ARGUMENT,
    reason: "BAD_SIZE",
  });
  stream.send(
    1n,
    Array.from({ length: 1001 }, () => check),
  );
  const { results, error } = await stream.next();
  expect(results).toEqual([]);
  expect(error?.reason).toBe("BAD_SIZE");
  expect(quota.asked).toEqual([]);
  stream.send(1n, [check]);
  expect((await stream.next()).error).toBeUndefined();
});

test("S34, T3: a sequence in use is refused; its own message is still answered", async () => {
  const stream = service.client().stream();
  quota.hold();
  stream.send(5n, [check]);
  await quota.whenWaiting(1);
  stream.send(5n, [check]);
  expect((await stream.next()).error?.code).toBe(status.INVALID_ARGUMENT);
  quota.letGo();
  expect((await stream.next()).results).toHaveLength(1);
  expect(quota.asked).toHaveLength(1);
});

test("T4: half-close: every answer, then OK", async () => {
  const stream = service.client().stream();
  quota.hold();
  stream.send(1n, [check]);
  stream.send(2n, [check]);
  stream.halfClose();
  await quota.whenWaiting(2);
  quota.letGo();
  await stream.next();
  await stream.next();
  expect((await stream.ended).code).toBe(status.OK);
});

test("T5: what was reserved with release_on_disconnect ends with the stream, by half-close too", async () => {
  const stream = service.client().stream();
  stream.send(1n, [tied, reserve, tied, tied]);
  await stream.next();
  stream.send(2n, [
    { op: { $case: "commit", value: { reservationId: "r3" } } },
    { op: { $case: "commit", value: { reservationId: "r4", partial: true } } },
  ]);
  await stream.next();
  expect(quota.abandoned).toEqual([]);
  stream.halfClose();
  await stream.ended;
  await quota.whenAbandoned(2);
  expect(quota.abandoned).toEqual(["r1", "r4"]);
});

test("T5: a cancelled stream releases what nobody heard of", async () => {
  const stream = service.client().stream();
  stream.send(1n, [tied]);
  await stream.next();
  quota.hold();
  stream.send(2n, [reserve]);
  stream.send(3n, [tied]);
  await quota.whenWaiting(2);
  stream.cancel();
  await quota.whenAbandoned(1);
  expect(quota.calls.at(-1)?.cancelled?.()).toBe(true);
  quota.letGo();
  await quota.whenAbandoned(3);
  expect(new Set(quota.abandoned)).toEqual(new Set(["r1", "r2", "r3"]));
});

test("T2: a silent reader is read from no further, and is answered in full when it wakes", async () => {
  const stream = service.client().stream();
  stream.raw.pause();
  const operations = Array.from({ length: 1000 }, () => reserve);
  const messages = 100;
  for (let i = 1; i <= messages; i += 1) stream.send(BigInt(i), operations);
  stream.halfClose();
  // The connection is alive, and what is asked on the stream stands still long before all is.
  const client = service.client();
  let seen = -1;
  while (seen !== quota.asked.length) {
    seen = quota.asked.length;
    for (let i = 0; i < 50; i += 1) await client.call("getBalance", { subject });
  }
  // A response is some 20 KiB: thirteen fill the bytes that may wait, and the sockets hold as many again.
  expect(seen).toBeLessThan(50 * operations.length);
  stream.raw.resume();
  for (let i = 1; i <= messages; i += 1) {
    const { sequence, results } = await stream.next();
    expect(sequence).toBe(BigInt(i));
    expect(results).toHaveLength(operations.length);
  }
  expect((await stream.ended).code).toBe(status.OK);
});

test("no more than 64 messages wait for the engine at once", async () => {
  const stream = service.client().stream();
  quota.hold();
  for (let i = 1; i <= 100; i += 1) stream.send(BigInt(i), [check]);
  await quota.whenWaiting(64);
  await service.client().call("getBalance", { subject });
  expect(quota.waiting()).toBe(64);
  quota.letGo();
  for (let i = 1; i <= 100; i += 1) expect((await stream.next()).sequence).toBe(BigInt(i));
});

test("the number of streams is bounded: TOO_MANY_STREAMS, until one ends", async () => {
  const client = service.client();
  const streams = Array.from({ length: 1000 }, () => client.stream());
  for (const stream of streams) stream.send(1n, [check]);
  await Promise.all(streams.map((stream) => stream.next()));
  const refused = await client.stream().ended;
  expect(refused.code).toBe(status.RESOURCE_EXHAUSTED);
  streams[0]?.cancel();
  await until(async () => {
    const stream = client.stream();
    stream.send(1n, [check]);
    return await stream.next().then(
      () => true,
      () => false,
    );
  });
});
