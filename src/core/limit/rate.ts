/**
 * A token bucket in whole units: `units` are refilled evenly over every `everyMs`, up to `burst`.
 *
 * What has accrued but is not yet a whole unit is kept as a remainder in unit·ms, so nothing is ever rounded
 * away:
 *
 *   R1  refilling in k small steps gives exactly what one big step gives
 *   R2  0 ≤ remainder < everyMs, and a bucket that has no room for more keeps none: what overflows is lost
 *   R3  time going backwards changes nothing, `at` included, so no moment refills twice
 *   R4  waitFor is exact: after that many ms the level suffices, one ms earlier it does not
 *   R5  plain numbers are used only where they are exact: all terms are ≥ 0 and rounding is monotone, so
 *       a result below 2^53 had no inexact step on the way; otherwise BigInt decides
 *
 * Example: 10 units every 60,000 ms, empty. After 8,999 ms 1 unit and a remainder of 29,990 unit·ms; one ms
 * later the remainder is 30,000; the next unit is there when it reaches 60,000, at 12,000 ms.
 *
 * It takes nothing: whoever owns the bucket subtracts from `level`, below 0 where there is debt. Levels are
 * from −(2^53−1) to 2^53−1.
 */
import { divideUp, divideUpLarge } from "../division.ts";
import type { DurationMs, EpochMs } from "../time.ts";
import { MAX_UNITS, type Units } from "../units.ts";

/** Owned, and changed in place, by one ledger. */
export interface RateBucket {
  /** Units; negative: debt. */
  level: number;
  /** unit·ms that are not yet a whole unit (R2). */
  remainder: number;
  /** Up to when it has been refilled. */
  at: EpochMs;
}

export interface RateRule {
  /** 0: nothing is ever refilled. */
  readonly units: Units;
  /** ≥ 1. */
  readonly everyMs: DurationMs;
  readonly burst: Units;
}

export function fullBucket(rule: RateRule, now: EpochMs): RateBucket {
  return { level: rule.burst, remainder: 0, at: now };
}

/**
 * Adds what has accrued since the last refill. `room`: the most that the level may rise to, ≤ burst; a level
 * that is above it already stays.
 */
export function refill(bucket: RateBucket, rule: RateRule, room: number, now: EpochMs): void {
  const elapsed = now - bucket.at;
  if (elapsed <= 0) return; // (R3)
  bucket.at = now;
  if (bucket.level >= room) {
    bucket.remainder = 0; // (R2)
    return;
  }
  const { units, everyMs } = rule;
  const before = remainderUnder(bucket, rule);
  const accrued = elapsed * units + before;
  let level: number;
  if (accrued <= MAX_UNITS) {
    // (R5) The remainder of two numbers is exact, and so is the division without it.
    bucket.remainder = accrued % everyMs;
    level = bucket.level + (accrued - bucket.remainder) / everyMs;
  } else {
    const exact = BigInt(elapsed) * BigInt(units) + BigInt(before);
    bucket.remainder = Number(exact % BigInt(everyMs));
    // Rounded only where it is above 2^53, and so above the room.
    level = Number(BigInt(bucket.level) + exact / BigInt(everyMs));
  }
  if (level >= room) bucket.remainder = 0; // (R2)
  bucket.level = Math.min(level, room);
}

/**
 * Milliseconds from `now` until the level is at least `need`, if nobody takes anything and the level may rise
 * to burst. 0: it is now. `undefined`: never, or past the last moment that a clock can show.
 */
export function waitFor(
  bucket: RateBucket,
  rule: RateRule,
  need: Units,
  now: EpochMs,
): DurationMs | undefined {
  if (bucket.level >= need) return 0;
  if (need > rule.burst || rule.units === 0) return undefined;
  const before = remainderUnder(bucket, rule);
  const missing = (need - bucket.level) * rule.everyMs;
  const elapsed =
    missing <= MAX_UNITS
      ? divideUp(missing - before, rule.units) // (R5)
      : Number(
          divideUpLarge(exactlyMissing(bucket, rule, need) - BigInt(before), BigInt(rule.units)),
        );
  const ready = bucket.at + elapsed;
  return ready <= MAX_UNITS ? Math.max(0, ready - now) : undefined;
}

/** The remainder as the rule of today allows it: after an edit it must not be worth whole units (R2). */
function remainderUnder(bucket: RateBucket, rule: RateRule): number {
  return Math.min(bucket.remainder, rule.everyMs - 1);
}

/** unit·ms from the level to `need`, where plain numbers would round it. */
function exactlyMissing(bucket: RateBucket, rule: RateRule, need: Units): bigint {
  return (BigInt(need) - BigInt(bucket.level)) * BigInt(rule.everyMs);
}
