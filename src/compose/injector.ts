/**
 * The injector, put together: answers the API server from what it knows beforehand, and keeps up to date what it
 * knows. Nothing is asked of the API server while it waits for an answer.
 */
import { hostname } from "node:os";
import { formatAddress, type TcpAddress } from "../adapters/grpc/address.ts";
import { createHttpServer } from "../adapters/http/server.ts";
import { createApiClient } from "../adapters/kubernetes/api-client.ts";
import { keepCertificates } from "../adapters/kubernetes/certificates.ts";
import { createEventWriter } from "../adapters/kubernetes/events.ts";
import { openConfigFile, type ConfigFile } from "../adapters/kubernetes/injector-config-file.ts";
import type { InjectorConfig } from "../adapters/kubernetes/injector-config.ts";
import type { ApiAccess } from "../adapters/kubernetes/kube-config.ts";
import { leadByLease } from "../adapters/kubernetes/leader.ts";
import { readNamespace } from "../adapters/kubernetes/object.ts";
import { watchCollection } from "../adapters/kubernetes/watched.ts";
import { createWebhookServer } from "../adapters/kubernetes/webhook-server.ts";
import { createClock } from "../adapters/system/clock.ts";
import { createInjectorMetrics } from "../adapters/telemetry/injector-metrics.ts";
import type { DurationMs } from "../core/time.ts";
import type { Log } from "../ports/log.ts";
import { createAdmission } from "./admission.ts";
import { injectorReadiness } from "./injector-readiness.ts";
import { ConfigurationError } from "./sidecar-config.ts";

export interface InjectorOptions {
  readonly version: string;
  /** Path of the configuration. */
  readonly config: string;
  readonly listen: TcpAddress;
  readonly http: TcpAddress;
  readonly access: ApiAccess;
  /** Unique among the replicas; "": the host's name. */
  readonly identity: string;
  /** How long it goes on answering once it is to stop: API servers hear late that it is gone. */
  readonly lingerMs: DurationMs;
  readonly log: Log;
}

export interface Injector {
  /**
   * Resolves once it listens; ready it is later, when it knows what it needs.
   * @throws ConfigurationError
   */
  start(): Promise<{ readonly listen: string; readonly http: string }>;
  /** Answers for a while, then gives the Lease back and closes. */
  drain(): Promise<void>;
}

export function createInjector(options: InjectorOptions): Injector {
  const clock = createClock();
  const file = openConfigFile(options.config, options.version, clock);
  let running: Awaited<ReturnType<typeof assemble>> | undefined;
  return {
    async start() {
      const config = await loadConfig(file, options.config);
      running = await assemble(options, config, file, clock);
      const { listen, http } = running;
      options.log.info({ listen, http, version: options.version }, "serving");
      return { listen, http };
    },
    async drain() {
      await running?.drain();
      options.log.info({}, "drained");
    },
  };
}

async function loadConfig(file: ConfigFile, path: string): Promise<InjectorConfig> {
  const reading = await file.load().catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    return { problems: [why] };
  });
  if ("config" in reading) return reading.config;
  throw new ConfigurationError(reading.problems.map((problem) => `${path}: ${problem}`));
}

/** Names that the API server may call the injector's service by; the first is the one that it does use. */
const namesOf = ({ service, namespace, clusterDomain }: InjectorConfig): readonly string[] => [
  `${service}.${namespace}.svc`,
  `${service}.${namespace}.svc.${clusterDomain}`,
  `${service}.${namespace}`,
  service,
];

async function assemble(
  options: InjectorOptions,
  first: InjectorConfig,
  file: ConfigFile,
  clock: ReturnType<typeof createClock>,
) {
  const { log } = options;
  const identity = options.identity || hostname();
  let config = first;
  const api = createApiClient(options.access);
  const metrics = createInjectorMetrics(options.version);
  const namespaces = watchCollection({ api, log, path: "/api/v1/namespaces", read: readNamespace });
  const events = createEventWriter({ api, clock, log, identity, ended: metrics.eventEnded });
  const admission = createAdmission({
    clock,
    log,
    namespaces,
    config: () => config.injection,
    admitted: metrics.admitted,
    skipped: (about, namespace, message) => {
      if (config.events) events.warn(about, namespace, "ImprestSidecarSkipped", message);
    },
  });
  const webhook = createWebhookServer(admission);
  const leadership = leadByLease({
    ...{ api, clock, log, identity, namespace: first.namespace, lease: first.lease },
    onChange: () => certificates.look(),
  });
  const certificates = keepCertificates({
    ...{ api, clock, log, namespace: first.namespace, secret: first.secret },
    webhook: first.webhook,
    names: namesOf(first),
    times: () => config.certificates,
    isLeader: leadership.isLeader,
    serve: webhook.use,
  });
  const readiness = injectorReadiness(namespaces, certificates);
  metrics.watch({
    certificateExpirySeconds: () => (certificates.servedUntil() ?? 0) / 1_000,
    isInSync: certificates.isInSync,
    hasNamespaces: () => namespaces.copy() !== undefined,
    isLeader: leadership.isLeader,
  });
  const stopWatching = file.watch((reading) => {
    const isGood = "config" in reading;
    metrics.reloaded(isGood);
    readiness.reloaded(isGood ? "" : (reading.problems[0] ?? ""));
    if (!isGood) return log.error(reading, "configuration not reloaded; the last good one stays");
    config = reading.config;
    log.info(
      {},
      "configuration reloaded; names of objects and the service hold from the next start on",
    );
  });
  const http = createHttpServer({
    ...{ host: options.http.host, port: options.http.port },
    live: () => [],
    ready: readiness.checks,
    metrics: metrics.expose,
    metricsType: metrics.contentType,
  });
  const close = async (): Promise<void> => {
    await webhook.close();
    stopWatching();
    certificates.stop();
    namespaces.stop();
    await http.close();
    api.close();
  };
  const listeners: readonly Listener[] = [
    { flag: "--listen", at: options.listen, start: ({ host, port }) => webhook.start(host, port) },
    { flag: "--http", at: options.http, start: () => http.start() },
  ];
  const [listen = "", httpAt = ""] = await listenOn(listeners).catch(async (error: unknown) => {
    await leadership.stop();
    await close();
    throw error;
  });

  return {
    listen,
    http: httpAt,
    async drain() {
      readiness.drain();
      webhook.drain();
      log.info({ lingerMs: options.lingerMs }, "draining");
      await leadership.stop();
      await new Promise<void>((resolve) => void setTimeout(resolve, options.lingerMs));
      await close();
    },
  };
}

interface Listener {
  readonly flag: string;
  readonly at: TcpAddress;
  /** Resolves with its port. */
  readonly start: (at: TcpAddress) => Promise<number>;
}

/** All of them, or a {@link ConfigurationError} that tells of each that cannot be had. */
async function listenOn(listeners: readonly Listener[]): Promise<readonly string[]> {
  const problems: string[] = [];
  const addresses: string[] = [];
  for (const { flag, at, start } of listeners) {
    try {
      addresses.push(formatAddress({ ...at, port: await start(at) }));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      problems.push(
        `${flag}: found ${formatAddress(at)} (${why}); allowed: an address of this machine that nobody listens on`,
      );
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  return addresses;
}
