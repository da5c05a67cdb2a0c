/** A real API server with its controllers, on this machine's loopback, without a node: pods stay pending. */
import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, networkInterfaces, tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { createApiClient, type ApiClient } from "../../src/adapters/kubernetes/api-client.ts";
import { accessFromFile } from "../../src/adapters/kubernetes/kube-config.ts";
import { eventually } from "./eventually.ts";
import type { JsonObject } from "./pods.ts";
import { ROOT } from "./sources.ts";

const run = promisify(execFile);
const CACHE = process.env["E2E_CACHE"] ?? path.join(homedir(), ".cache/imprest-e2e");
const BIN = path.join(CACHE, "bin");
const PARTS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"];
/** An address of this machine that a Service may point to: not loopback. */
const ADDRESS = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

export const noControlPlane: string | undefined = missing();

function missing(): string | undefined {
  try {
    for (const part of PARTS) accessSync(path.join(BIN, part), constants.X_OK);
  } catch {
    return `not all of ${PARTS.join(", ")} are in ${BIN}; test/e2e/lab/build makes them`;
  }
  return ADDRESS === undefined ? "this machine has no address but loopback" : undefined;
}

export interface ControlPlane {
  /** Who may do everything. */
  readonly api: ApiClient;
  /** Where a server of this machine is reached by a Service. */
  readonly address: string;
  /** A file, for a service account of its own rights alone. */
  kubeconfigOf(namespace: string, serviceAccount: string): Promise<string>;
  /** Makes a namespace; resolves when pods can be made in it. */
  namespace(name: string, labels: JsonObject, annotations?: JsonObject): Promise<void>;
  /** What kubectl prints, on both outputs; it may fail. */
  kubectl(words: readonly string[], input?: string): Promise<string>;
  /** Ends the API server's process, as a machine that stops does; `start` again is not possible. */
  stop(): Promise<void>;
}

/** `port`: the first of five. */
export async function startControlPlane(port: number): Promise<ControlPlane> {
  const folder = await mkdtemp(path.join(tmpdir(), "imprest-plane-"));
  const cluster = path.join(folder, "c");
  const env = {
    ...process.env,
    ...{ E2E_NODE: "0", E2E_CACHE: CACHE, E2E_DIR: cluster, E2E_PORT: String(port) },
    PATH: `${BIN}:${process.env["PATH"] ?? ""}`,
    KUBECONFIG: path.join(cluster, "kubeconfig"),
  };
  const lab = (name: string) => run(path.join(ROOT, "test/e2e/lab", name), { env });
  await lab("up");
  const access = await accessFromFile(env.KUBECONFIG);
  const api = createApiClient(access);
  return {
    api,
    address: ADDRESS ?? "",
    async kubeconfigOf(namespace, serviceAccount) {
      const at = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
      const answer = await api.create(at, {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { expirationSeconds: 3_600 },
      });
      const { token } = (answer as { readonly status: { readonly token: string } }).status;
      const cluster64 = Buffer.from(access.ca ?? "").toString("base64");
      const file = path.join(folder, `${serviceAccount}.kubeconfig`);
      const named = (member: string, value: object) => [{ name: "x", [member]: value }];
      const server = { server: access.server.origin, "certificate-authority-data": cluster64 };
      const content = {
        "current-context": "x",
        contexts: named("context", { cluster: "x", user: "x" }),
        clusters: named("cluster", server),
        users: named("user", { token }),
      };
      await writeFile(file, JSON.stringify(content), { mode: 0o600 });
      return file;
    },
    async namespace(name, labels, annotations = {}) {
      await api.create("/api/v1/namespaces", { metadata: { name, labels, annotations } });
      const account = `/api/v1/namespaces/${name}/serviceaccounts/default`;
      await eventually(() => api.get(account).then(Boolean, () => false));
    },
    kubectl: async (words, input = "") => {
      const child = run("kubectl", words, { env });
      child.child.stdin?.end(input);
      const { stdout, stderr } = await child.catch(
        (error: { readonly stdout: string; readonly stderr: string }) => error,
      );
      return stdout + stderr;
    },
    async stop() {
      api.close();
      await lab("down");
      await rm(folder, { recursive: true, force: true });
    },
  };
}
