import { afterEach, beforeEach, expect, test } from "vitest";
import { createApiClient, type ApiClient } from "../../../../src/adapters/kubernetes/api-client.ts";
import { leadByLease, type Leadership } from "../../../../src/adapters/kubernetes/leader.ts";
import { startFakeApiServer, type FakeApiServer } from "../../../support/fake-api-server.ts";
import { createManualClock, type ManualClock } from "../../../support/manual-clock.ts";
import { eventually } from "../../../support/eventually.ts";
import { SILENT } from "../../../support/silence.ts";

const PATH = "/apis/coordination.k8s.io/v1/namespaces/system/leases";
let server: FakeApiServer;
let api: ApiClient;
let clock: ManualClock;
const all: Leadership[] = [];

beforeEach(async () => {
  server = await startFakeApiServer();
  api = createApiClient(server.access);
  clock = createManualClock(1_000_000);
});
afterEach(async () => {
  await Promise.all(all.splice(0).map((each) => each.stop()));
  api.close();
  await server.close();
});

function start(identity: string, changes: string[] = []): Leadership {
  const leadership = leadByLease({
    ...{ api, clock, log: SILENT, namespace: "system", lease: "imprest", identity },
    onChange: () => changes.push(identity),
  });
  all.push(leadership);
  return leadership;
}
const holder = (): unknown =>
  (server.get(`${PATH}/imprest`)?.["spec"] as { readonly holderIdentity?: string } | undefined)
    ?.holderIdentity;
/** Lets a look, and what it asks, come to an end. */
async function look(ms = 3_000): Promise<void> {
  const before = server.asked.length;
  clock.advance(ms);
  await eventually(() => server.asked.length > before && clock.pending() > 0);
}

test("the first replica makes the Lease and leads, a second one does not", async () => {
  const changes: string[] = [];
  const a = start("a", changes);
  await eventually(a.isLeader);
  const b = start("b", changes);
  await eventually(() => clock.pending() === 2);
  expect([holder(), a.isLeader(), b.isLeader()]).toEqual(["a", true, false]);
  expect(changes).toEqual(["a"]);
});

test("LD1: a leader that cannot renew stops leading before another one may take over", async () => {
  const a = start("a");
  await eventually(a.isLeader);
  const b = start("b");
  await eventually(() => clock.pending() === 2);
  server.fail(503);
  for (let at = 0; at < 12; at += 3) await look();
  expect([a.isLeader(), b.isLeader()]).toEqual([false, false]);
});

test("LD1: a Lease that nobody renews is taken after its time, counted on the own clock", async () => {
  server.put(`${PATH}/imprest`, {
    metadata: { name: "imprest" },
    // Long past or far ahead: clocks are not compared.
    spec: { holderIdentity: "gone", renewTime: "2036-01-01T00:00:00.000000Z" },
  });
  const b = start("b");
  await eventually(() => clock.pending() === 1);
  for (let at = 0; at < 12; at += 3) await look();
  expect(b.isLeader()).toBe(false);
  await look();
  await eventually(b.isLeader);
  expect(holder()).toBe("b");
});

test("LD2: one that stops gives the Lease back, and the next look of another takes it", async () => {
  const a = start("a");
  await eventually(a.isLeader);
  const b = start("b");
  await eventually(() => clock.pending() === 2);
  await a.stop();
  expect(holder()).toBe("");
  await look();
  await eventually(b.isLeader);
  expect(a.isLeader()).toBe(false);
});
