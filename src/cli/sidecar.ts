/** `imprest sidecar`: reads the configuration, starts the data plane, stays until a signal or a defect. */
import { hostname } from "node:os";
import { formatAddress } from "../adapters/grpc/address.ts";
import {
  ConfigurationError,
  InUseError,
  LOG_LEVELS,
  type SidecarConfig,
} from "../compose/sidecar-config.ts";
import { boundTwice, isLoopback, listenAddress, tcpAddress } from "./address.ts";
import { defineCommand, type Command, type Found } from "./command.ts";
import type { Problem } from "./configuration.ts";
import { defaulted, optional, pending, required, type Reader, type Values } from "./flag.ts";
import { count, duration, listOf, matching, oneOf, tenantName, text } from "./reader.ts";
import type { Host } from "./host.ts";
import { tellNotStarted, untilEnded } from "./lifetime.ts";
import { checkStore, STORE_FLAGS, storeConfig } from "./store-flags.ts";
import { packageVersion } from "./version.ts";

/** Timers of Node end at 2^31 ms, 24.8 days. */
const A_DAY = 86_400_000;

/** A mode of which this version has one value alone. */
const only =
  (has: string, lacks: RegExp): Reader<string> =>
  (value) => {
    if (value === has) return { value };
    const known = lacks.exec(value)?.[0];
    return known === undefined
      ? { allowed: has, found: "something else" }
      : { allowed: `${has}: this version does not have ${known} yet`, found: known };
  };

const octal: Reader<number> = (value) =>
  /^(0o)?[0-7]{3,4}$/.test(value) && Number.parseInt(value.replace("0o", ""), 8) <= 0o777
    ? { value: Number.parseInt(value.replace("0o", ""), 8) }
    : { allowed: "permission bits in octal, from 0000 to 0777, such as 0660" };

const tenantList: Reader<readonly string[]> = (value) =>
  value === "none" ? { value: [] } : listOf(tenantName)(value);

const FLAGS = {
  policy: required(
    "FILE",
    "The policy document. A valid edit is applied, a broken one is not.",
    text,
  ),
  listen: defaulted(
    "LIST",
    "unix:/run/imprest/imprest.sock,127.0.0.1:4600",
    "Where QuotaService answers: unix:PATH and HOST:PORT, comma-separated.",
    listOf(listenAddress),
  ),
  "socket-mode": defaulted("OCTAL", "0666", "Permission bits of unix sockets.", octal),
  "socket-group": optional("NAME", "Group of unix sockets.", text),
  health: defaulted("HOST:PORT", "0.0.0.0:4601", "grpc.health.v1 alone, for probes.", tcpAddress),
  http: defaulted("HOST:PORT", "0.0.0.0:4602", "/livez, /readyz, /metrics.", tcpAddress),
  ...STORE_FLAGS,
  wait: defaulted(
    "DURATION",
    "250ms",
    "Longest wait of a request for the store.",
    duration(0, A_DAY),
  ),
  tenant: optional("NAME", "Serve this tenant alone.", tenantName),
  auth: defaulted(
    "MODE",
    "none",
    "Who may call. none: whoever reaches a unix socket or loopback.",
    only("none", /^(api-key|jwt)$/),
  ),
  holder: optional(
    "NAME",
    "A label of this sidecar in logs, balances and `ledger show`, not an identity. Default: POD_NAME, else the host's name.",
    matching(/^[A-Za-z0-9_.:@-]{1,253}$/, "1 to 253 of A-Z a-z 0-9 _ . : @ -"),
  ),
  "drain-timeout": defaulted(
    "DURATION",
    "1.5s",
    "After a signal, how long open calls may take to finish.",
    duration(0, A_DAY),
  ),
  journal: optional(
    "DIR",
    "Keep a journal there, to lose nothing when the process restarts. One process for each folder.",
    text,
  ),
  "journal-sync": defaulted(
    "DURATION",
    "1s",
    "How often the journal is synced to the device, for when the machine stops.",
    duration(1, A_DAY),
  ),
  "idempotency-keys": defaulted(
    "N",
    "100000",
    "Most keys and settled answers that are remembered.",
    count(1, 100_000_000),
  ),
  "metrics-tenants": defaulted(
    "LIST",
    "none",
    "Tenants that metrics name, comma-separated.",
    tenantList,
  ),
  records: defaulted("LIST", "none", "Where usage records go.", only("none", /^file:/)),
  "log-level": defaulted("LEVEL", "info", `One of ${LOG_LEVELS.join(", ")}.`, oneOf(...LOG_LEVELS)),
  "jwt-issuer": pending("URL", "Issuer of the JWTs."),
  "jwt-audience": pending("NAME", "Audience of the JWTs."),
  "jwt-jwks": pending("FILE|URL", "Keys of the issuer."),
  "jwt-tenant-claim": pending("NAME", "The claim that names the tenant."),
  "tls-cert": pending("FILE", "Certificate of the TCP listeners."),
  "tls-key": pending("FILE", "Its key."),
  "tls-client-ca": pending("FILE", "Who signs the certificates of clients."),
  "allow-plaintext": pending("", "TCP beyond loopback without TLS."),
} as const;

export type SidecarValues = Values<typeof FLAGS>;

function check({ values, given, env }: Found<typeof FLAGS>): readonly Problem[] {
  const problems: Problem[] = [];
  for (const address of values.listen ?? []) {
    if (isLoopback(address)) continue;
    problems.push({
      where: "--listen",
      found: `${formatAddress(address)} with --auth none`,
      allowed:
        "unix:PATH and loopback (127.0.0.1, [::1], localhost), as long as nobody is asked who they are",
    });
  }
  const { listen = [], health, http } = values;
  for (const address of boundTwice([
    ...listen,
    ...[health, http].filter((one) => one !== undefined),
  ])) {
    problems.push({
      where: "--listen, --health, --http",
      found: `${address} twice`,
      allowed: "each once",
    });
  }
  if ((env["KUBERNETES_SERVICE_HOST"] ?? "") !== "" && !given.has("store")) {
    problems.push({
      where: "--store (or IMPREST_STORE)",
      found: "nothing, inside Kubernetes",
      allowed:
        "redis://HOST:PORT, or memory:, said out loud: each replica then has every limit for itself",
    });
  }
  return [...problems, ...checkStore(values)];
}

/** The files that are named beside flags that are wrong. */
async function inspect({ values }: Found<typeof FLAGS>): Promise<readonly string[]> {
  const { fileFaults } = await import("../compose/preflight.ts");
  const { policy, store, "store-password-file": storePasswordFile, journal } = values;
  if (store === "memory:") return fileFaults({ policy, journal });
  return fileFaults({ policy, journal, storeUrl: store, storePasswordFile });
}

/** What the flags say, in the words of the composition. */
export const sidecarConfig = (
  values: SidecarValues,
  host: Pick<Host, "env" | "root">,
): SidecarConfig => ({
  version: packageVersion(host.root),
  policy: values.policy,
  listen: values.listen,
  socketMode: values["socket-mode"],
  socketGroup: values["socket-group"] ?? "",
  health: values.health,
  http: values.http,
  store: storeConfig(values),
  waitMs: values.wait,
  tenant: values.tenant ?? "",
  holder: values.holder ?? (host.env["POD_NAME"] || hostname()),
  drainTimeoutMs: values["drain-timeout"],
  journal: values.journal ?? "",
  journalSyncMs: values["journal-sync"],
  idempotencyKeys: values["idempotency-keys"],
  metricsTenants: values["metrics-tenants"],
  logLevel: values["log-level"],
});

/** Runs until a signal (0) or a defect (1) ends it; 2 where it could not start as it was configured. */
async function serve(host: Host, config: SidecarConfig): Promise<number> {
  const stop = host.stopSignal();
  const { createSidecar } = await import("../compose/sidecar.ts");
  const { createLog } = await import("../adapters/log/pino.ts");
  const log = createLog({ level: config.logLevel, holder: config.holder });
  const ended = untilEnded(host, stop, log);
  const running = createSidecar(config, { log });
  try {
    await running.start();
  } catch (error) {
    if (error instanceof InUseError) {
      tellNotStarted(host, "sidecar", [error.message]);
      return 1;
    }
    if (!(error instanceof ConfigurationError)) throw error;
    tellNotStarted(host, "sidecar", error.problems);
    return 2;
  }
  const status = await ended;
  await running.drain();
  return status;
}

export const sidecar: Command = defineCommand({
  name: "sidecar",
  about:
    "Answers Check, Reserve and Commit next to an agent until a signal ends it. memory: keeps every unit in this process: right for one replica, development and tests. A fleet shares its limits through Redis.",
  flags: FLAGS,
  check,
  inspect,
  exits: {
    0: "drained after SIGTERM or SIGINT",
    1: "anything else, a defect included",
    2: "a configuration error, a policy that cannot be read or has errors, an address in use, a live socket",
  },
  examples: [
    { line: "imprest sidecar --policy policy.yaml", says: "On the default socket and ports." },
    {
      line: "imprest sidecar --policy policy.yaml --listen unix:/tmp/imprest.sock,127.0.0.1:4600",
      says: "Where one may not write to /run.",
    },
    {
      line: "IMPREST_POLICY=policy.yaml IMPREST_TENANT=acme IMPREST_STORE=memory: imprest sidecar",
      says: "Configured by variables, for one tenant alone.",
    },
    {
      line: "imprest sidecar --policy policy.yaml --store redis+sentinel://s1,s2,s3/main --confirm strict",
      says: "One of a fleet, whose limits hold across all of it.",
    },
  ],
  run: (host, { values }) => serve(host, sidecarConfig(values, host)),
});
