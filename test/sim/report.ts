/** Sums over runs: of one environment, or of all. */
import type { RunResult } from "./run.ts";
import type { Told } from "./worker.ts";

/** Changed in place. */
export interface Summary {
  readonly name: string;
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
  cpuMs: number;
  /** Of all runs, in whatever order they ended. */
  hash: number;
}

export const newSummary = (name: string): Summary => ({
  name,
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
  cpuMs: 0,
  hash: 0,
});

export function addTo(summary: Summary, { result, cpuMs }: Told): void {
  const { counts, faults, stranded } = result;
  summary.seeds++;
  if (result.violation !== "") summary.violations++;
  summary.decisions += counts.decisions;
  summary.admitted += counts.admitted;
  summary.overage += counts.overage;
  summary.storeCalls += result.storeCalls;
  summary.births += result.births;
  summary.events += result.events;
  for (const times of faults.values()) summary.faults += times;
  summary.quarantined += stranded.quarantined;
  summary.capacity += stranded.capacity;
  summary.cpuMs += cpuMs;
  summary.hash = (summary.hash + hashOf(result)) >>> 0;
}

const hashOf = ({ hash, seed }: RunResult): number =>
  Math.imul(Number.parseInt(hash, 16), 2 * seed + 1);

const short = (count: number): string => count.toLocaleString("en");

/** `all`: the sums of which this is a part. */
export function lineOf(summary: Summary, all: Summary): string {
  const { name, seeds, violations, quarantined, capacity, cpuMs } = summary;
  const stranded = capacity === 0 ? 0 : (100 * quarantined) / capacity;
  const share = all.cpuMs === 0 ? 0 : (100 * cpuMs) / all.cpuMs;
  const each = seeds === 0 ? 0 : cpuMs / 1_000 / seeds;
  return [
    `${name}: ${seeds} seeds, ${violations} violations`,
    `${short(summary.decisions)} decisions, ${short(summary.admitted)} admitted`,
    `${short(summary.faults)} faults, ${short(summary.births)} births`,
    `${short(summary.storeCalls)} store calls, ${short(summary.overage)} units of overage`,
    `stranded ${stranded.toFixed(1)} %`,
    `${short(summary.events)} events, hash ${summary.hash.toString(16).padStart(8, "0")}`,
    `CPU ${(cpuMs / 1_000).toFixed(0)} s (${share.toFixed(0)} %), ${each.toFixed(3)} s a seed`,
  ].join("; ");
}
