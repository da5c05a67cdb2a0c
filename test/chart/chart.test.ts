/** What helm makes of the chart, without a cluster. */
import { beforeEach, describe, expect, test } from "vitest";
import { readInjectorConfig } from "../../src/adapters/kubernetes/injector-config.ts";
import { isProblem, parseStoreUrl } from "../../src/adapters/redis/store-url.ts";
import { read } from "../support/sources.ts";
import { HELMS, lint, noHelm, render, type Rendering } from "./helm.ts";

const MINIMAL = read("deploy/helm/imprest/ci/minimal.yaml");
const FULL = read("deploy/helm/imprest/ci/full.yaml");

beforeEach(({ skip }) => skip(noHelm !== undefined, noHelm));

describe.each(HELMS.map((helm) => [helm]))("%s", (helm) => {
  test.each([
    ["the least that has to be said", MINIMAL],
    ["everything", FULL],
  ])("finds nothing to say against %s", async (_, values) => {
    expect(await lint(values, helm)).toMatch(/0 chart\(s\) failed/);
    expect(await lint(values, helm)).not.toMatch(/WARNING|ERROR/);
  });

  test("renders the same objects as every other", async () => {
    const names = ({ objects }: Rendering) =>
      objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`).toSorted();
    expect(names(await render(FULL, helm))).toEqual(names(await render(FULL)));
  });
});

describe("values that cannot be meant", () => {
  test.each([
    ["a key that is none", "sidecar: {logLevel: info, memory: 1Gi}", /memory/],
    ["no store", "{}", /store\.hosts: found none; allowed: HOST:PORT/],
    ["another kind of store", "store: {kind: redis, hosts: [a]}", /kind/],
    ["two hosts of a single one", "store: {hosts: [a, b]}", /hosts/],
    ["Sentinels without a name", "store: {kind: sentinel, hosts: [a]}", /name/],
    ["a Cluster with a database", "store: {kind: cluster, hosts: [a], database: 1}", /database/],
    ["a host with a scheme", "store: {hosts: ['redis://a:1']}", /hosts/],
    [
      "a client's certificate from nowhere",
      "store: {hosts: [a], tls: {enabled: true, clientCertificate: true}}",
      /secret/,
    ],
    ["root", `${MINIMAL}\nsidecar: {runAsUser: 0}`, /runAsUser/],
    [
      "memory that sizes no heap",
      `${MINIMAL}\nsidecar: {resources: {limits: {memory: 200M}}}`,
      /memory/,
    ],
    ["a node's sidecar for everybody", `${MINIMAL}\ndaemonSet: {enabled: true}`, /tenant/],
    ["a tag for a digest", `${MINIMAL}\nimage: {digest: latest}`, /digest/],
    [
      "less memory than Node takes",
      `${MINIMAL}\ninjector: {resources: {limits: {memory: 64Mi}}}`,
      /injector\.resources\.limits\.memory: found 64Mi; allowed: 160Mi to 8Gi/,
    ],
    ["an eager failure policy", `${MINIMAL}\ninjector: {failurePolicy: fail}`, /failurePolicy/],
    ["another key in a profile", `${MINIMAL}\nprofiles: {batch: {image: x}}`, /image/],
    [
      "a profile with a store that is none",
      `${MINIMAL}\nprofiles: {b: {store: {kind: x}}}`,
      /kind/,
    ],
  ])("are refused: %s", async (_, values, says) => {
    await expect(render(values)).rejects.toThrow(says);
  });
});

describe("the injector's configuration", () => {
  const configOf = async (values: string) => {
    const rendering = await render(values);
    const text = rendering.of("ConfigMap", "imprest-injector").data?.["injector.yaml"] ?? "";
    const reading = readInjectorConfig(text, "0.1.0");
    if ("problems" in reading) throw new Error(reading.problems.join("\n"));
    return { config: reading.config, rendering };
  };

  test("is one that the injector reads, and names the chart's objects", async () => {
    const { config, rendering } = await configOf(FULL);
    expect(rendering.of("Secret").metadata.name).toBe(config.secret);
    expect(rendering.of("MutatingWebhookConfiguration").metadata.name).toBe(config.webhook);
    expect(rendering.of("Service").metadata).toMatchObject({
      name: config.service,
      namespace: config.namespace,
    });
    expect([...config.injection.profiles.keys()].toSorted()).toEqual(["batch", "default", "local"]);
  });

  test.each([
    ["hosts: [r]", "redis://r"],
    ["hosts: ['r:1'], database: 3", "redis://r:1/3"],
    ["hosts: [r], user: 'a b@c'", "redis://a%20b%40c@r"],
    ["hosts: [r], tls: {enabled: true}", "rediss://r"],
    ["hosts: [r], tls: {enabled: true, secret: t}", "rediss://r?ca=/etc/imprest-tls/ca.crt"],
    [
      "hosts: [r], tls: {enabled: true, secret: t, clientCertificate: true, serverName: name}",
      "rediss://r?ca=/etc/imprest-tls/ca.crt&cert=/etc/imprest-tls/tls.crt&key=/etc/imprest-tls/tls.key&servername=name",
    ],
    ["kind: sentinel, hosts: [a, b], name: main", "redis+sentinel://a,b/main"],
    [
      "kind: sentinel, hosts: [a], name: main, database: 1, sentinelLogin: true",
      "redis+sentinel://a/main/1?login=same",
    ],
    ["kind: cluster, hosts: ['a:1', 'b:2']", "redis+cluster://a:1,b:2"],
    ["kind: memory", "memory:"],
  ])("writes the store {%s} as %s", async (store, url) => {
    const { config } = await configOf(`store: {${store}}`);
    expect(config.injection.profiles.get("default")?.store).toBe(url);
    if (url !== "memory:") expect(isProblem(parseStoreUrl(url))).toBe(false);
  });

  test("lets a profile differ in what it says, and in nothing else", async () => {
    const { config } = await configOf(FULL);
    const { default: base, batch, local } = Object.fromEntries(config.injection.profiles);
    expect(batch).toEqual({
      ...base,
      policyConfigMap: "imprest-policy-batch",
      mode: "classic",
      runAsUser: null,
      args: ["--wait=1s"],
      resources: { ...base?.resources, limits: { memory: "1Gi" } },
    });
    expect(local?.store).toBe("memory:");
  });
});

describe("what must never be in it", () => {
  test.each([
    ["minimal", MINIMAL],
    ["full", FULL],
  ])("a caBundle, a certificate, a key: %s", async (_, values) => {
    const { objects } = await render(values);
    const hasKey = /"(caBundle|(ca|tls)\.(crt|key))":|-----BEGIN/;
    expect(objects.filter((one) => hasKey.test(JSON.stringify(one)))).toEqual([]);
    expect(objects.filter(({ kind, data }) => kind === "Secret" && data !== undefined)).toEqual([]);
  });

  test("rights beyond its own Secret, webhook and Lease", async () => {
    const { of } = await render(MINIMAL);
    const rules = [of("ClusterRole", "imprest-injector"), of("Role")].flatMap(
      ({ rules }) => rules as { resources: string[]; verbs: string[]; resourceNames?: string[] }[],
    );
    const free = rules.filter(({ resourceNames }) => resourceNames === undefined);
    expect(free.map(({ resources, verbs }) => [resources.join(), verbs.join()])).toEqual([
      ["namespaces", "get,list,watch"],
      ["events", "create,patch"],
      ["leases", "create"],
    ]);
    expect(JSON.stringify(rules)).not.toMatch(/"\*"|"delete|"pods"|"nodes"/);
  });
});

test("the webhook leaves its own and the system's namespaces alone, and those who said no", async () => {
  const { of } = await render(FULL);
  const { webhooks } = of("MutatingWebhookConfiguration") as unknown as {
    webhooks: {
      name: string;
      namespaceSelector: { matchExpressions: { key: string; values: string[] }[] };
      objectSelector: { matchExpressions: object[] };
    }[];
  };
  expect(webhooks.map(({ name }) => name)).toEqual([
    "namespace.injector.imprest.dev",
    "pod.injector.imprest.dev",
  ]);
  for (const { namespaceSelector, objectSelector } of webhooks) {
    const names = namespaceSelector.matchExpressions.find(
      ({ key }) => key === "kubernetes.io/metadata.name",
    );
    expect(names?.values).toEqual([
      "kube-system",
      "kube-public",
      "kube-node-lease",
      "imprest-system",
      "cert-manager",
    ]);
    expect(objectSelector.matchExpressions).toContainEqual({
      key: "imprest.dev/inject",
      operator: "NotIn",
      values: ["false"],
    });
  }
});

test.each([
  ["memory", "store: {kind: memory}", "--store=memory:"],
  ["a Cluster", "store: {kind: cluster, hosts: ['a:1', 'b:1']}", "--store=redis+cluster://a:1,b:1"],
])("a node's sidecar is given its flags as text, on %s", async (_, store, flag) => {
  const node = "daemonSet: {enabled: true, tenant: 'true'}";
  const { of } = await render(`${store}\n${node}`);
  const { template } = of("DaemonSet")["spec"] as {
    readonly template: { readonly spec: { readonly containers: readonly { args: unknown[] }[] } };
  };
  const args = template.spec.containers[0]?.args ?? [];
  expect(args.filter((word) => typeof word !== "string")).toEqual([]);
  expect(args).toEqual(expect.arrayContaining([flag, "--tenant=true"]));
});

test("without an injector there is no webhook, and no alarm that there is none; the backstop stays", async () => {
  const values = `${MINIMAL}\ninjector: {enabled: false}\nmonitoring: {prometheusRule: {enabled: true}}`;
  const { objects, of } = await render(values);
  const kinds = objects.map(({ kind }) => kind);
  expect(kinds).not.toContain("MutatingWebhookConfiguration");
  expect(kinds).not.toContain("Deployment");
  expect(kinds).toContain("ValidatingAdmissionPolicy");
  expect(JSON.stringify(of("PrometheusRule"))).not.toContain("ImprestInjectorDown");
});
