/**
 * How much of a ledger this sidecar is going to ask for: how far ahead a lease has to reach.
 *
 * Two averages of asked units per ms, with half-lives of 1 s and 10 s; the larger one counts, so that a burst is
 * seen at once and a pause is not taken for the end. A forecast is the mean of compound Poisson arrivals and two
 * standard deviations more. Where not even one operation is expected within the horizon it is 0: the ledger is
 * then asked for exactly what waits.
 */
import type { DurationMs } from "../../core/time.ts";
import type { Units } from "../../core/units.ts";

const FAST = 1_000;
const SLOW = 10_000;
/** Weight of the newest amount in the averages of size. */
const NEWEST = 1 / 32;

/** Changed in place: one owner, the stock. Rates in units per ms. */
export interface Demand {
  fast: number;
  slow: number;
  at: number;
  /** Mean amount, and mean of its square. */
  mean: number;
  square: number;
  /** When something was last asked; −Infinity: never. */
  askedAt: number;
}

export const newDemand = (mono: number): Demand => ({
  fast: 0,
  slow: 0,
  at: mono,
  mean: 0,
  square: 0,
  askedAt: -Infinity,
});

/** An operation asked for `units`. */
export function arrive(demand: Demand, units: Units, mono: number): void {
  const passed = mono - demand.at;
  demand.at = mono;
  demand.askedAt = mono;
  demand.fast = demand.fast * 0.5 ** (passed / FAST) + (units * Math.LN2) / FAST;
  demand.slow = demand.slow * 0.5 ** (passed / SLOW) + (units * Math.LN2) / SLOW;
  const isFirst = demand.mean === 0;
  demand.mean += (units - demand.mean) * (isFirst ? 1 : NEWEST);
  demand.square += (units * units - demand.square) * (isFirst ? 1 : NEWEST);
}

/** Units per ms. */
export function demandAt(demand: Demand, mono: number): number {
  const passed = mono - demand.at;
  return Math.max(demand.fast * 0.5 ** (passed / FAST), demand.slow * 0.5 ** (passed / SLOW));
}

/** What is asked within `ahead` ms, as far as can be told. `reach`: the longest horizon in question. */
export function forecast(
  demand: Demand,
  ahead: DurationMs,
  reach: DurationMs,
  mono: number,
): Units {
  const rate = demandAt(demand, mono);
  const { mean, square } = demand;
  if (ahead <= 0 || mean === 0 || rate * reach < mean) return 0;
  return Math.ceil(rate * ahead + 2 * Math.sqrt((rate / mean) * square * ahead) + mean);
}
