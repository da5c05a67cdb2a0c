/**
 * The sidecar, put together: a policy source, an engine on its store, and the listeners. Everything
 * that it needs from the machine can be handed in, so that tests and the demo run the same composition.
 */
import { createCalendar } from "../adapters/calendar/calendar.ts";
import { BindError, notBound } from "../adapters/grpc/bind.ts";
import { createGrpcServer, GOODBYE_MS, type GrpcServer } from "../adapters/grpc/server.ts";
import { createHttpServer, type HttpServer } from "../adapters/http/server.ts";
import type { OpenJournal } from "../adapters/journal/journal.ts";
import { createLog } from "../adapters/log/pino.ts";
import { createFilePolicySource } from "../adapters/policy/file-source.ts";
import { createClock } from "../adapters/system/clock.ts";
import { createRng } from "../adapters/system/rng.ts";
import { createMetrics, type Metrics } from "../adapters/telemetry/metrics.ts";
import { formatAddress } from "../adapters/grpc/address.ts";
import type { DurationMs } from "../core/time.ts";
import { createEngine, type Engine } from "../engine/driver.ts";
import type { Clock } from "../ports/clock.ts";
import type { LeaseStore } from "../ports/lease-store.ts";
import type { Log } from "../ports/log.ts";
import type { PolicySource } from "../ports/policy-source.ts";
import type { Rng } from "../ports/rng.ts";
import { readDescriptorSet } from "./descriptors.ts";
import { heapBounds, type HeapBounds } from "./heap-bounds.ts";
import { openConfiguredJournal } from "./journal.ts";
import { loadConfigured } from "./preflight.ts";
import { createReadiness, type Readiness } from "./readiness.ts";
import { createReloader } from "./reloader.ts";
import { ConfigurationError, type SidecarConfig } from "./sidecar-config.ts";
import { openStore, type OpenStore } from "./store.ts";
import { describeStore } from "./store-config.ts";

/** Kept back of the drain timeout, to settle and to close what is still open then. */
const CLOSING_MS: DurationMs = GOODBYE_MS + 100;
/** Kept back for a fleet's store to hear what was settled and take the leases, however long open calls took. */
const SETTLING_MS: DurationMs = 300;

/** What a test or the demo replaces. */
export interface SidecarDeps {
  readonly log?: Log;
  readonly source?: PolicySource;
  readonly clock?: Clock;
  readonly rng?: Rng;
  readonly store?: LeaseStore;
}

/** Where it listens, in the form of the flags, ports resolved. */
export interface Addresses {
  readonly listen: readonly string[];
  readonly health: string;
  readonly http: string;
}

export interface Sidecar {
  /**
   * Resolves once every listener answers and health says SERVING.
   * @throws ConfigurationError where the operator has to change something; then nothing listens
   */
  start(): Promise<Addresses>;
  /** Refuses new calls, lets open ones finish, settles, closes; at most the drain timeout. */
  drain(): Promise<void>;
  /** The same without waiting for anybody. */
  stop(): Promise<void>;
}

interface Running {
  readonly engine: Engine;
  readonly grpc: GrpcServer;
  readonly http: HttpServer;
  readonly store: OpenStore;
  readonly journal: OpenJournal | undefined;
  readonly stopWatching: () => void;
}

export function createSidecar(config: SidecarConfig, deps: SidecarDeps = {}): Sidecar {
  const log = deps.log ?? createLog({ level: config.logLevel, holder: config.holder });
  const readiness = createReadiness();
  const bounds = heapBounds(config.idempotencyKeys);
  let running: Running | undefined;
  let ended: Promise<void> | undefined;

  const end = async (patienceMs: DurationMs): Promise<void> => {
    if (running === undefined) return;
    readiness.drain();
    log.info({}, "draining");
    const settlingMs = config.store.kind === "memory" ? 0 : SETTLING_MS;
    const until = performance.now() + patienceMs;
    try {
      await within(Math.max(0, patienceMs - settlingMs), running.grpc.drain());
      const left = Math.max(settlingMs, until - performance.now());
      const isSettled = await within(left, running.engine.drain());
      if (!isSettled) log.warn({}, "the store has not taken all leases back");
    } finally {
      await dismantle(running);
    }
    log.info({}, "drained");
  };

  return {
    async start() {
      const parts = await assemble(config, deps, { log, readiness, bounds });
      const addresses = await listen(config, parts).catch(async (error: unknown) => {
        await dismantle(parts);
        throw error;
      });
      running = parts;
      parts.grpc.serve();
      readiness.serve();
      const { tenant, version } = config;
      const { idempotencyKeys } = bounds;
      const store = describeStore(config.store);
      log.info({ ...addresses, version, tenant, idempotencyKeys, store }, "serving");
      return addresses;
    },
    drain: () => (ended ??= end(Math.max(0, config.drainTimeoutMs - CLOSING_MS))),
    stop: () => (ended ??= end(0)),
  };
}

async function assemble(
  config: SidecarConfig,
  deps: SidecarDeps,
  shared: { readonly log: Log; readonly readiness: Readiness; readonly bounds: HeapBounds },
): Promise<Running> {
  const { log, readiness, bounds } = shared;
  const clock = deps.clock ?? createClock();
  const rng = deps.rng ?? createRng();
  const revisionRequired = config.store.kind !== "memory";
  const source = deps.source ?? createFilePolicySource(config.policy, { clock, revisionRequired });
  const document = await loadConfigured(config, source);
  const { version, metricsTenants, waitMs } = config;
  const metrics = createMetrics({ version, tenants: metricsTenants });
  const { telemetry, timings } = metrics;
  const journal = await openConfiguredJournal(config, log);
  const store = await openStore(config, {
    ...{ clock, rng, log, timings, journal },
    store: deps.store,
  }).catch(async (error: unknown) => {
    await journal?.journal.close();
    throw error;
  });
  const engine = createEngine({
    document,
    calendar: createCalendar(),
    clock,
    rng,
    store: store.engineStore,
    log,
    telemetry,
    waitMs,
    ...bounds,
    ...(journal && { journal }),
  });
  journal?.forget(); // the engine has it now
  if (journal) for (const who of [readiness, metrics]) who.watchJournal(() => journal.keeps());
  metrics.watch(engine);
  readiness.watch(engine, document.version, () => store.describe());
  const reload = createReloader({ engine, readiness, telemetry, log });
  return {
    engine,
    store,
    journal,
    grpc: createGrpcServer({
      quota: engine,
      listen: config.listen,
      rights: { mode: config.socketMode, group: config.socketGroup },
      health: config.health,
      tenant: config.tenant,
      descriptorSet: await readDescriptorSet(),
      timings,
      log,
    }),
    http: createHttp(config, readiness, metrics),
    stopWatching: source.watch(reload),
  };
}

const createHttp = (config: SidecarConfig, readiness: Readiness, metrics: Metrics): HttpServer =>
  createHttpServer({
    host: config.http.host,
    port: config.http.port,
    live: () => [],
    ready: () => readiness.checks(),
    metrics: () => metrics.expose(),
    metricsType: metrics.contentType,
  });

async function dismantle(running: Running): Promise<void> {
  const { engine, grpc, http, store, journal, stopWatching } = running;
  stopWatching();
  await grpc.close();
  await http.close();
  engine.stop();
  await store.close();
  await journal?.journal.close();
}

/** All of them, or a {@link ConfigurationError} that tells each that cannot be had. */
async function listen(config: SidecarConfig, { grpc, http }: Running): Promise<Addresses> {
  const [calls, pages] = await Promise.allSettled([grpc.start(), http.start()]);
  if (calls.status === "fulfilled" && pages.status === "fulfilled") {
    return { ...calls.value, http: formatAddress({ ...config.http, port: pages.value }) };
  }
  const problems: string[] = [];
  if (calls.status === "rejected") {
    if (!(calls.reason instanceof BindError)) throw calls.reason;
    problems.push(...calls.reason.problems);
  }
  if (pages.status === "rejected") {
    problems.push(notBound(formatAddress(config.http), pages.reason));
  }
  throw new ConfigurationError(problems);
}

/** Resolves with `work`, and no later than after `ms`; true: the work is done. */
async function within(ms: DurationMs, work: Promise<void>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), ms);
  const isDone = await Promise.race([work.then(() => true), late.promise]);
  clearTimeout(timer);
  return isDone;
}
