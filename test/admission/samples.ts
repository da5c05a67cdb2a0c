/** Pods, by what is to become of them. */
import type { JsonObject, PodParts } from "../support/pods.ts";

export interface Sample extends PodParts {
  readonly called: string;
  readonly namespace?: string;
}

export const app = (name: string, more: JsonObject = {}): JsonObject => ({
  name,
  image: "a:1",
  ...more,
});

export const ACCEPTED: readonly Sample[] = [
  { called: "a plain one" },
  { called: "one of a namespace with a tenant of its own", namespace: "globex" },
  {
    called: "one that names a further tenant",
    namespace: "globex",
    labels: { "imprest.dev/tenant": "initech" },
  },
  { called: "one of a namespace whose tenant is empty", namespace: "hooli" },
  { called: "one with an init container", spec: { initContainers: [app("a"), app("b")] } },
  {
    called: "one with variables, mounts and volumes of its own",
    spec: {
      containers: [
        app("agent", {
          env: [{ name: "A", value: "1" }],
          volumeMounts: [{ name: "data", mountPath: "/data" }],
        }),
        app("worker", { env: [{ name: "IMPREST_SOCKET", value: "unix:///elsewhere" }] }),
      ],
      volumes: [{ name: "data", emptyDir: {} }],
    },
  },
  {
    called: "one that selects containers",
    annotations: { "imprest.dev/containers": "worker, b" },
    spec: { initContainers: [app("b")], containers: [app("agent"), app("worker")] },
  },
  { called: "one with a log level", annotations: { "imprest.dev/log-level": "debug" } },
  { called: "one with another profile", annotations: { "imprest.dev/profile": "large" } },
  {
    called: "one with another profile, and a volume that is the sidecar's in the default one",
    annotations: { "imprest.dev/profile": "large" },
    spec: {
      containers: [app("agent", { volumeMounts: [{ name: "imprest-store", mountPath: "/s" }] })],
      volumes: [{ name: "imprest-store", emptyDir: {} }],
    },
  },
  { called: "one without a token", spec: { automountServiceAccountToken: false } },
  { called: "one that did not opt in", labels: { "imprest.dev/inject": "false" } },
  { called: "one on its node's network", spec: { hostNetwork: true } },
  { called: "one for Windows", spec: { os: { name: "windows" } } },
];

/** What becomes of them is for their namespace to say. */
export const SILENT: readonly Sample[] = [
  { called: "one of a namespace that opted in", isSilent: true },
  { called: "one of a namespace that says nothing", isSilent: true, namespace: "globex" },
];

export const REFUSED: readonly (Sample & { readonly says: string })[] = [
  {
    called: "another's tenant",
    labels: { "imprest.dev/tenant": "umbrella" },
    says: "imprest.dev/tenant",
  },
  {
    called: "an unknown annotation",
    annotations: { "imprest.dev/profle": "large" },
    says: "imprest.dev/profile",
  },
  {
    called: "an unknown profile",
    annotations: { "imprest.dev/profile": "larg" },
    says: "imprest.dev/profile",
  },
  {
    called: "an unknown level",
    annotations: { "imprest.dev/log-level": "loud" },
    says: "trace, debug",
  },
  {
    called: "a container that is not there",
    annotations: { "imprest.dev/containers": "agent,nobody" },
    says: "imprest.dev/containers",
  },
  {
    called: "neither true nor false",
    labels: { "imprest.dev/inject": "yes" },
    says: '"true", "false"',
  },
  {
    called: "a sidecar of another tenant",
    spec: { initContainers: [app("imprest-sidecar", { args: ["--tenant=umbrella"] })] },
    says: "imprest-sidecar",
  },
  {
    called: "no tenant at all",
    labels: { "imprest.dev/tenant": "" },
    says: "imprest.dev/tenant",
  },
  {
    called: "an ordinary init container in the sidecar's place",
    spec: { initContainers: [app("imprest-sidecar", { args: ["--tenant=acme"] })] },
    says: "imprest-sidecar: restartPolicy",
  },
  {
    called: "another key of the policy",
    spec: {
      volumes: [
        {
          name: "imprest-policy",
          configMap: { name: "imprest-policy", items: [{ key: "mine", path: "policy.yaml" }] },
        },
      ],
    },
    says: "volume imprest-policy",
  },
  ...["imprest-policy", "imprest-socket", "imprest-journal", "imprest-token", "imprest-store"].map(
    (name) => ({
      called: `a volume of its own called ${name}`,
      spec: { volumes: [{ name, emptyDir: {} }] },
      says: `volume ${name}`,
    }),
  ),
  ...["imprest-journal", "imprest-token", "imprest-store", "imprest-socket"].map((name) => ({
    called: `a container that mounts ${name} itself`,
    spec: {
      initContainers: [app("a")],
      containers: [app("thief", { volumeMounts: [{ name, mountPath: "/mine" }] })],
    },
    says: "container thief",
  })),
  {
    called: "a volume of its own where the socket is",
    spec: {
      containers: [app("agent", { volumeMounts: [{ name: "x", mountPath: "/run/imprest/" }] })],
      volumes: [{ name: "x", emptyDir: {} }],
    },
    says: "container agent",
  },
  {
    called: "a port of the sidecar's",
    spec: { initContainers: [app("a", { ports: [{ containerPort: 4602 }] })] },
    says: "container a",
  },
];

/** What its author may do to the sidecar of a copied pod, by the member that is named. */
export const TAMPERED: readonly (readonly [string, JsonObject])[] = [
  ["image", { image: "elsewhere/imprest:1" }],
  ["command", { command: ["/usr/local/bin/node"] }],
  ["args", { args: ["sidecar", "--store=memory:", "--tenant=acme"] }],
  ["envFrom", { envFrom: [{ configMapRef: { name: "mine" } }] }],
  ["lifecycle", { lifecycle: { postStart: { exec: { command: ["x"] } } } }],
  ["env", { env: [{ name: "NODE_OPTIONS", value: "--import=/x.js" }] }],
  ["volumeMounts", { volumeMounts: [{ name: "imprest-socket", mountPath: "/run/imprest" }] }],
];
export const ADDED: readonly (readonly [string, JsonObject, string])[] = [
  ["env", { name: "IMPREST_AUTH", value: "jwt" }, "env"],
  ["env", { name: "NODE_EXTRA_CA_CERTS", value: "/x" }, "env"],
  ["volumeMounts", { name: "mine", mountPath: "/app" }, "volumeMounts"],
  ["volumeMounts", { name: "mine", mountPath: "/var/run/secrets/imprest-store/x" }, "volumeMounts"],
];
/** What other webhooks put into every container. */
export const LET_BE: readonly (readonly [string, JsonObject])[] = [
  ["env", { name: "DD_AGENT_HOST", value: "10.0.0.1" }],
  ["volumeMounts", { name: "mine", mountPath: "/var/run/secrets/eks.amazonaws.com/x" }],
];
