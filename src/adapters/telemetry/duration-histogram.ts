/**
 * A Prometheus histogram of durations by one label, cheap to observe: an array of counts for each label
 * value. prom-client's own costs as much as a decision (see tally.ts).
 */
import type { Registry } from "prom-client";

/** Upper bounds in seconds: a decision takes some 10 µs, a wait for the store up to 250 ms and more. */
const BOUNDS = [
  5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25,
  0.5, 1,
] as const;

interface Series {
  /** By bound, not cumulative; the last counts what is above all. */
  readonly counts: number[];
  sum: number;
}

export interface HistogramOptions {
  readonly name: string;
  readonly help: string;
  /** Absent: a single series without labels. */
  readonly label?: string;
  /** Label values that are shown from the start. */
  readonly values: readonly string[];
}

export interface DurationHistogram {
  observe(value: string, ms: number): void;
}

export function createHistogram(
  registry: Registry,
  { name, help, label, values }: HistogramOptions,
): DurationHistogram {
  const series = new Map<string, Series>();
  const seriesOf = (value: string): Series => {
    const known = series.get(value);
    if (known !== undefined) return known;
    const fresh = { counts: Array.from({ length: BOUNDS.length + 1 }, () => 0), sum: 0 };
    series.set(value, fresh);
    return fresh;
  };
  for (const value of values) seriesOf(value);

  const get = () => ({
    name,
    help,
    type: "histogram",
    aggregator: "sum",
    values: [...series].flatMap(([value, one]) =>
      samples(name, label === undefined ? {} : { [label]: value }, one),
    ),
  });
  // Of a metric the registry asks for the name and get(), nothing else.
  registry.registerMetric({ name, get: () => Promise.resolve(get()) } as never);

  return {
    observe(value, ms) {
      const seconds = ms / 1000;
      const one = seriesOf(value);
      let i = 0;
      while (i < BOUNDS.length && seconds > (BOUNDS[i] ?? 0)) i += 1;
      one.counts[i] = (one.counts[i] ?? 0) + 1;
      one.sum += seconds;
    },
  };
}

function samples(name: string, labels: Readonly<Record<string, string>>, { counts, sum }: Series) {
  let count = 0;
  const buckets = counts.map((one, i) => {
    count += one;
    const le = BOUNDS[i] ?? "+Inf";
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
