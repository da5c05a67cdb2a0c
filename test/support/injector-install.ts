/** What an injector needs in a cluster, with the rights of the chart and no more, and its replicas as processes here. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Json } from "../../src/core/inject/pod.ts";
import { startCommand, type CommandProcess } from "./command-process.ts";
import type { ControlPlane } from "./control-plane.ts";
import { CONFIG, type JsonObject } from "./pods.ts";

const SYSTEM = "imprest-system";
const NAME = "imprest-injector";
export const WEBHOOK_PATH = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${NAME}`;
export const SECRET_PATH = `/api/v1/namespaces/${SYSTEM}/secrets/${CONFIG.secret}`;

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const metadata = { name: NAME };
const subjects = [{ kind: "ServiceAccount", name: NAME, namespace: SYSTEM }];
const roleRef = (kind: string) => ({ apiGroup: "rbac.authorization.k8s.io", kind, name: NAME });
const rights = (groups: string[], resources: string[], verbs: string[], names?: string[]) => ({
  ...{ apiGroups: groups, resources, verbs },
  ...(names === undefined ? {} : { resourceNames: names }),
});

const entry = (name: string, namespaces: Json, pods: readonly Json[]): Json => ({
  name,
  admissionReviewVersions: ["v1"],
  sideEffects: "NoneOnDryRun",
  reinvocationPolicy: "IfNeeded",
  failurePolicy: "Fail",
  timeoutSeconds: 3,
  clientConfig: { service: { name: NAME, namespace: SYSTEM, path: "/mutate", port: 443 } },
  rules: [
    {
      ...{ apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] },
      ...{ operations: ["CREATE"], scope: "Namespaced" },
    },
  ],
  namespaceSelector: {
    matchExpressions: [
      namespaces,
      { key: "kubernetes.io/metadata.name", operator: "NotIn", values: ["kube-system", SYSTEM] },
    ],
  },
  objectSelector: {
    matchExpressions: [
      { key: "imprest.dev/inject", operator: "NotIn", values: ["false"] },
      ...pods,
    ],
  },
});
const INJECTION = "imprest.dev/injection";
/** Without a caBundle: that is the injector's. */
export const WEBHOOK: JsonObject = {
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "MutatingWebhookConfiguration",
  metadata,
  webhooks: [
    entry(
      "namespace.injector.imprest.dev",
      { key: INJECTION, operator: "In", values: ["enabled"] },
      [],
    ),
    entry("pod.injector.imprest.dev", { key: INJECTION, operator: "NotIn", values: ["enabled"] }, [
      { key: "imprest.dev/inject", operator: "Exists" },
    ]),
  ],
};

/** Port 443 of the service leads to `port` of this machine. */
export const endpoints = (address: string, port: number): JsonObject => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { ...metadata, labels: { "kubernetes.io/service-name": NAME } },
  addressType: "IPv4",
  endpoints: [{ addresses: [address], conditions: { ready: true } }],
  ports: [{ name: "https", port, protocol: "TCP" }],
});

export const SLICES = `/apis/discovery.k8s.io/v1/namespaces/${SYSTEM}/endpointslices`;

export async function installInjector({ api, address }: ControlPlane): Promise<void> {
  const inSystem = (collection: string): string => `/api/v1/namespaces/${SYSTEM}/${collection}`;
  await api.create("/api/v1/namespaces", { metadata: { name: SYSTEM } });
  await api.create(inSystem("serviceaccounts"), { metadata });
  await api.create(inSystem("secrets"), { metadata: { name: CONFIG.secret }, type: "Opaque" });
  await api.create(inSystem("services"), {
    metadata,
    spec: { ports: [{ name: "https", port: 443, targetPort: 8443 }] },
  });
  await api.create(SLICES, endpoints(address, 9));
  await api.create(`${RBAC}/clusterroles`, {
    metadata,
    rules: [
      rights([""], ["namespaces"], ["get", "list", "watch"]),
      rights(
        ["admissionregistration.k8s.io"],
        ["mutatingwebhookconfigurations"],
        ["get", "list", "watch", "patch", "update"],
        [NAME],
      ),
      rights([""], ["events"], ["create", "patch"]),
    ],
  });
  await api.create(`${RBAC}/clusterrolebindings`, {
    ...{ metadata, subjects, roleRef: roleRef("ClusterRole") },
  });
  await api.create(`${RBAC}/namespaces/${SYSTEM}/roles`, {
    metadata,
    rules: [
      rights([""], ["secrets"], ["get", "list", "watch", "patch", "update"], [CONFIG.secret]),
      rights(["coordination.k8s.io"], ["leases"], ["create"]),
      rights(["coordination.k8s.io"], ["leases"], ["get", "patch", "update"], [CONFIG.lease]),
    ],
  });
  await api.create(`${RBAC}/namespaces/${SYSTEM}/rolebindings`, {
    ...{ metadata, subjects, roleRef: roleRef("Role") },
  });
  await api.create(WEBHOOK_PATH.slice(0, WEBHOOK_PATH.lastIndexOf("/")), WEBHOOK);
}

export interface Replica {
  readonly process: CommandProcess;
  readonly port: number;
  /** /readyz?verbose; "" while it does not answer. */
  readyz(): Promise<{ readonly isReady: boolean; readonly text: string }>;
  metrics(): Promise<string>;
}

export interface Replicas {
  start(identity: string): Promise<Replica>;
  /** Changes the file that all of them follow. */
  configure(document: JsonObject): Promise<void>;
  readonly config: string;
  stop(): Promise<void>;
}

export async function openReplicas(
  plane: ControlPlane,
  document: JsonObject = CONFIG,
): Promise<Replicas> {
  const folder = await mkdtemp(path.join(tmpdir(), "imprest-injector-"));
  const config = path.join(folder, "injector.yaml");
  await writeFile(config, JSON.stringify(document));
  const kubeconfig = await plane.kubeconfigOf(SYSTEM, NAME);
  const started: CommandProcess[] = [];
  return {
    config,
    configure: (changed) => writeFile(config, JSON.stringify(changed)),
    async start(identity) {
      const words = ["injector", "--config", config, "--kubeconfig", kubeconfig];
      const ports = ["--listen", "0.0.0.0:0", "--http", "127.0.0.1:0", "--drain-linger", "200ms"];
      const process = startCommand([...words, ...ports], { env: { POD_NAME: identity } });
      started.push(process);
      const { listen, http } = await process.logged("serving");
      const ask = (at: string) => fetch(`http://${String(http)}${at}`);
      return {
        process,
        port: Number(String(listen).split(":").at(-1)),
        async readyz() {
          const answer = await ask("/readyz?verbose");
          return { isReady: answer.ok, text: await answer.text() };
        },
        metrics: async () => (await ask("/metrics")).text(),
      };
    },
    async stop() {
      for (const process of started) process.send("SIGKILL");
      await Promise.all(started.map((process) => process.ended()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
