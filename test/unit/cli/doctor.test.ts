/** The doctor over an API server that a test makes up: what it finds, what it says, what it cannot see. */
import { rootCertificates } from "node:tls";
import { describe, expect, test } from "vitest";
import { ApiError, type ApiClient } from "../../../src/adapters/kubernetes/api-client.ts";
import { clusterFindings, type ClusterOptions } from "../../../src/cli/doctor/cluster.ts";
import { clockFinding } from "../../../src/cli/doctor/clock.ts";
import { report, some, type Finding } from "../../../src/cli/doctor/finding.ts";
import { sidecarFindings } from "../../../src/cli/doctor/sidecar.ts";
import type { Handshake } from "../../../src/cli/doctor/webhook.ts";
import { typeCommand } from "../../support/fake-host.ts";

const NOW = Date.parse("2026-11-21T18:00:00Z");
const IMAGE = "localhost/imprest:1";
/** Any that has not ended yet. */
const CA = Buffer.from(rootCertificates[0] ?? "").toString("base64");

const WEBHOOK =
  "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/imprest-injector";
const DEPLOYMENT = "/apis/apps/v1/namespaces/imprest-system/deployments/imprest-injector";
const NAMESPACES = "/api/v1/namespaces?limit=500";
const PODS = "/api/v1/pods?limit=500";
const REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const TRIAL = "/api/v1/namespaces/agents/pods?dryRun=All";

const container = (name: string, image = "app:1") => ({ name, image });
const SIDECAR = { ...container("imprest-sidecar", IMAGE), restartPolicy: "Always" };

const podOf = (name: string, more: object = {}, spec: object = {}) => ({
  metadata: { name, namespace: "agents", ...more },
  spec: { containers: [container("app")], ...spec },
  status: { phase: "Running", podIP: "10.0.0.1" },
});
const injected = (name: string) => podOf(name, {}, { initContainers: [SIDECAR] });
const listOf = (...items: readonly object[]) => ({ items });

/** What a cluster answers in which all is well; `undefined`: it is not there. */
const WELL: Readonly<Record<string, unknown>> = {
  "/version": { major: "1", minor: "36+", gitVersion: "v1.36.3" },
  [REVIEW]: { metadata: { creationTimestamp: "2026-11-21T18:00:00Z" } },
  [NAMESPACES]: listOf(
    { metadata: { name: "agents", labels: { "imprest.dev/injection": "enabled" } } },
    { metadata: { name: "other" } },
  ),
  [DEPLOYMENT]: {
    spec: { replicas: 2, template: { spec: { containers: [container("injector", IMAGE)] } } },
    status: { readyReplicas: 2 },
  },
  [WEBHOOK]: {
    metadata: { name: "imprest-injector" },
    webhooks: [
      {
        name: "pod.injector.imprest.dev",
        failurePolicy: "Fail",
        clientConfig: { caBundle: CA, service: { name: "i", namespace: "s", port: 443 } },
      },
    ],
  },
  [PODS]: listOf(injected("a")),
  [TRIAL]: injected("trial"),
};

function clusterOf(changes: Readonly<Record<string, unknown>>): ApiClient {
  const answers = new Map(Object.entries({ ...WELL, ...changes }));
  const answer = async (path: string): Promise<unknown> => {
    const found = answers.get(path);
    if (found instanceof Error) throw found;
    if (found === undefined) throw new ApiError(404, `GET ${path}: 404 not found`);
    return found;
  };
  const never = (): never => {
    throw new Error("the doctor changes nothing");
  };
  return {
    get: answer,
    create: answer,
    text: async () => "",
    replace: never,
    patch: never,
    watch: never,
    close: () => undefined,
  };
}

const HEALTHY = async (path: string) =>
  path === "/metrics" ? 'imprest_build_info{version="1"} 1\n' : "[+]store: redis\nok\n";

const examine = (
  changes: Readonly<Record<string, unknown>> = {},
  options: Partial<ClusterOptions> = {},
): Promise<readonly Finding[]> =>
  clusterFindings(clusterOf(changes), {
    injector: { namespace: "imprest-system", name: "imprest-injector" },
    namespace: "",
    version: "1",
    handshake: undefined,
    askPod: () => HEALTHY,
    now: () => NOW,
    ...options,
  });

const severities = (findings: readonly Finding[]) => findings.map(({ severity }) => severity);
const told = async (changes: Readonly<Record<string, unknown>>, options = {}) =>
  (await examine(changes, options))
    .filter(({ severity }) => severity !== "ok")
    .map(({ severity, about, text }) => `${severity} ${about}: ${text}`);

test("where all is well it says so of each thing", async () => {
  const findings = await examine();
  expect(new Set(severities(findings))).toEqual(new Set(["ok"]));
  expect(findings.map(({ about }) => about)).toEqual([
    "cluster",
    "clock",
    "injector",
    "webhook",
    "trial",
    "pods",
  ]);
});

test("opted-in pods without a sidecar are named; those that said no, are over, or cannot have one, are not", async () => {
  const label = (choice: string) => ({ labels: { "imprest.dev/inject": choice } });
  const pods = listOf(
    injected("well"),
    podOf("bare"),
    podOf("no", label("false")),
    podOf("host", {}, { hostNetwork: true }),
    podOf("going", { deletionTimestamp: "2026-11-21T17:59:00Z" }),
    { ...podOf("over"), status: { phase: "Succeeded" } },
    podOf("asks", { namespace: "other", ...label("true") }),
    podOf("silent", { namespace: "other" }),
  );
  expect(await told({ [PODS]: pods })).toEqual([
    "problem pods: 2 opted in and without a sidecar: agents/bare, other/asks",
    "note pods: 1 opted in that cannot have a sidecar (node's network, Windows, static): agents/host",
  ]);
});

test("a sidecar of another image, without memory, or that does not start is told", async () => {
  const status = (more: object) => ({
    phase: "Running",
    initContainerStatuses: [{ name: "imprest-sidecar", restartCount: 1, ...more }],
  });
  const old = { ...SIDECAR, image: "localhost/imprest:0" };
  const pods = listOf(
    podOf("old", {}, { initContainers: [old] }),
    { ...injected("full"), status: status({ lastState: { terminated: { reason: "OOMKilled" } } }) },
    {
      ...injected("broken"),
      status: status({ state: { waiting: { reason: "CrashLoopBackOff" } } }),
    },
    {
      ...injected("starting"),
      status: status({ state: { waiting: { reason: "PodInitializing" } } }),
    },
    { ...injected("restless"), status: status({ restartCount: 7 }) },
  );
  expect(await told({ [PODS]: pods })).toEqual([
    `note pods: 1 with a sidecar of another image than the injector's ${IMAGE}: agents/old`,
    "problem pods: agents/full: its sidecar ran out of memory",
    "problem pods: agents/broken: its sidecar does not start (CrashLoopBackOff)",
    "problem pods: agents/restless: its sidecar started 7 times anew",
  ]);
});

test.each([
  ["none", "", "it has no caBundle, so that the API server trusts no injector"],
  ["no certificate", Buffer.from("hello").toString("base64"), "it has no caBundle, so"],
  [
    "one that is broken",
    Buffer.from("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----").toString("base64"),
    "its caBundle holds no certificate that can be read",
  ],
])("a caBundle that is %s is a problem", async (_, caBundle, says) => {
  const webhooks = [{ name: "w", clientConfig: { caBundle } }];
  const found = await told({ [WEBHOOK]: { metadata: { name: "x" }, webhooks } });
  expect(found).toEqual([expect.stringContaining(`problem webhook: w: ${says}`)]);
});

test("a caBundle whose certificates have all ended is a problem", async () => {
  const later = await examine({}, { now: () => Date.parse("2200-01-01T00:00:00Z") });
  expect(later.map(({ text }) => text)).toContain(
    "pod.injector.imprest.dev: every certificate in its caBundle has ended",
  );
});

test("inside the cluster the injector's own certificate is tried against the caBundle", async () => {
  const shaken = (isReached: boolean, error: string) =>
    told({}, { handshake: async () => ({ isReached, error }) });
  expect(await shaken(true, "")).toEqual([]);
  expect(await shaken(true, "SELF_SIGNED_CERT_IN_CHAIN")).toEqual([
    "problem webhook: the injector at i.s.svc shows a certificate that the caBundle does not sign: SELF_SIGNED_CERT_IN_CHAIN",
  ]);
  expect(await shaken(false, "connect ECONNREFUSED")).toEqual([
    "problem webhook: no injector answers at i.s.svc: connect ECONNREFUSED",
  ]);
});

test("it is found without DNS, as the API server finds it, and by name where that may not be read", async () => {
  const seen: unknown[] = [];
  const handshake: Handshake = async ({ host, port, name }) => {
    seen.push([host, port, name]);
    return { isReached: true, error: "" };
  };
  const service = "/api/v1/namespaces/s/services/i";
  await examine({ [service]: { spec: { clusterIP: "10.96.0.7" } } }, { handshake });
  await examine({ [service]: { spec: { clusterIP: "None" } } }, { handshake });
  await examine({}, { handshake });
  expect(seen).toEqual([
    ["10.96.0.7", 443, "i.s.svc"],
    ["i.s.svc", 443, "i.s.svc"],
    ["i.s.svc", 443, "i.s.svc"],
  ]);
});

test.each([
  [
    'failed calling webhook "pod.injector.imprest.dev": tls: failed to verify certificate: x509: unknown authority',
    "problem",
    "the caBundle does not sign",
  ],
  [
    'failed calling webhook "pod.injector.imprest.dev": connection refused',
    "problem",
    "cannot call the injector",
  ],
  ['pods is forbidden: User "eve" cannot create resource "pods"', "unknown", ""],
  ["pods is forbidden: exceeded quota: q", "unknown", ""],
])("a trial that ends with %j is judged by it", async (message, severity, advice) => {
  const findings = await examine({ [TRIAL]: new ApiError(403, message) });
  const [trial] = findings.filter(({ about }) => about === "trial");
  expect(trial?.severity).toBe(severity);
  expect(trial?.advice).toContain(advice);
});

test("a trial pod that would start bare is a problem", async () => {
  expect(await told({ [TRIAL]: podOf("trial") })).toEqual([
    "problem trial: a pod that asks for a sidecar in agents would start without one",
  ]);
});

test("what may not be read is said, and the rest is looked at", async () => {
  const refused = new ApiError(403, "GET: 403 forbidden");
  const findings = await examine({ [NAMESPACES]: refused, [DEPLOYMENT]: refused });
  expect(severities(findings.filter(({ about }) => about === "namespaces"))).toEqual(["unknown"]);
  expect(findings.map(({ about }) => about)).toContain("pods");
});

const POLICIES = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies?limit=500";

test("without a webhook a policy of ours does its work, and without both nobody does", async () => {
  const policy = { metadata: { name: "imprest-sidecar-default" } };
  const changes = { [WEBHOOK]: undefined, [DEPLOYMENT]: undefined };
  expect(await told({ ...changes, [POLICIES]: listOf(policy) })).toEqual([]);
  const other = listOf({ metadata: { name: "other" } });
  expect(await told({ ...changes, [POLICIES]: other })).toEqual([
    expect.stringContaining("problem webhook: there is no MutatingWebhookConfiguration"),
  ]);
  expect(await told(changes)).toHaveLength(1);
});

test("a webhook with no Deployment behind it is a problem", async () => {
  expect(await told({ [DEPLOYMENT]: undefined })).toEqual([
    "problem injector: there is a webhook and no Deployment imprest-system/imprest-injector behind it",
  ]);
});

test("an API server that does not answer is the one thing that is told", async () => {
  const lost = new ApiError(0, "POST: connect ECONNREFUSED");
  expect(await told({ [REVIEW]: lost })).toEqual([
    "problem cluster: the API server cannot be asked: POST: connect ECONNREFUSED",
  ]);
});

test("lists are read to their end", async () => {
  const changes = {
    [PODS]: { ...listOf(injected("a")), metadata: { continue: "x y" } },
    [`${PODS}&continue=x%20y`]: listOf(podOf("last")),
  };
  expect(await told(changes)).toEqual([
    "problem pods: 1 opted in and without a sidecar: agents/last",
  ]);
});

const POD = { who: "agents/a", silence: "unknown" } as const;

test("a sidecar that is not well is told with what to do, and another version as a note", async () => {
  const ask = async (path: string) =>
    path === "/metrics"
      ? 'imprest_build_info{version="0"} 1\n'
      : "[+]policy: 8d\n[-]store: redis://r:6379 connect ECONNREFUSED\n[-]reload: bad\nok\n";
  const findings = await sidecarFindings(ask, POD, "1");
  expect(findings.map(({ severity, text }) => [severity, text])).toEqual([
    ["problem", "agents/a: store: redis://r:6379 connect ECONNREFUSED"],
    ["problem", "agents/a: reload: bad"],
    ["note", "agents/a: it is version 0, this program 1"],
  ]);
  const lost = await sidecarFindings(() => Promise.reject(new Error("no answer")), POD, "1");
  expect(severities(lost)).toEqual(["unknown"]);
  expect(severities(await sidecarFindings(async () => "hello", POD, "1"))).toEqual(["problem"]);
});

test("clocks may differ by what the answer took and by what was cut off, and five seconds", () => {
  const at = (theirs: number) =>
    clockFinding({ whose: "it", theirs, sent: 10_000, received: 12_000, resolutionMs: 1_000 });
  expect(severities([at(17_000), at(4_000), at(17_001), at(3_999)])).toEqual([
    "ok",
    "ok",
    "problem",
    "problem",
  ]);
  expect(at(3_000).text).toBe("it is 6.0 s behind this machine");
});

test("the report names what to do below what is wrong, on one line each", () => {
  const finding = { severity: "problem", about: "x", text: "a\nb", advice: "do" } as const;
  expect(report([finding], (_, text) => text)).toBe(
    "problem  x  a b\n            → do\n1 to put right\n",
  );
  expect(some(["a", "b", "c"], 2)).toBe("a, b and 1 more");
});

test("with nothing to look at it says what it can look at", async () => {
  const typed = await typeCommand(["doctor"], { env: { HOME: "/nowhere" } });
  expect(typed.status).toBe(2);
  expect(typed.stderr).toContain("found nothing to look at");
});

test("what was given and cannot be read is not nothing", async () => {
  const flags = ["--http", "bar", "--store", "x"];
  const typed = await typeCommand(["doctor", ...flags], { env: { HOME: "/nowhere" } });
  expect(typed.status).toBe(2);
  expect(typed.stderr).toContain("2 configuration errors");
  expect(typed.stderr).not.toContain("nothing to look at");
});

describe("one sidecar a node", () => {
  const NODES = "/apis/apps/v1/namespaces/imprest-system/daemonsets/imprest-node";
  const POLICIES = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies?limit=500";
  const setOf = (numberReady: number) => ({
    spec: { template: { spec: { containers: [container("imprest-sidecar", IMAGE)] } } },
    status: { numberReady, desiredNumberScheduled: 2 },
  });
  const without = { [WEBHOOK]: undefined, [POLICIES]: listOf() };

  test("is looked at where there is no injector", async () => {
    expect(await told({ ...without, [NODES]: setOf(2) })).toEqual([]);
    expect(await told({ ...without, [NODES]: setOf(1) })).toEqual([
      `problem nodes: a sidecar on 1 of 2 nodes is ready, image ${IMAGE}`,
    ]);
  });

  test("is missed where there is nothing else", async () => {
    expect((await told(without))[0]).toContain(
      "no MutatingAdmissionPolicy imprest-sidecar-… and no DaemonSet imprest-system/imprest-node: no pod gets a sidecar",
    );
  });
});

test("what could not be looked at is no reason to say that nothing is wrong", async () => {
  const forbidden = new ApiError(403, "GET: 403 may not");
  const findings = await examine({ [WEBHOOK]: forbidden });
  expect(severities(findings)).toContain("unknown");
  const text = report(findings, (_, each) => each);
  expect(text).not.toContain("nothing is wrong");
  expect(text).toMatch(/\nnothing wrong was found, 1 could not be looked at\n$/);
});
