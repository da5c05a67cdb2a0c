/** `imprest doctor` beside a real sidecar and at a real store. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { beforeEach, expect, test } from "vitest";
import { parseStoreUrl, type StoreUrl } from "../../../src/adapters/redis/store-url.ts";
import { eventually } from "../../support/eventually.ts";
import { typeCommand } from "../../support/fake-host.ts";
import { noRedis } from "../../support/redis-client.ts";
import { startRedis } from "../../support/redis-server.ts";
import { startSidecar } from "../../support/running-sidecar.ts";

const POLICY = `
revision: 1
default_plan: free
plans: {free: {limits: [{name: calls, meter: requests, rate: {units: 10, every: 1m}}]}}
`;

const type = (...words: readonly string[]) => typeCommand(["doctor", ...words]);

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));

test("finds a sidecar and its store well, and names what is not when the store is gone", async ({
  onTestFinished,
}) => {
  const redis = await startRedis();
  const store = {
    kind: "redis",
    url: parseStoreUrl(redis.url) as StoreUrl,
    passwordFile: "",
    confirm: "auto",
    fencing: "replid",
  } as const;
  const running = await startSidecar(POLICY, { store, version: "9.9.9" });
  onTestFinished(() => running.close());
  await running.logged("store found");
  const flags = ["--http", running.addresses.http, "--store", redis.url];

  // The store is found before it is looked at for the first time.
  await eventually(async () => (await type(...flags)).status === 0);
  const { stdout: well } = await type(...flags);
  expect(well).toMatch(/^ok +sidecar +127\.0\.0\.1:\d+: ready$/m);
  expect(well).toMatch(/^note +sidecar .* it is version 9\.9\.9, this program /m);
  expect(well).toMatch(/^ok +store +redis:\/\/127\.0\.0\.1:\d+: fit, \d/m);
  expect(well).toMatch(/^ok +clock +the store and this machine agree$/m);
  expect(well).toMatch(/^nothing is wrong$/m);

  await redis.stop();
  await running.logged("store lost: serving from what is leased");
  const { status, stdout } = await type(...flags);
  expect(status).toBe(1);
  expect(stdout).toMatch(/^problem +sidecar .* store: .*\n +→ imprest store check/m);
  expect(stdout).toMatch(/^problem +store /m);
  expect(stdout).toMatch(/^2 to put right$/m);
});

test("names a store that would forget what was spent, with what to do", async ({
  onTestFinished,
}) => {
  const redis = await startRedis({ args: ["--maxmemory-policy", "allkeys-lru"] });
  onTestFinished(() => redis.stop());
  const { status, stdout } = await type("--store", redis.url, "--json");
  expect(status).toBe(1);
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly unknown[] };
  expect(findings).toContainEqual(
    expect.objectContaining({
      severity: "problem",
      about: "store",
      text: expect.stringContaining("maxmemory-policy is allkeys-lru"),
    }),
  );
});

test("notes a store whose memory is nearly used up", async ({ onTestFinished }) => {
  const redis = await startRedis({ args: ["--maxmemory", "1mb"] });
  onTestFinished(() => redis.stop());
  const { stdout } = await type("--store", redis.url);
  expect(stdout).toMatch(/^note +store .*: its memory is used to \d+ % of maxmemory/m);
});

test("a server that never comes to an end is given up", async ({ onTestFinished }) => {
  const server = createServer((_, response) => {
    const dripping = setInterval(() => response.write("."), 50);
    response.on("close", () => clearInterval(dripping));
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const { status, stdout } = await type("--http", `127.0.0.1:${port}`);
  expect(status).toBe(1);
  expect(stdout).toContain("it could not be asked: no whole answer within 5 s");
}, 20_000);

test("an address where nobody answers is a problem", async () => {
  const { status, stdout } = await type("--http", "127.0.0.1:1");
  expect(status).toBe(1);
  expect(stdout).toMatch(/^problem +sidecar +127\.0\.0\.1:1: it could not be asked/m);
});
