/** Where the API server is and who we are to it: from inside a pod, or from a kubeconfig file. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { createSecureContext } from "node:tls";
import { load } from "js-yaml";
import { z } from "zod";

export interface ApiAccess {
  readonly server: URL;
  /** PEM; `undefined`: what the system trusts. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** Asked for each request: a pod's token is replaced while it runs. "": none. */
  token(): Promise<string>;
}

/** What is wrong is for the operator to read. */
export class AccessError extends Error {
  override readonly name = "AccessError";
}

const IN_POD = "/var/run/secrets/kubernetes.io/serviceaccount";

export async function accessInPod(
  env: Readonly<Record<string, string | undefined>>,
): Promise<ApiAccess> {
  const host = env["KUBERNETES_SERVICE_HOST"];
  if (host === undefined || host === "") {
    throw new AccessError(
      "this is no pod (KUBERNETES_SERVICE_HOST is not set); say --kubeconfig FILE",
    );
  }
  const bracketed = host.includes(":") ? `[${host}]` : host;
  const ca = await readText(path.join(IN_POD, "ca.crt"));
  return {
    server: new URL(`https://${bracketed}:${env["KUBERNETES_SERVICE_PORT"] ?? "443"}`),
    ca,
    cert: undefined,
    key: undefined,
    token: async () => (await readText(path.join(IN_POD, "token"))).trim(),
  };
}

const ClusterShape = z.object({
  server: z.url(),
  "certificate-authority": z.string().optional(),
  "certificate-authority-data": z.string().optional(),
});
const UserShape = z.object({
  token: z.string().optional(),
  tokenFile: z.string().optional(),
  "client-certificate": z.string().optional(),
  "client-certificate-data": z.string().optional(),
  "client-key": z.string().optional(),
  "client-key-data": z.string().optional(),
});
const FileShape = z.object({
  "current-context": z.string(),
  contexts: z.array(
    z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) }),
  ),
  clusters: z.array(z.object({ name: z.string(), cluster: ClusterShape })),
  users: z.array(z.object({ name: z.string(), user: UserShape })),
});

/** Tokens and certificates; programs that print a token (`exec`) are not run. */
export async function accessFromFile(file: string): Promise<ApiAccess> {
  const shape = FileShape.safeParse(readYaml(file, await readText(file)));
  if (!shape.success) {
    const [{ path: at, message } = { path: [], message: "" }] = shape.error.issues;
    throw new AccessError(
      `${file}: found no kubeconfig (${[at.join("."), message].filter(Boolean).join(": ")}); allowed: what kubectl config view --raw prints`,
    );
  }
  const { contexts, clusters, users, "current-context": current } = shape.data;
  const context = contexts.find(({ name }) => name === current)?.context;
  const cluster = clusters.find(({ name }) => name === context?.cluster)?.cluster;
  const user = users.find(({ name }) => name === context?.user)?.user;
  if (cluster === undefined || user === undefined) {
    throw new AccessError(
      `${file}: the context ${JSON.stringify(current)} names no cluster or no user`,
    );
  }
  const content = async (data: string | undefined, at: string | undefined) => {
    if (data !== undefined) return Buffer.from(data, "base64").toString("utf8");
    return at === undefined ? undefined : readText(path.resolve(path.dirname(file), at));
  };
  const { token = "", tokenFile } = user;
  const pems = {
    ca: await content(cluster["certificate-authority-data"], cluster["certificate-authority"]),
    cert: await content(user["client-certificate-data"], user["client-certificate"]),
    key: await content(user["client-key-data"], user["client-key"]),
  };
  checkPems(file, pems);
  return {
    server: serverOf(file, cluster.server),
    ...pems,
    token: async () => (tokenFile === undefined ? token : (await readText(tokenFile)).trim()),
  };
}

function readYaml(file: string, text: string): unknown {
  try {
    return load(text);
  } catch (error) {
    const [why = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    throw new AccessError(`${file}: found no YAML (${why}); allowed: a kubeconfig`, {
      cause: error,
    });
  }
}

function serverOf(file: string, text: string): URL {
  const server = new URL(text);
  if (server.protocol === "https:" || server.protocol === "http:") return server;
  throw new AccessError(`${file}: server: found ${text}; allowed: an address with https: or http:`);
}

type Pems = Pick<ApiAccess, "ca" | "cert" | "key">;

/** Here, where the file is known: the first connection would tell of a PEM without saying where it stands. */
function checkPems(file: string, pems: Pems): void {
  try {
    createSecureContext(pems);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new AccessError(
      `${file}: found a certificate or key that cannot be used (${why}); allowed: PEM, the key of that certificate`,
      { cause: error },
    );
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new AccessError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
