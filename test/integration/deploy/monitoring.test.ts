/** The alerts and the dashboard name what a running sidecar has, and each alert says what to do. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { load } from "js-yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createInjectorMetrics } from "../../../src/adapters/telemetry/injector-metrics.ts";
import { METERED_POLICY } from "../../support/metered-policy.ts";
import { type RunningSidecar, startSidecar } from "../../support/running-sidecar.ts";
import { read, ROOT } from "../../support/sources.ts";

const RULES = "deploy/helm/imprest/files/alerts.yaml";
const RULE_TESTS = "deploy/alerts/tests.yaml";
const run = promisify(execFile);

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}
interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string }[];
}
interface Query {
  readonly where: string;
  readonly expr: string;
}

const alerts = (
  load(read(RULES)) as { readonly groups: readonly { readonly rules: readonly Alert[] }[] }
).groups.flatMap(({ rules }) => rules);
const dashboard = JSON.parse(read("deploy/helm/imprest/files/dashboard.json")) as {
  readonly panels: readonly Panel[];
};
const queries: readonly Query[] = [
  ...alerts.map(({ alert, expr }) => ({ where: alert, expr })),
  ...dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ where: title, expr })),
  ),
];

/** What a query names: metrics by their family, and labels. */
function namesIn(expr: string) {
  const metrics = [...expr.matchAll(/\b(?:imprest|process|nodejs|apiserver)_\w+/g)].map(
    ([name]) => name,
  );
  const inBraces = [...expr.matchAll(/\{([^}]*)\}/g)].map(([, text = ""]) => text);
  const labels = [
    ...inBraces.flatMap((text) => [...text.matchAll(/(\w+)\s*[=!]/g)].map(([, label]) => label)),
    ...[...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(", ")),
  ];
  return { metrics, labels: labels.filter((label) => label !== undefined) };
}

/** What Prometheus adds to everything that it scrapes in Kubernetes. */
const OF_TARGETS = ["namespace", "pod", "instance", "le"];

/** Families of an exposition, with their labels. */
function parse(text: string): ReadonlyMap<string, ReadonlySet<string>> {
  const families = new Map<string, Set<string>>();
  for (const line of text.split("\n")) {
    const [, name, inner = ""] = /^([a-z_0-9]+)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
    if (name === undefined) continue;
    const labels = families.get(name) ?? new Set<string>();
    for (const [, label = ""] of inner.matchAll(/([a-z_]+)="/g)) labels.add(label);
    families.set(name, labels);
  }
  return families;
}

/** The API server's own, which no process of ours has. */
const isForeign = (name: string): boolean => name.startsWith("apiserver_");

describe("every name in the alerts and the dashboard", () => {
  let running: RunningSidecar;
  let journal = "";
  let known: ReadonlyMap<string, ReadonlySet<string>> = new Map();

  beforeAll(async () => {
    journal = await mkdtemp(path.join(tmpdir(), "imprest-"));
    running = await startSidecar(METERED_POLICY, { journal });
    const client = running.client();
    const subject = { tenant: "acme" };
    const amounts = [{ meter: "tokens", units: 60n }];
    const { reservationId } = await client.call("reserve", { subject, amounts });
    await client.call("commit", { reservationId, amounts: [{ meter: "tokens", units: 200n }] });
    await client.call("reserve", { subject, amounts });
    const injector = createInjectorMetrics("0.0.0-test");
    injector.watch({
      certificateExpirySeconds: () => 0,
      isInSync: () => true,
      hasNamespaces: () => true,
      isLeader: () => true,
    });
    injector.admitted("skipped", "HostNetwork", 0.001);
    const all = [...parse((await running.get("/metrics")).body), ...parse(await injector.expose())];
    known = new Map(all);
  });
  afterAll(async () => {
    await running.close();
    await rm(journal, { recursive: true, force: true });
  });

  const unknown = ({ where, expr }: Query): string[] => {
    const { metrics, labels } = namesIn(expr);
    const own = metrics.filter((name) => !isForeign(name));
    if (own.length < metrics.length) return missing(where, own);
    const allowed = new Set([
      ...OF_TARGETS,
      ...own.flatMap((name) => [...(known.get(name) ?? [])]),
    ]);
    const strange = labels.filter((label) => !allowed.has(label));
    return [...missing(where, own), ...strange.map((label) => `${where}: label ${label}`)];
  };
  const missing = (where: string, names: readonly string[]): string[] =>
    names.filter((name) => !known.has(name)).map((name) => `${where}: ${name}`);

  test("is one that a running sidecar or an injector has, its labels too", () => {
    expect(queries.length).toBeGreaterThan(50);
    expect(queries.flatMap(unknown)).toEqual([]);
  });

  test("a planted name, and a planted label, are found", () => {
    const expr = 'sum by (tenant) (rate(imprest_decision_total{plan="x",rpc!="Check"}[5m]))';
    expect(unknown({ where: "planted", expr })).toEqual([
      "planted: imprest_decision_total",
      "planted: label plan",
      "planted: label rpc",
      "planted: label tenant",
    ]);
  });
});

describe("the runbooks", () => {
  const headings = [...read("deploy/guides/runbooks.md").matchAll(/^### (\w+)$/gm)].map(
    ([, name = ""]) => name,
  );

  test("have a section for each alert, and none for another", () => {
    expect(headings).toEqual(alerts.map(({ alert }) => alert));
  });

  test("are what each alert points at", () => {
    for (const { alert, annotations } of alerts) {
      expect(annotations["runbook_url"]).toBe(`deploy/guides/runbooks.md#${alert.toLowerCase()}`);
      expect(Object.keys(annotations)).toEqual(["summary", "description", "runbook_url"]);
    }
  });
});

test("an alert is critical, a warning or for information", () => {
  const found = new Set(alerts.map(({ labels }) => Object.entries(labels).join()));
  expect([...found].toSorted()).toEqual(["severity,critical", "severity,info", "severity,warning"]);
});

describe("promtool", () => {
  const tool = async (...words: string[]) => run("promtool", words, { cwd: ROOT });
  const why = "no promtool here: apt-get install --no-install-recommends prometheus";
  let isThere = false;
  beforeAll(async () => {
    isThere = await tool("--version").then(
      () => true,
      () => false,
    );
  });

  test("finds the rules well formed", async ({ skip }) => {
    skip(!isThere, why);
    expect((await tool("check", "rules", RULES)).stdout).toContain(`${alerts.length} rules found`);
  });

  test("can read every query of the dashboard", async ({ skip }) => {
    skip(!isThere, why);
    const folder = await mkdtemp(path.join(tmpdir(), "imprest-"));
    const file = path.join(folder, "rules.json");
    // A rule for each query, with what Grafana fills in.
    const rules = queries.map(({ expr }, at) => ({
      record: `query:${at}`,
      expr: expr.replaceAll("$__rate_interval", "1m").replaceAll("$namespace", ".*"),
    }));
    await writeFile(file, JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
    const { stdout } = await tool("check", "rules", file);
    await rm(folder, { recursive: true });
    expect(stdout).toContain(`${queries.length} rules found`);
  });

  test("sees them fire when they should, and not otherwise", async ({ skip }) => {
    skip(!isThere, why);
    expect((await tool("test", "rules", RULE_TESTS)).stdout).toContain("SUCCESS");
  });
});
