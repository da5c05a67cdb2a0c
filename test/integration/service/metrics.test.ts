import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { METERED_POLICY } from "../../support/metered-policy.ts";
import { type RunningSidecar, startSidecar } from "../../support/running-sidecar.ts";

const GUIDE = new URL("../../../deploy/guides/metrics.md", import.meta.url);
const subject = { tenant: "acme" };
const tokens = (units: bigint) => [{ meter: "tokens", units }];

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
interface Exposition {
  readonly types: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
}

function parse(text: string): Exposition {
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    const [, typed, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (typed !== undefined && type !== undefined) types.set(typed, type);
    const [, name, inner = "", value] = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) continue;
    const pairs = [...inner.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, key, text]) => [key, text]);
    samples.push({ name, labels: Object.fromEntries(pairs), value: Number(value) });
  }
  return { types, samples };
}

let running: RunningSidecar;
let seen: Exposition;
const valueOf = (name: string, labels: Record<string, string> = {}): number | undefined =>
  seen.samples.find(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  )?.value;

beforeAll(async () => {
  running = await startSidecar(METERED_POLICY, { metricsTenants: ["acme"], version: "9.9.9" });
  const client = running.client();
  await client.call("check", { subject, amounts: tokens(1n) });
  const one = await client.call("reserve", { subject, amounts: tokens(60n) });
  await client.call("commit", { reservationId: one.reservationId, amounts: tokens(90n) });
  const two = await client.call("reserve", { subject, amounts: tokens(5n) });
  await client.call("release", { reservationId: two.reservationId });
  const reserve = { subject, amounts: tokens(80n) };
  await client.call("batch", { operations: [{ op: { $case: "reserve", value: reserve } }] });
  await client.call("consume", { subject: { tenant: "other" }, amounts: tokens(3n) });
  await client.call("reserve", { subject, amounts: tokens(1n) });
  const over = await client.call("reserve", { subject: { tenant: "other" }, amounts: tokens(1n) });
  await client.call("commit", { reservationId: over.reservationId, amounts: tokens(200n) });
  seen = parse((await running.get("/metrics")).body);
});
afterAll(() => running.close());

describe("the guide", () => {
  const rows = async () => {
    const text = await readFile(GUIDE, "utf8");
    const found = [...text.matchAll(/^\| `(imprest_\w+)` \| (\w+) \|([^|]*)\|/gm)];
    return found.map(([, name = "", type = "", labels = ""]) => ({
      name,
      type,
      labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label).toSorted(),
    }));
  };

  test("names exactly what /metrics has, with its type", async () => {
    const own = [...seen.types].filter(([name]) => name.startsWith("imprest_"));
    const listed = (await rows()).map(({ name, type }) => [name, type] as const);
    listed.push(["imprest_tenant_decisions_total", "counter"]);
    expect(new Map(own)).toEqual(new Map(listed));
  });

  test("names exactly the labels of each", async () => {
    for (const { name, type, labels } of await rows()) {
      const series = type === "histogram" ? `${name}_count` : name;
      const sample = seen.samples.find((one) => one.name === series);
      expect([name, Object.keys(sample?.labels ?? {}).toSorted()]).toEqual([name, labels]);
    }
  });
});

test("what happened is counted, inside a Batch too", () => {
  const reserves = { rpc: "Reserve", decision: "allow", reason: "" };
  expect(valueOf("imprest_decisions_total", reserves)).toBe(4);
  const denied = { rpc: "Reserve", decision: "deny", reason: "BUDGET_EXHAUSTED" };
  expect(valueOf("imprest_decisions_total", denied)).toBe(1);
  expect(valueOf("imprest_denials_total", { limit: "tokens", reason: "BUDGET_EXHAUSTED" })).toBe(1);
  expect(valueOf("imprest_decision_seconds_count", { rpc: "Reserve" })).toBe(5);
  expect(valueOf("imprest_decision_seconds_bucket", { rpc: "Reserve", le: "+Inf" })).toBe(5);
  expect(valueOf("imprest_charged_units_total", { meter: "tokens" })).toBe(293);
  expect(valueOf("imprest_overage_units_total", { meter: "tokens" })).toBe(103);
  expect(valueOf("imprest_reservations_total", { end: "committed" })).toBe(2);
  expect(valueOf("imprest_reservations_total", { end: "released" })).toBe(1);
  expect(valueOf("imprest_reservations_total", { end: "late" })).toBe(0);
  expect(valueOf("imprest_reservations_open")).toBe(1);
  expect(valueOf("imprest_thresholds_total", { limit: "tokens", used: "50%" })).toBe(2);
  expect(valueOf("imprest_shadow_denials_total", { limit: "trial" })).toBeGreaterThan(0);
  expect(valueOf("imprest_build_info", { version: "9.9.9" })).toBe(1);
});

test("the store's figures are there from the start", () => {
  expect(valueOf("imprest_store_up")).toBe(1);
  expect(valueOf("imprest_degraded")).toBe(0);
  expect(valueOf("imprest_store_ops_total", { op: "sync", status: "fault" })).toBe(0);
  expect(valueOf("imprest_store_ops_total", { op: "sync", status: "ok" })).toBeGreaterThan(0);
  expect(valueOf("imprest_store_sync_seconds_count")).toBeGreaterThan(0);
  expect(valueOf("imprest_leased_units", { meter: "usd_micros" })).toBe(0);
});

test("only the tenants that are listed are named", () => {
  const acme = { tenant: "acme", rpc: "Reserve", decision: "allow" };
  expect(valueOf("imprest_tenant_decisions_total", acme)).toBe(3);
  const labels = seen.samples.flatMap((sample) => Object.values(sample.labels));
  expect(labels).not.toContain("other");
});

test("the metrics of the process are there", () => {
  expect(valueOf("process_resident_memory_bytes")).toBeGreaterThan(0);
  expect(valueOf("nodejs_eventloop_lag_seconds")).toBeGreaterThanOrEqual(0);
});

test("without --metrics-tenants no metric names any", async () => {
  const plain = await startSidecar(METERED_POLICY);
  await plain.client().call("check", { subject });
  expect((await plain.get("/metrics")).body).not.toContain("tenant");
  await plain.close();
});
