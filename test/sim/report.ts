/** Sums over the runs of one environment. */
import type { RunResult } from "./run.ts";
import type { Environment } from "./setting.ts";

/** Changed in place. */
export interface Summary {
  readonly environment: Environment;
  readonly startedAt: number;
  early: number;
  seeds: number;
  violations: number;
  decisions: number;
  admitted: number;
  storeCalls: number;
  overage: number;
  births: number;
  faults: number;
  events: number;
  /** Units held back for the dead when all was at rest, of all that the limits allow. */
  quarantined: number;
  capacity: number;
}

export const newSummary = (environment: Environment): Summary => ({
  environment,
  startedAt: performance.now(),
  early: 0,
  seeds: 0,
  violations: 0,
  decisions: 0,
  admitted: 0,
  storeCalls: 0,
  overage: 0,
  births: 0,
  faults: 0,
  events: 0,
  quarantined: 0,
  capacity: 0,
});

export function addTo(summary: Summary, result: RunResult): void {
  const { counts, faults, stranded } = result;
  summary.seeds++;
  if (result.violation !== "") summary.violations++;
  summary.early += counts.early;
  summary.decisions += counts.decisions;
  summary.admitted += counts.admitted;
  summary.overage += counts.overage;
  summary.storeCalls += result.storeCalls;
  summary.births += result.births;
  summary.events += result.events;
  for (const times of faults.values()) summary.faults += times;
  summary.quarantined += stranded.quarantined;
  summary.capacity += stranded.capacity;
}

export function lineOf(summary: Summary): string {
  const { environment, seeds, violations, quarantined, capacity } = summary;
  const share = capacity === 0 ? 0 : (100 * quarantined) / capacity;
  const seconds = (performance.now() - summary.startedAt) / 1_000;
  return [
    `${environment}: ${seeds} seeds, ${violations} violations`,
    `${summary.decisions} decisions, ${summary.admitted} admitted`,
    `${summary.storeCalls} store calls, ${summary.overage} units of overage`,
    `${summary.births} births, ${summary.faults} faults, ${summary.events} events`,
    ...(environment === "calm" ? [`${summary.early} refused early`] : []),
    `stranded ${share.toFixed(1)} %, ${seconds.toFixed(0)} s`,
  ].join("; ");
}
