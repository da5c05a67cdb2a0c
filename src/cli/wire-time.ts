/** Times and lengths of the wire (google.protobuf.Timestamp, Duration), and how people read them. */
import type { Duration } from "../gen/google/protobuf/duration.ts";
import type { Timestamp } from "../gen/google/protobuf/timestamp.ts";

const NANOS_PER_MS = 1_000_000;

/** Milliseconds, rounded up: a wait must not be told too short. `undefined` where the field is absent. */
export const durationMs = (wire: Duration | undefined): number | undefined =>
  wire === undefined
    ? undefined
    : Number(wire.seconds) * 1_000 + Math.ceil(wire.nanos / NANOS_PER_MS);

export const wireDuration = (milliseconds: number): Duration => ({
  seconds: BigInt(Math.floor(milliseconds / 1_000)),
  nanos: (milliseconds % 1_000) * NANOS_PER_MS,
});

/** "2026-12-01T00:00:00Z", milliseconds where there are any. */
export function spellTime({ seconds, nanos }: Timestamp): string {
  const moment = new Date(Number(seconds) * 1_000 + Math.floor(nanos / NANOS_PER_MS));
  // A time that a calendar cannot hold is told as its number.
  if (Number.isNaN(moment.getTime())) return `${seconds} s`;
  return moment.toISOString().replace(".000Z", "Z");
}

const LENGTHS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
] as const;

/** The two largest units that say something, the smaller rounded up: "3 d 4 h", "1 min 20 s", "250 ms". */
export function spellLength(milliseconds: number): string {
  const largest = LENGTHS.findIndex(([, size]) => milliseconds >= size);
  const [unit, size] = LENGTHS[largest] ?? ["ms", 1];
  if (unit === "ms") return `${milliseconds} ms`;
  const [lesser, part] = LENGTHS[largest + 1] ?? ["ms", 1];
  const parts = Math.ceil(milliseconds / part);
  const whole = Math.floor((parts * part) / size);
  const rest = parts - (whole * size) / part;
  return rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${lesser}`;
}
