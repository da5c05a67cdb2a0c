import { expect, test } from "vitest";
import { readPod } from "../../../../src/adapters/kubernetes/object.ts";
import { rule, type Ruling } from "../../../../src/core/inject/ruling.ts";
import {
  configOf,
  namespaceOf,
  podJson,
  injectedPod,
  podOf,
  problemsOf,
  type JsonObject,
  type PodParts,
} from "../../../support/pods.ts";

const { injection } = configOf();
const ENABLED = namespaceOf({ "imprest.dev/injection": "enabled" });
const SILENT = namespaceOf();

interface Injected {
  readonly metadata: { readonly labels: JsonObject; readonly annotations: Record<string, string> };
  readonly spec: {
    readonly initContainers: readonly Record<string, never>[];
    readonly containers: readonly Record<string, never>[];
    readonly volumes: readonly JsonObject[];
  };
}

const ruled = (parts: PodParts, namespace = SILENT, config = injection): Ruling =>
  rule(podOf(parts), namespace, config);

function injected(parts: PodParts = {}, namespace = SILENT): Injected {
  return injectedPod(podJson(parts), ruled(parts, namespace)) as unknown as Injected;
}

const problems = (parts: PodParts, namespace = SILENT): string =>
  problemsOf(ruled(parts, namespace));

test.each([
  ["true", "enabled", "injected"],
  ["true", undefined, "injected"],
  ["true", "disabled", "injected"],
  ["false", "enabled", "ignored"],
  [undefined, "enabled", "injected"],
  [undefined, "disabled", "ignored"],
  [undefined, undefined, "ignored"],
  ["True", undefined, "refused"],
])("IJ1: a pod that says %s in a namespace that says %s is %s", (pod, namespace, kind) => {
  const base = podJson() as { readonly metadata: { readonly labels: Record<string, string> } };
  const labels = { ...base.metadata.labels };
  delete labels["imprest.dev/inject"];
  if (pod !== undefined) labels["imprest.dev/inject"] = pod;
  const object = { ...base, metadata: { ...base.metadata, labels } };
  const of = namespaceOf(namespace === undefined ? {} : { "imprest.dev/injection": namespace });
  expect(rule(readPod(object), of, injection).kind).toBe(kind);
});

test("IJ1: whatever else is wrong with a pod that did not opt in, it is let through", () => {
  const annotations = { "imprest.dev/mode": "nativ", "imprest.dev/nothing": "" };
  const labels = { "imprest.dev/inject": "false", "imprest.dev/tenant": "globex" };
  expect(ruled({ labels, annotations, spec: { hostNetwork: true } }, ENABLED)).toEqual({
    kind: "ignored",
  });
});

test("a sidecar is native, first, restricted, probed on its own ports and pinned to its tenant", () => {
  const pod = injected({ spec: { initContainers: [{ name: "migrate" }] } });
  expect(pod.spec.initContainers.map((container) => container["name"])).toEqual([
    "imprest-sidecar",
    "migrate",
  ]);
  expect(pod.spec.initContainers[0]).toMatchObject({
    restartPolicy: "Always",
    image: "localhost/imprest:0.1.0",
    args: [
      "sidecar",
      "--policy=/etc/imprest/policy.yaml",
      "--listen=unix:/run/imprest/imprest.sock",
      "--store=redis://redis.redis:6379",
      "--store-password-file=/var/run/secrets/imprest-store/password",
      "--journal=/var/lib/imprest",
      "--log-level=info",
      "--tenant=acme",
    ],
    resources: { requests: { cpu: "20m", memory: "128Mi" }, limits: { memory: "192Mi" } },
    startupProbe: { grpc: { port: 4601 } },
    readinessProbe: { grpc: { port: 4601 } },
    livenessProbe: { httpGet: { path: "/livez", port: 4602 } },
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65_532,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
  });
  expect(pod.spec.initContainers[0]).not.toHaveProperty("lifecycle");
  expect(pod.spec.initContainers[0]).not.toHaveProperty("resources.limits.cpu");
});

test("app containers get the socket read-only and its address, init containers too", () => {
  const env = [{ name: "IMPREST_SOCKET", value: "unix:///elsewhere" }];
  const pod = injected({
    spec: {
      initContainers: [{ name: "migrate" }],
      containers: [{ name: "agent", env }, { name: "worker" }],
    },
  });
  const mount = { name: "imprest-socket", mountPath: "/run/imprest", readOnly: true };
  const variable = { name: "IMPREST_SOCKET", value: "unix:///run/imprest/imprest.sock" };
  expect(pod.spec.initContainers[1]).toMatchObject({ volumeMounts: [mount], env: [variable] });
  expect(pod.spec.containers[0]).toEqual({ name: "agent", env, volumeMounts: [mount] });
  expect(pod.spec.containers[1]).toMatchObject({ volumeMounts: [mount], env: [variable] });
});

test("containers that are named get the socket, and no others", () => {
  const pod = injected({
    annotations: { "imprest.dev/containers": "worker, migrate" },
    spec: {
      initContainers: [{ name: "migrate" }],
      containers: [{ name: "agent" }, { name: "worker" }],
    },
  });
  expect(pod.spec.containers.map((container) => "volumeMounts" in container)).toEqual([
    false,
    true,
  ]);
  expect("volumeMounts" in (pod.spec.initContainers[1] ?? {})).toBe(true);
});

test("volumes are in memory, the token has an audience of its own, Secrets are the sidecar's alone", () => {
  const pod = injected();
  expect(pod.spec.volumes).toEqual([
    { name: "imprest-socket", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
    { name: "imprest-journal", emptyDir: { medium: "Memory", sizeLimit: "32Mi" } },
    { name: "imprest-policy", configMap: { name: "imprest-policy" } },
    {
      name: "imprest-token",
      projected: {
        sources: [
          { serviceAccountToken: { audience: "imprest", expirationSeconds: 3600, path: "token" } },
        ],
      },
    },
    { name: "imprest-store", secret: { secretName: "imprest-store" } },
  ]);
  const mounted = pod.spec.containers[0]?.["volumeMounts"] as unknown as readonly JsonObject[];
  expect(mounted.map((mount) => mount["name"])).toEqual(["imprest-socket"]);
});

test("a profile is chosen by annotation, settings of the pod beat it, the heap follows the limit", () => {
  const pod = injected({
    annotations: {
      "imprest.dev/profile": "large",
      "imprest.dev/memory-limit": "200Mi",
      "imprest.dev/log-level": "debug",
    },
  });
  const [sidecar] = pod.spec.initContainers;
  expect(sidecar?.["args"]).toEqual(
    expect.arrayContaining(["--log-level=debug", "--wait=500ms", "--tenant=acme"]),
  );
  expect(sidecar).toMatchObject({
    resources: { requests: { cpu: "100m", memory: "200Mi" }, limits: { memory: "200Mi" } },
    env: [{ name: "POD_NAME" }, { name: "NODE_OPTIONS", value: "--max-old-space-size=78" }],
  });
  expect(sidecar?.["securityContext"]).not.toHaveProperty("runAsUser");
  expect(JSON.parse(pod.metadata.annotations["imprest.dev/status"] ?? "")).toEqual({
    v: "0.1.0",
    mode: "native",
    profile: "large",
    tenant: "acme",
  });
});

test("a classic sidecar is the last container and stays for as long as the app may", () => {
  const pod = injected({
    annotations: { "imprest.dev/mode": "classic" },
    spec: { terminationGracePeriodSeconds: 60 },
  });
  expect(pod.spec).not.toHaveProperty("initContainers");
  expect(pod.spec.containers.map((container) => container["name"])).toEqual([
    "agent",
    "imprest-sidecar",
  ]);
  expect(pod.spec.containers[1]).toMatchObject({
    lifecycle: { preStop: { sleep: { seconds: 56 } } },
  });
  expect(pod.spec.containers[1]).not.toHaveProperty("restartPolicy");
});

const JOB = [{ apiVersion: "batch/v1", kind: "Job", name: "once", uid: "1", controller: true }];

test("a Job takes a native sidecar, and a classic one only where its pod says that it knows", () => {
  const classic = { "imprest.dev/mode": "classic" };
  expect(ruled({ ownerReferences: JOB }).kind).toBe("injected");
  expect(problems({ ownerReferences: JOB, annotations: classic })).toContain("Job: a Job with");
  const allowed = ruled({
    ownerReferences: JOB,
    annotations: { ...classic, "imprest.dev/allow-job": "true" },
  });
  expect(allowed).toMatchObject({ kind: "injected", warnings: [expect.stringContaining("Job")] });
});

test.each([
  [{ "imprest.dev/profle": "large" }, "did you mean imprest.dev/profile?"],
  [{ "imprest.dev/profile": "larg" }, "allowed: default, large, old (did you mean large?)"],
  [{ "imprest.dev/mode": "nativ" }, "allowed: native, classic (did you mean native?)"],
  [{ "imprest.dev/memory-limit": "96Mi" }, "allowed: a size from 160Mi to 8Gi"],
  [{ "imprest.dev/memory-limit": "lots" }, "allowed: a size from 160Mi to 8Gi"],
  [{ "imprest.dev/log-level": "loud" }, "allowed: trace, debug"],
  [{ "imprest.dev/allow-job": "yes" }, "allowed: true, false"],
  [{ "imprest.dev/containers": "agnt" }, "allowed: agent (did you mean agent?)"],
  [{ "imprest.dev/inject": "true" }, "it is a label"],
])("IJ2: %o is refused with what may stand there", (annotations, message) => {
  expect(problems({ annotations })).toMatch(/^Settings: /);
  expect(problems({ annotations })).toContain(message);
});

test("IJ2: everything that is wrong is told at once", () => {
  const annotations = { "imprest.dev/mode": "x", "imprest.dev/log-level": "y" };
  expect(problems({ annotations }).split("; annotation")).toHaveLength(2);
});

test("where annotations are not strict, what is wrong is warned about and left out", () => {
  const ruling = ruled({ annotations: { "imprest.dev/mode": "nativ" } }, SILENT, {
    ...injection,
    strictAnnotations: false,
  });
  expect(ruling).toMatchObject({
    kind: "injected",
    warnings: [expect.stringContaining('found "nativ"')],
  });
});

test.each([
  [{ spec: { hostNetwork: true } }, "HostNetwork"],
  [{ spec: { os: { name: "windows" } } }, "Windows"],
  [{ spec: { nodeSelector: { "kubernetes.io/os": "windows" } } }, "Windows"],
  [{ annotations: { "kubernetes.io/config.mirror": "x" } }, "MirrorPod"],
])("IJ2: %o is skipped, and the reason is told", (parts, reason) => {
  expect(ruled(parts)).toMatchObject({ kind: "skipped", reason });
});

test("TN1: the tenant is the namespace's label, else its name", () => {
  expect(JSON.stringify(injected())).toContain("--tenant=acme");
  const named = namespaceOf({ "imprest.dev/tenant": "globex" });
  expect(JSON.stringify(injected({}, named))).toContain("--tenant=globex");
});

test("TN2: a pod may name its namespace's tenant or one that is listed there, no other", () => {
  const namespace = namespaceOf({}, { "imprest.dev/tenants": "globex, initech" });
  const claim = (tenant: string) => ({ labels: { "imprest.dev/tenant": tenant } });
  expect(JSON.stringify(injected(claim("initech"), namespace))).toContain("--tenant=initech");
  expect(JSON.stringify(injected(claim("acme"), namespace))).toContain("--tenant=acme");
  expect(problems(claim("umbrella"), namespace)).toBe(
    'Tenant: label imprest.dev/tenant: found "umbrella"; allowed in namespace acme: acme, globex, initech',
  );
});

test("TN2: a lenient configuration refuses another's tenant all the same", () => {
  const ruling = ruled({ labels: { "imprest.dev/tenant": "umbrella" } }, SILENT, {
    ...injection,
    strictAnnotations: false,
  });
  expect(ruling).toMatchObject({ kind: "refused", reason: "Tenant" });
});

test.each([
  [["sidecar", "--tenant=umbrella"], []],
  [["sidecar", "--tenant=umbrella", "--tenant=acme"], []],
  [["sidecar", "--tenant=acme", "--tenant", "umbrella"], []],
  [["sidecar"], []],
  [["sidecar", "--tenant=acme"], [{ name: "IMPREST_TENANT", value: "umbrella" }]],
])("IJ3: a sidecar of the pod's own making with %j is refused", (args, env) => {
  const spec = { initContainers: [{ name: "imprest-sidecar", args, env }] };
  expect(problems({ spec })).toContain("Tenant: container imprest-sidecar");
});

test("a volume or a path in the sidecar's place is refused", () => {
  expect(problems({ spec: { volumes: [{ name: "imprest-policy", emptyDir: {} }] } })).toBe(
    "Conflict: volume imprest-policy: found another one of that name; allowed: any other name",
  );
  const containers = [{ name: "agent", volumeMounts: [{ name: "x", mountPath: "/run/imprest" }] }];
  expect(problems({ spec: { containers } })).toContain("Conflict: container agent");
});

test("a pod with little time to end is warned", () => {
  expect(ruled({ spec: { terminationGracePeriodSeconds: 2 } })).toMatchObject({
    warnings: [expect.stringContaining("terminationGracePeriodSeconds is 2")],
  });
});
