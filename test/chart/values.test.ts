/** Values that the injector, or Kubernetes, would refuse once they are there, and such as would do nothing: helm says so. */
import { beforeEach, describe, expect, test } from "vitest";
import { readInjectorConfig } from "../../src/adapters/kubernetes/injector-config.ts";
import { read } from "../support/sources.ts";
import { noHelm, render } from "./helm.ts";

const MINIMAL = read("deploy/helm/imprest/ci/minimal.yaml");
const FULL = read("deploy/helm/imprest/ci/full.yaml");

beforeEach(({ skip }) => skip(noHelm !== undefined, noHelm));

const limit = (memory: string): string => `sidecar: {resources: {limits: {memory: ${memory}}}}`;

const REFUSED: readonly (readonly [called: string, values: string, says: string])[] = [
  ["too little memory", limit("159Mi"), "sidecar.resources.limits.memory: found 159Mi"],
  ["too much memory", limit("9Gi"), "found 9Gi; allowed: 160Mi to 8Gi"],
  [
    "too little memory of a profile",
    `profiles: {batch: {${limit("96Mi")}}}`,
    "profiles.batch.sidecar.resources.limits.memory: found 96Mi",
  ],
  [
    "a CPU limit below the request",
    "sidecar: {resources: {limits: {cpu: 10m}}}",
    "sidecar.resources.limits.cpu: found 10m; allowed: none, or at least what is requested, 20m",
  ],
  [
    "a CPU limit below the request, as numbers",
    "injector: {resources: {requests: {cpu: 1}, limits: {cpu: 0.5}}}",
    "injector.resources.limits.cpu: found 0.5; allowed: none, or at least what is requested, 1",
  ],
  [
    "more memory requested than there may be",
    "injector: {resources: {requests: {memory: 0.5Gi}}}",
    "injector.resources.requests.memory: found 0.5Gi; allowed: up to the limit, 192Mi",
  ],
  ["a size that is none", "sidecar: {resources: {requests: {memory: 1Ti}}}", "requests/memory"],
  ["no CPU request", "sidecar: {resources: {requests: {cpu: null}}}", "cpu"],
  [
    "an overlap of more than half",
    "injector: {certificates: {leafLifetime: 1h, overlap: 31m}}",
    "injector.certificates.overlap: found 31m; allowed: at least 1s and at most half of leafLifetime, 1h",
  ],
  ["no overlap", "injector: {certificates: {overlap: 0s}}", "overlap: found 0s"],
  [
    "a certificate of more than half its authority's life",
    "injector: {certificates: {caLifetime: 10d, leafLifetime: 6d}}",
    "injector.certificates.leafLifetime: found 6d; allowed: at most half of caLifetime, 10d",
  ],
  ["no certificates", "injector: {certificates: null}", "certificates"],
  ["a port that is none", "store: {hosts: ['redis.example:99999']}", "hosts"],
  [
    "a document for nobody",
    "policy: {document: 'kind: Policy'}",
    "policy.namespaces: found none, so that policy.document is nowhere",
  ],
  ["namespaces for no document", "policy: {namespaces: [a]}", "policy.document: found none"],
  [
    "an authority without TLS",
    "store: {hosts: [a], tls: {secret: mine}}",
    "store.tls.secret: found mine while store.tls.enabled is false",
  ],
  [
    "a name without Sentinels",
    "store: {hosts: [a], name: main}",
    "store.name: found main with kind single",
  ],
  [
    "a monitor of no injector",
    "injector: {enabled: false}\nmonitoring: {serviceMonitor: {enabled: true}}",
    "monitoring.serviceMonitor.enabled: found true without an injector",
  ],
];

test.each(REFUSED)("refused is %s", async (_, values, says) => {
  const whole = values.startsWith("store:") ? values : `${MINIMAL}\n${values}`;
  await expect(render(whole)).rejects.toThrow(says);
});

test("all of it is told at once", async () => {
  const values = `${limit("1Mi")}\ninjector: {certificates: {overlap: 7d}}\npolicy: {namespaces: [a]}`;
  const said = await render(values).then(String, String);
  for (const what of ["store.hosts", "limits.memory", "overlap", "policy.document"]) {
    expect(said).toContain(`  ${what.startsWith("limits") ? "sidecar.resources." : ""}`);
    expect(said).toContain(`${what}: found`);
  }
});

describe("taken is", () => {
  const configOf = async (values: string) => {
    const { of } = await render(values);
    const text = of("ConfigMap", "imprest-injector").data?.["injector.yaml"] ?? "";
    const reading = readInjectorConfig(text, "0.1.0");
    if ("problems" in reading) throw new Error(reading.problems.join("\n"));
    return reading.config;
  };

  test.each(["160Mi", "8Gi", "8192Mi", "1Gi"])("memory of %s", async (memory) => {
    const { injection } = await configOf(`${MINIMAL}\n${limit(memory)}`);
    expect(injection.profiles.get("default")?.resources.limits).toEqual({ memory });
  });

  test("a name of digits alone, wherever a name stands", async () => {
    const store =
      "store: {hosts: ['1:2'], passwordSecret: {name: '12', key: '3'}, tls: {enabled: true, secret: '45'}}";
    const policy = "policy: {configMap: '123', document: 'kind: Policy', namespaces: ['7']}";
    const node = "daemonSet: {enabled: true, tenant: '8', priorityClassName: '9'}";
    const values = `${store}\n${policy}\n${node}\nprofiles: {'6': {}}\ninjector: {clusterDomain: '10'}`;
    const { injection, clusterDomain } = await configOf(values);
    expect(injection.profiles.get("6")).toMatchObject({
      policyConfigMap: "123",
      storePasswordSecret: { name: "12", key: "3" },
      storeTlsSecret: { name: "45" },
    });
    expect(clusterDomain).toBe("10");
    const { objects, of } = await render(values);
    expect(objects.filter(({ metadata }) => metadata.name === "123")).toHaveLength(2);
    expect(JSON.stringify(of("DaemonSet"))).not.toMatch(/"(secretName|name|key)":\d/);
  });

  test("CPU as a number, which quantities of the injector's are not", async () => {
    const values = "sidecar: {resources: {requests: {cpu: 1, memory: 128Mi}, limits: {cpu: 1.5}}}";
    const { injection } = await configOf(`${MINIMAL}\n${values}`);
    expect(injection.profiles.get("default")?.resources).toEqual({
      requests: { cpu: "1", memory: "128Mi" },
      limits: { cpu: "1.5", memory: "192Mi" },
    });
  });

  test("excluded namespaces, which the policies of `inject render` leave alone too", async () => {
    expect((await configOf(FULL)).excludedNamespaces).toEqual(["cert-manager"]);
  });
});

describe("around a node's sidecar", () => {
  const NODE = "daemonSet: {enabled: true, tenant: acme}";
  const portsOf = async (store: string, more = ""): Promise<readonly (readonly number[])[]> => {
    const { of } = await render(`store: {${store}}\n${NODE}\n${more}`);
    const { egress, ingress, policyTypes } = of("NetworkPolicy", "imprest-node")["spec"] as {
      readonly [rules: string]: readonly { readonly ports: readonly { port: number }[] }[];
    };
    expect(policyTypes).toEqual(["Ingress", "Egress"]);
    expect(ingress?.map(({ ports }) => ports.map(({ port }) => port))).toEqual([[4602]]);
    return egress?.map(({ ports }) => ports.map(({ port }) => port)) ?? [];
  };

  test.each([
    ["hosts: [r]", [6379]],
    ["hosts: ['r:7000']", [7000, 6379]],
    ["kind: sentinel, name: main, hosts: [a, 'b:5000']", [26379, 5000, 6379]],
    ["kind: cluster, hosts: ['[::1]', '[::1]:7001']", [6379, 7001]],
  ])("a NetworkPolicy lets it call the store {%s}, and DNS", async (store, ports) => {
    expect(await portsOf(store)).toEqual([[53, 53], ports]);
  });

  test("further ports are those that are said, and none where there is no store", async () => {
    const more = "networkPolicy: {storePorts: [6390]}";
    expect(await portsOf("hosts: [r]", more)).toEqual([
      [53, 53],
      [6379, 6390],
    ]);
    expect(await portsOf("kind: memory", more)).toEqual([[53, 53]]);
  });

  test("there is none where none is wanted", async () => {
    const { objects } = await render(`${MINIMAL}\n${NODE}\nnetworkPolicy: {enabled: false}`);
    expect(objects.filter(({ kind }) => kind === "NetworkPolicy")).toEqual([]);
  });
});
