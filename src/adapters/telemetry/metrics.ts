/**
 * The sidecar's metrics, by the names and labels that semantics.md fixes. Nothing is labelled by tenant, run
 * or user, but for the tenants that the operator lists.
 */
import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import type { OperationName } from "../../core/operation.ts";
import type { Gauges, Telemetry, Timings } from "../../ports/telemetry.ts";
import { createHistogram } from "./duration-histogram.ts";
import { Tally } from "./tally.ts";

/** Sampled this often, ms: the library's default wakes an idle process a hundred times a second. */
const LOOP_DELAY_SAMPLE_MS = 50;

/** The built-in meters (semantics S3), shown as leased 0 from the start. */
const METERS = ["requests", "tokens", "input_tokens", "output_tokens", "usd_micros"] as const;

const RPCS = {
  check: "Check",
  reserve: "Reserve",
  commit: "Commit",
  release: "Release",
  extend: "Extend",
  consume: "Consume",
} as const satisfies Record<OperationName, string>;

export interface MetricsOptions {
  readonly version: string;
  /** Tenants that `imprest_tenant_decisions_total` names. */
  readonly tenants: readonly string[];
}

export interface Metrics {
  readonly telemetry: Telemetry;
  readonly timings: Timings;
  readonly contentType: string;
  /** From here on a scrape asks the engine. */
  watch(gauges: Gauges): void;
  /** There is a journal. `keeps`: whether it still does. */
  watchJournal(keeps: () => boolean): void;
  /** The text exposition. */
  expose(): Promise<string>;
}

const createTallies = () => ({
  decisions: new Tally("rpc", "decision", "reason"),
  tenantDecisions: new Tally("tenant", "rpc", "decision"),
  denials: new Tally("limit", "reason"),
  charged: new Tally("meter"),
  overage: new Tally("meter"),
  ends: new Tally("end"),
  shadowDenials: new Tally("limit"),
  thresholds: new Tally("limit", "used"),
  sources: new Tally("source"),
  storeOps: new Tally("op", "status"),
  unpriced: new Tally(),
  reloads: new Tally(),
  badReloads: new Tally(),
  evictions: new Tally(),
});

type Tallies = ReturnType<typeof createTallies>;

const COUNTERS: readonly (readonly [name: string, tally: keyof Tallies, help: string])[] = [
  ["imprest_decisions_total", "decisions", "Operations decided."],
  ["imprest_denials_total", "denials", "Denials by the limit that governed."],
  ["imprest_charged_units_total", "charged", "Units charged."],
  ["imprest_overage_units_total", "overage", "Units charged above their holds, uncovered."],
  ["imprest_reservations_total", "ends", "Reservations that ended; late: committed in grace."],
  ["imprest_shadow_denials_total", "shadowDenials", "What shadow limits would have denied."],
  ["imprest_thresholds_total", "thresholds", "Steps of budgets reached."],
  [
    "imprest_unpriced_total",
    "unpriced",
    "Operations whose model the price book lacks, let through.",
  ],
  ["imprest_decision_source_total", "sources", "Decisions by where the answer came from."],
  ["imprest_store_ops_total", "storeOps", "Messages to the lease store."],
  ["imprest_policy_reloads_total", "reloads", "Policy documents applied after the first."],
  ["imprest_policy_reload_errors_total", "badReloads", "Policy documents that were not applied."],
  ["imprest_idempotency_evictions_total", "evictions", "Keys forgotten to make room."],
];

export function createMetrics({ version, tenants }: MetricsOptions): Metrics {
  let watched: Gauges | undefined;
  const registry = new Registry();
  collectDefaultMetrics({
    register: registry,
    eventLoopMonitoringPrecision: LOOP_DELAY_SAMPLE_MS,
  });
  const tallies = createTallies();
  for (const end of ["committed", "released", "expired", "late"]) tallies.ends.add(0, end);
  for (const op of ["sync", "read"]) {
    for (const status of ["ok", "fault"]) tallies.storeOps.add(0, op, status);
  }
  for (const [name, key, help] of COUNTERS) register(registry, { name, help, tally: tallies[key] });
  if (tenants.length > 0) {
    const name = "imprest_tenant_decisions_total";
    const help = "Operations decided, of the tenants that are listed.";
    register(registry, { name, help, tally: tallies.tenantDecisions });
  }
  registerGauges(registry, version, () => watched);
  const decisions = createHistogram(registry, {
    name: "imprest_decision_seconds",
    help: "From an operation read to its answer made.",
    label: "rpc",
    values: Object.values(RPCS),
  });
  const syncs = createHistogram(registry, {
    name: "imprest_store_sync_seconds",
    help: "Of a message to the lease store.",
    values: [""],
  });

  return {
    telemetry: createTelemetry(tallies, new Set(tenants)),
    timings: {
      decided: (op, ms) => decisions.observe(RPCS[op], ms),
      stored: (op, status, ms) => {
        tallies.storeOps.add(1, op, status);
        if (op === "sync") syncs.observe("", ms);
      },
    },
    contentType: registry.contentType,
    watch: (gauges) => {
      watched = gauges;
    },
    watchJournal(keeps) {
      new Gauge({
        name: "imprest_journal_up",
        help: "1: what happens is journaled.",
        registers: [registry],
        collect() {
          this.set(Number(keeps()));
        },
      });
    },
    expose: () => registry.metrics(),
  };
}

function register(
  registry: Registry,
  { name, help, tally }: { readonly name: string; readonly help: string; readonly tally: Tally },
): void {
  const labelNames = [...tally.labels];
  new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      for (const { values, count } of tally.cells) {
        this.inc(Object.fromEntries(labelNames.map((label, i) => [label, values[i] ?? ""])), count);
      }
    },
  });
}

function createTelemetry(tallies: Tallies, named: ReadonlySet<string>): Telemetry {
  return {
    decided: ({ op, decision, reason, source, tenant }) => {
      tallies.decisions.add(1, RPCS[op], decision, reason);
      tallies.sources.add(1, source);
      if (named.size > 0 && named.has(tenant)) {
        tallies.tenantDecisions.add(1, tenant, RPCS[op], decision);
      }
    },
    denied: (limit, reason) => tallies.denials.add(1, limit, reason),
    shadowDenied: (limit) => tallies.shadowDenials.add(1, limit),
    charged: (meter, units) => tallies.charged.add(units, meter),
    overage: (meter, units) => tallies.overage.add(units, meter),
    reservationEnded: (end) => tallies.ends.add(1, end),
    thresholdReached: (limit, used) => tallies.thresholds.add(1, limit, used),
    unpriced: () => tallies.unpriced.add(1),
    idempotencyEvicted: () => tallies.evictions.add(1),
    policyReloaded: () => tallies.reloads.add(1),
    policyReloadFailed: () => tallies.badReloads.add(1),
  };
}

function registerGauges(
  registry: Registry,
  version: string,
  gauges: () => Gauges | undefined,
): void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: (from: Gauges) => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const from = gauges();
        this.set(from === undefined ? 0 : read(from));
      },
    });
  };
  gauge("imprest_reservations_open", "Open reservations.", (from) => from.openReservations());
  gauge("imprest_store_up", "1: the lease store answers.", (from) => Number(from.storeUp()));
  gauge("imprest_degraded", "1: answers are given without the store.", (from) =>
    Number(from.degraded()),
  );
  new Gauge({
    name: "imprest_leased_units",
    help: "Units out with this sidecar.",
    labelNames: ["meter"],
    registers,
    collect() {
      this.reset();
      for (const meter of METERS) this.set({ meter }, 0);
      for (const [meter, units] of gauges()?.leasedUnits() ?? []) this.set({ meter }, units);
    },
  });
  new Gauge({
    name: "imprest_build_info",
    help: "1, labelled with the version.",
    labelNames: ["version"],
    registers,
  }).set({ version }, 1);
}
