/** `imprest doctor`: looks at a cluster, a sidecar and a store, and says what is wrong and what to do. */
import { existsSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { homedir, hostname } from "node:os";
import path from "node:path";
import { text as readAll } from "node:stream/consumers";
import { formatAddress, type TcpAddress } from "../adapters/grpc/address.ts";
import { createRng } from "../adapters/system/rng.ts";
import { ConfigurationError } from "../compose/sidecar-config.ts";
import { tcpAddress } from "./address.ts";
import { defineCommand, type Command, type Found } from "./command.ts";
import type { Problem } from "./configuration.ts";
import { report, type Finding } from "./doctor/finding.ts";
import { sidecarFindings, type Ask } from "./doctor/sidecar.ts";
import { defaulted, optional, toggle, type Values } from "./flag.ts";
import type { Host } from "./host.ts";
import { inkFor } from "./ink.ts";
import { matching, text } from "./reader.ts";
import { checkStore, SHARED_STORE_FLAGS, sharedStore, sharedStoreConfig } from "./store-flags.ts";
import { packageVersion } from "./version.ts";

const NAME = "[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?";

const FLAGS = {
  kubeconfig: optional(
    "FILE",
    "The cluster. Default: KUBECONFIG, else ~/.kube/config, or inside a pod its service account.",
    text,
  ),
  injector: defaulted(
    "NAMESPACE/NAME",
    "imprest-system/imprest-injector",
    "Of the injector's Deployment and webhook.",
    matching(new RegExp(`^${NAME}/${NAME}$`), "NAMESPACE/NAME"),
  ),
  namespace: optional(
    "NAME",
    "Look at the pods of this namespace alone.",
    matching(new RegExp(`^${NAME}$`), "the name of a namespace"),
  ),
  http: optional("HOST:PORT", "A sidecar's --http, to look at it alone.", tcpAddress),
  ...SHARED_STORE_FLAGS,
  store: optional("URL", "The fleet's store, to look at it too.", sharedStore),
  json: toggle("Print one JSON object instead of lines."),
} as const;

type DoctorValues = Values<typeof FLAGS>;

/** A program that somebody waits for. */
const PATIENCE_MS = 5_000;

/** Where the cluster is asked: "pod", a kubeconfig's path, or "" for nowhere. */
function clusterFrom({ kubeconfig, http, store }: Partial<DoctorValues>, env: Host["env"]): string {
  if (kubeconfig !== undefined) return kubeconfig;
  if (http !== undefined || store !== undefined) return "";
  const [said = ""] = (env["KUBECONFIG"] ?? "").split(path.delimiter);
  if (said !== "") return said;
  if ((env["KUBERNETES_SERVICE_HOST"] ?? "") !== "") return "pod";
  const usual = path.join(env["HOME"] ?? homedir(), ".kube/config");
  return existsSync(usual) ? usual : "";
}

function check({ values, given, env }: Found<typeof FLAGS>): readonly Problem[] {
  // What was given and cannot be read has its own problem.
  const isSomething =
    ["kubeconfig", "http", "store"].some((flag) => given.has(flag)) ||
    clusterFrom(values, env) !== "";
  const nothing = {
    where: "--kubeconfig, --http, --store",
    found: "nothing to look at",
    allowed:
      "a cluster (--kubeconfig FILE), a sidecar (--http 127.0.0.1:4602), a store (--store URL)",
  };
  const { store, ...rest } = values;
  return [
    ...(isSomething ? [] : [nothing]),
    ...checkStore(store === undefined ? rest : { ...rest, store }),
  ];
}

/** GET of a path over plain HTTP. */
const askAt =
  ({ host, port }: Pick<TcpAddress, "host" | "port">): Ask =>
  async (at) => {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    // For all of it: who sends a byte now and then is not silent, and never done.
    const signal = AbortSignal.timeout(PATIENCE_MS);
    get({ host, port, path: at, signal }, resolve).on("error", reject);
    try {
      return await readAll(await promise);
    } catch (error) {
      throw signal.aborted ? new Error("no whole answer within 5 s", { cause: error }) : error;
    }
  };

async function lookAtCluster(
  host: Host,
  values: DoctorValues,
  from: string,
): Promise<readonly Finding[]> {
  const [access, { createApiClient }, { clusterFindings }, { shakeHands }] = await Promise.all([
    import("../adapters/kubernetes/kube-config.ts"),
    import("../adapters/kubernetes/api-client.ts"),
    import("./doctor/cluster.ts"),
    import("./doctor/webhook.ts"),
  ]);
  const isInPod = from === "pod";
  // Of a token's file it is heard at the first call alone.
  const orRefuse = (error: unknown): never => {
    throw error instanceof access.AccessError ? new ConfigurationError([error.message]) : error;
  };
  const credentials = await (
    isInPod ? access.accessInPod(host.env) : access.accessFromFile(from)
  ).catch(orRefuse);
  const api = createApiClient(credentials);
  const [namespace = "", name = ""] = values.injector.split("/");
  const proxied = (pod: { readonly namespace: string; readonly name: string }): Ask => {
    const root = `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}:4602/proxy`;
    return (at) => api.text(`${root}${at}`);
  };
  return clusterFindings(api, {
    injector: { namespace, name },
    namespace: values.namespace ?? "",
    version: packageVersion(host.root),
    handshake: isInPod ? shakeHands : undefined,
    askPod: (pod) => (isInPod ? askAt({ host: pod.ip, port: 4602 }) : proxied(pod)),
    now: Date.now,
  })
    .catch(orRefuse)
    .finally(() => api.close());
}

async function lookAtStore({ store, ...values }: DoctorValues): Promise<readonly Finding[]> {
  if (store === undefined) return [];
  const { visitStore } = await import("../adapters/redis/visit.ts");
  const { storeFindings } = await import("./doctor/store.ts");
  const config = sharedStoreConfig({ ...values, store });
  const visit = await visitStore({ ...config, label: `doctor:${hostname()}`, rng: createRng() });
  return storeFindings(visit, config.confirm, Date.now).finally(() => visit.close());
}

export const doctor: Command = defineCommand({
  name: "doctor",
  about:
    "Looks for what keeps pods from being limited: opted-in pods without a sidecar, a webhook that nobody trusts or reaches, a store that is lost or unfit, clocks and versions that differ. Changes nothing: a pod is tried by a dry run. Credentials that may read pods, namespaces and webhooks are enough; what may not be read is said.",
  flags: FLAGS,
  check,
  exits: {
    0: "nothing wrong was found",
    1: "something is to be put right",
    2: "a configuration error",
  },
  examples: [
    {
      line: "imprest doctor --kubeconfig admin.conf",
      says: "A whole cluster; inside one nothing has to be said.",
    },
    {
      line: "imprest doctor --kubeconfig admin.conf --namespace agents --json",
      says: "One namespace, for a program.",
    },
    { line: "imprest doctor --http 127.0.0.1:4602", says: "The sidecar of this pod or machine." },
    {
      line: "imprest doctor --store redis://127.0.0.1:6379",
      says: "A store: is it reached and fit, does its clock agree?",
    },
  ],
  async run(host, { values }) {
    const from = clusterFrom(values, host.env);
    const findings: Finding[] = [];
    try {
      if (from !== "") findings.push(...(await lookAtCluster(host, values, from)));
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      const [why = ""] = error.problems;
      host.stderr.write(`imprest doctor: nothing was looked at\n  ${why}\n`);
      return 2;
    }
    if (values.http !== undefined) {
      const asked = { who: formatAddress(values.http), silence: "problem" } as const;
      const version = packageVersion(host.root);
      findings.push(...(await sidecarFindings(askAt(values.http), asked, version)));
    }
    findings.push(...(await lookAtStore(values)));
    const isWell = findings.every(({ severity }) => severity !== "problem");
    host.stdout.write(
      values.json
        ? `${JSON.stringify({ ok: isWell, findings })}\n`
        : report(findings, inkFor(host)),
    );
    return isWell ? 0 : 1;
  },
});
