/** The injector's metrics. No label carries a namespace, a pod or a tenant. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

/** What `reason` says beside the results that have none. */
export type AdmissionResult =
  | "injected"
  | "unchanged"
  | "skipped"
  | "refused"
  | "ignored"
  | "failed";

/** Asked at each scrape. */
export interface InjectorGauges {
  /** Seconds since the epoch; 0: no certificate is served. */
  readonly certificateExpirySeconds: () => number;
  readonly isInSync: () => boolean;
  readonly hasNamespaces: () => boolean;
  readonly isLeader: () => boolean;
}

export interface InjectorMetrics {
  readonly contentType: string;
  readonly admitted: (result: AdmissionResult, reason: string, seconds: number) => void;
  readonly eventEnded: (result: string) => void;
  reloaded(isGood: boolean): void;
  watch(gauges: InjectorGauges): void;
  /** The text exposition. */
  readonly expose: () => Promise<string>;
}

const LOOP_DELAY_SAMPLE_MS = 50;
const RESULTS = ["injected", "unchanged", "skipped", "refused", "ignored", "failed"] as const;

export function createInjectorMetrics(version: string): InjectorMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_DELAY_SAMPLE_MS });
  const admissions = new Counter({
    name: "imprest_injector_admissions_total",
    help: "Pods that the API server asked about.",
    labelNames: ["result", "reason"],
    registers,
  });
  for (const result of RESULTS) admissions.inc({ result, reason: "" }, 0);
  const seconds = new Histogram({
    name: "imprest_injector_admission_seconds",
    help: "From a review read to its answer made.",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    registers,
  });
  const events = new Counter({
    name: "imprest_injector_events_total",
    help: "Events about pods that were skipped.",
    labelNames: ["result"],
    registers,
  });
  for (const result of ["written", "suppressed", "failed"]) events.inc({ result }, 0);
  const reloads = new Counter({
    name: "imprest_injector_config_reloads_total",
    help: "Configurations applied after the first.",
    registers,
  });
  const badReloads = new Counter({
    name: "imprest_injector_config_reload_errors_total",
    help: "Configurations that were not applied.",
    registers,
  });
  new Gauge({
    name: "imprest_build_info",
    help: "The program's version.",
    labelNames: ["version"],
    registers,
  }).set({ version }, 1);

  return {
    contentType: registry.contentType,
    admitted(result, reason, took) {
      admissions.inc({ result, reason });
      seconds.observe(took);
    },
    eventEnded: (result) => events.inc({ result }),
    reloaded: (isGood) => (isGood ? reloads : badReloads).inc(),
    watch: (gauges) => registerGauges(registry, gauges),
    expose: () => registry.metrics(),
  };
}

function registerGauges(registry: Registry, gauges: InjectorGauges): void {
  const rows: readonly (readonly [name: string, help: string, value: () => number])[] = [
    [
      "imprest_injector_certificate_expiry_seconds",
      "When the certificate that is served ends, seconds since the epoch; 0: there is none.",
      gauges.certificateExpirySeconds,
    ],
    [
      "imprest_injector_cabundle_in_sync",
      "1: the webhook's caBundle trusts what is served.",
      () => Number(gauges.isInSync()),
    ],
    [
      "imprest_injector_namespaces_synced",
      "1: the namespaces are known.",
      () => Number(gauges.hasNamespaces()),
    ],
    [
      "imprest_injector_leader",
      "1: this replica writes certificates and the caBundle.",
      () => Number(gauges.isLeader()),
    ],
  ];
  for (const [name, help, value] of rows) {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  }
}
