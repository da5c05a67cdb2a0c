import { afterEach, beforeEach, expect, test } from "vitest";
import { createApiClient, type ApiClient } from "../../../../src/adapters/kubernetes/api-client.ts";
import { createEventWriter } from "../../../../src/adapters/kubernetes/events.ts";
import { startFakeApiServer, type FakeApiServer } from "../../../support/fake-api-server.ts";
import { createManualClock } from "../../../support/manual-clock.ts";
import { eventually } from "../../../support/eventually.ts";
import { SILENT } from "../../../support/silence.ts";

const OWNER = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "agent-7d", uid: "u-1" };
const PATH = "/api/v1/namespaces/acme/events";
let server: FakeApiServer;
let api: ApiClient;

beforeEach(async () => {
  server = await startFakeApiServer();
  api = createApiClient(server.access);
});
afterEach(async () => {
  api.close();
  await server.close();
});

function writer() {
  const clock = createManualClock(1_000_000);
  const ends: string[] = [];
  const events = createEventWriter({
    ...{ api, clock, log: SILENT, identity: "injector-1" },
    ended: (end) => void ends.push(end),
  });
  return { clock, ends, events };
}

test("EV1: an Event about the owner is written after the caller has gone on", async () => {
  const { ends, events } = writer();
  events.warn(OWNER, "acme", "ImprestSidecarSkipped", "no sidecar: why");
  expect(ends).toEqual([]);
  await eventually(() => ends.length === 1);
  expect(ends).toEqual(["written"]);
  expect(server.under(PATH)[0]).toMatchObject({
    involvedObject: { ...OWNER, namespace: "acme" },
    reason: "ImprestSidecarSkipped",
    message: "no sidecar: why",
    type: "Warning",
    source: { component: "imprest-injector" },
  });
});

test("EV2: the same is not said again of the same owner before ten minutes are over", async () => {
  const { clock, ends, events } = writer();
  for (let pod = 0; pod < 500; pod += 1) events.warn(OWNER, "acme", "Skipped", "why");
  await eventually(() => ends.length === 500);
  expect(server.under(PATH)).toHaveLength(1);
  events.warn({ ...OWNER, name: "other" }, "acme", "Skipped", "why");
  await eventually(() => server.under(PATH).length === 2);
  clock.advance(600_000);
  events.warn(OWNER, "acme", "Skipped", "why");
  await eventually(() => server.under(PATH).length === 3);
});

test("one that could not be written may be said again", async () => {
  const { ends, events } = writer();
  server.fail(500);
  events.warn(OWNER, "acme", "Skipped", "why");
  await eventually(() => ends.length === 1);
  server.fail(0);
  events.warn(OWNER, "acme", "Skipped", "why");
  await eventually(() => ends.length === 2);
  expect(ends).toEqual(["failed", "written"]);
});
