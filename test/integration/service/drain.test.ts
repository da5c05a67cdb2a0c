import { existsSync } from "node:fs";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeQuota, type FakeQuota } from "../../support/fake-quota.ts";
import { checkHealth, watchHealth } from "../../support/health-client.ts";
import { failureOf } from "../../support/quota-client.ts";
import { type QuotaServer, startQuotaServer } from "../../support/quota-server.ts";
import { type RunningSidecar, startSidecar } from "../../support/running-sidecar.ts";
import { fallSilent } from "../../support/silent-reader.ts";

const subject = { tenant: "acme" };
const check = { op: { $case: "check", value: { subject } } } as const;

describe("of the gRPC side", () => {
  let quota: FakeQuota;
  let service: QuotaServer;
  beforeEach(async () => {
    quota = createFakeQuota();
    service = await startQuotaServer(quota);
  });
  afterEach(() => service.close());

  test("S36: open calls finish, new ones on old and new connections are told DRAINING", async () => {
    const old = service.client();
    quota.hold();
    const open = old.call("check", { subject });
    await quota.whenWaiting(1);
    const drained = service.server.drain();
    for (const client of [old, service.client()]) {
      expect(await failureOf(client.call("check", { subject }))).toMatchObject({
        code: status.UNAVAILABLE,
        reason: "DRAINING",
        domain: "imprest.dev",
        retryMs: 1000,
      });
    }
    quota.letGo();
    expect((await open).verdict?.decision).toBe(1);
    await drained;
  });

  test("S36: a Stream answers what it has received, then UNAVAILABLE", async () => {
    const stream = service.client().stream();
    stream.send(1n, [check]);
    await stream.next();
    quota.hold();
    stream.send(2n, [check]);
    stream.send(3n, [check]);
    await quota.whenWaiting(2);
    const drained = service.server.drain();
    quota.letGo();
    expect((await stream.next()).sequence).toBe(2n);
    expect((await stream.next()).sequence).toBe(3n);
    expect((await stream.ended).code).toBe(status.UNAVAILABLE);
    expect((await service.client().stream().ended).code).toBe(status.UNAVAILABLE);
    await drained;
  });

  test("S36: a Stream that only waits is ended", async () => {
    const stream = service.client().stream();
    stream.send(1n, [check]);
    await stream.next();
    await service.server.drain();
    expect((await stream.ended).code).toBe(status.UNAVAILABLE);
  });

  test("S36: a Watch hears NOT_SERVING and is closed, on both servers", async () => {
    const addresses = [service.listen[1] ?? "", service.health];
    const watches = addresses.map((address) => watchHealth(service.bare(address)));
    for (const watch of watches) expect(await watch.next()).toBe("SERVING");
    await service.server.drain();
    for (const watch of watches) {
      expect(await watch.next()).toBe("NOT_SERVING");
      expect(await watch.ended).toBe(status.UNAVAILABLE);
    }
    expect(await checkHealth(service.bare(service.health))).toBe("NOT_SERVING");
  });

  test("S36: closed, the listeners refuse connections and the socket file is gone", async () => {
    await service.server.drain();
    expect(existsSync(service.path)).toBe(true);
    await service.server.close();
    expect(existsSync(service.path)).toBe(false);
    const failure = await failureOf(service.client().call("check", { subject }));
    expect(failure).toMatchObject({ code: status.UNAVAILABLE, reason: "" });
  });
});

describe("of a whole sidecar", () => {
  const POLICY = `
default_plan: free
plans:
  free:
    limits:
      - {name: tokens, meter: tokens, budget: {units: 1000, period: once, ttl: 1h}}
`;
  let running: RunningSidecar;
  afterEach(() => running.close());

  test("it settles, closes and says so; twice is once", async () => {
    running = await startSidecar(POLICY);
    const amounts = [{ meter: "tokens", units: 5n }];
    await running.client().call("reserve", { subject, amounts });
    await Promise.all([running.sidecar.drain(), running.sidecar.drain()]);
    const messages = running.lines.map(({ message }) => message);
    expect(messages.slice(-3)).toEqual(["serving", "draining", "drained"]);
  });

  test("S36: it ends within the drain timeout, though a reader has fallen silent", async () => {
    running = await startSidecar(POLICY, { drainTimeoutMs: 600 });
    await fallSilent(running.client());
    const started = performance.now();
    await running.sidecar.drain();
    const took = performance.now() - started;
    expect(took).toBeGreaterThan(300);
    expect(took).toBeLessThan(1_000);
  });
});
