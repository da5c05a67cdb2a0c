/** Milliseconds since the Unix epoch, a whole number. Wall time: periods, expiries shown to callers. */
export type EpochMs = number;

/** A length of time in milliseconds, a whole number ≥ 0. */
export type DurationMs = number;

export const SECOND: DurationMs = 1_000;
export const MINUTE: DurationMs = 60 * SECOND;
export const HOUR: DurationMs = 60 * MINUTE;
export const DAY: DurationMs = 24 * HOUR;
