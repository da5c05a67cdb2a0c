/** How long the store takes to answer. */

const KEPT = 200;
/** Of so many samples the slowest one is left out, so that a single hiccup does not set everybody's waits. */
const QUANTILE = 0.99;

export interface RoundTrips {
  note(ms: number): void;
  /** 99th percentile of the latest; 1 where there is none. */
  p99(): number;
}

export function createRoundTrips(): RoundTrips {
  const samples: number[] = [];
  let next = 0;
  let known = 1;
  let isKnown = false;
  return {
    note(ms) {
      samples[next] = ms;
      next = (next + 1) % KEPT;
      isKnown = false;
    },
    p99() {
      if (!isKnown && samples.length > 0) {
        const sorted = samples.toSorted((a, b) => a - b);
        known = sorted[Math.floor(QUANTILE * (sorted.length - 1))] ?? 1;
      }
      isKnown = true;
      return known;
    },
  };
}
