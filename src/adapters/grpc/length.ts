/** Lengths and moments on the wire: whole seconds and nanoseconds against the core's milliseconds. */
import type { DurationMs, EpochMs } from "../../core/time.ts";
import type { Duration } from "../../gen/google/protobuf/duration.ts";
import type { Timestamp } from "../../gen/google/protobuf/timestamp.ts";

/** The longest Duration that protobuf knows, seconds (about 10,000 years). */
const MOST_SECONDS = 315_576_000_000;
const NANOS = 1_000_000_000;

/**
 * Milliseconds with the fraction kept, so that a bound is compared exactly; `undefined` for what is no legal
 * Duration: out of range, or seconds and nanos of different signs.
 */
export function lengthMs(wire: Duration): number | undefined {
  const seconds = Number(wire.seconds);
  const { nanos } = wire;
  const legal =
    Math.abs(seconds) <= MOST_SECONDS && Math.abs(nanos) < NANOS && seconds * nanos >= 0;
  return legal ? seconds * 1000 + nanos / 1_000_000 : undefined;
}

export function toDuration(ms: DurationMs): Duration {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: (ms - seconds * 1000) * 1_000_000 };
}

export function toTimestamp(ms: EpochMs): Timestamp {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: (ms - seconds * 1000) * 1_000_000 };
}
