import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  fullBucket,
  refill,
  type RateBucket,
  type RateRule,
  waitFor,
} from "../../src/core/limit/rate.ts";
import { MAX_UNITS } from "../../src/core/units.ts";

const YEAR = 365 * 86_400_000;
const NOW = 1_790_000_000_000;

/** Small numbers, and those around every edge. */
const units = fc.oneof(
  fc.nat({ max: 20 }),
  fc.nat({ max: MAX_UNITS }),
  fc.constantFrom(0, 1, MAX_UNITS - 1, MAX_UNITS),
);
const everyMs = fc.oneof(
  fc.integer({ min: 1, max: 100 }),
  fc.integer({ min: 1, max: 3660 * 86_400_000 }),
);
const rule: fc.Arbitrary<RateRule> = fc.record({ units, everyMs, burst: units });
const step = fc.oneof(fc.nat({ max: 50 }), fc.nat({ max: 10 * YEAR }));

/** A bucket of `rule` from which something has been taken, perhaps more than was there. */
function bucketOf(of: RateRule): fc.Arbitrary<RateBucket> {
  return fc.record({
    level: fc.oneof(
      fc.integer({ min: Math.max(-MAX_UNITS, of.burst - 40), max: of.burst }),
      fc.integer({ min: -MAX_UNITS, max: of.burst }),
      fc.constantFrom(-MAX_UNITS, Math.min(0, of.burst)),
    ),
    remainder: fc.nat({ max: of.everyMs - 1 }),
    at: fc.constant(NOW),
  });
}
const case_ = rule.chain((of) => fc.record({ rule: fc.constant(of), bucket: bucketOf(of) }));

/** The oracle: exact, and in one step. */
function refilled(bucket: RateBucket, of: RateRule, room: number, now: number): RateBucket {
  const elapsed = BigInt(Math.max(0, now - bucket.at));
  if (elapsed === 0n) return { ...bucket };
  const accrued = elapsed * BigInt(of.units) + BigInt(bucket.remainder);
  const level = BigInt(bucket.level) + accrued / BigInt(of.everyMs);
  if (level >= BigInt(room)) return { level: Math.max(room, bucket.level), remainder: 0, at: now };
  return { level: Number(level), remainder: Number(accrued % BigInt(of.everyMs)), at: now };
}

describe("a rate", () => {
  it("R1, R5: a refill is exact at any size", () => {
    fc.assert(
      fc.property(case_, units, step, ({ rule: of, bucket }, some, elapsed) => {
        const room = Math.min(some, of.burst);
        const expected = refilled(bucket, of, room, NOW + elapsed);
        refill(bucket, of, room, NOW + elapsed);
        expect(bucket).toEqual(expected);
      }),
      { numRuns: 3000 },
    );
  });

  it("R1: k small refills equal one big one", () => {
    fc.assert(
      fc.property(case_, fc.array(step, { maxLength: 12 }), ({ rule: of, bucket }, steps) => {
        const one = { ...bucket };
        let now = NOW;
        for (const elapsed of steps) {
          now += elapsed;
          refill(bucket, of, of.burst, now);
        }
        refill(one, of, of.burst, now);
        expect(bucket).toEqual(one);
      }),
      { numRuns: 2000 },
    );
  });

  it("R2: a remainder stays below a whole unit, and a full bucket keeps none", () => {
    fc.assert(
      fc.property(case_, rule, step, ({ bucket }, edited, elapsed) => {
        // The bucket is of another rule: the policy has been edited in between.
        refill(bucket, edited, edited.burst, NOW + 1 + elapsed);
        expect(bucket.remainder).toBeLessThan(edited.everyMs);
        if (bucket.level >= edited.burst) expect(bucket.remainder).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });

  it("R2: an edited rule turns no old remainder into whole units", () => {
    const bucket = { level: 0, remainder: 86_399_999, at: NOW };
    refill(bucket, { units: 1, everyMs: 1000, burst: 100 }, 100, NOW + 1);
    expect(bucket).toEqual({ level: 1, remainder: 0, at: NOW + 1 });
  });

  it("R3: time going backwards changes nothing and refills nothing twice", () => {
    fc.assert(
      fc.property(case_, step, step, ({ rule: of, bucket }, back, forth) => {
        const straight = { ...bucket };
        refill(bucket, of, of.burst, NOW - back);
        expect(bucket).toEqual(straight);
        refill(bucket, of, of.burst, NOW + forth);
        refill(straight, of, of.burst, NOW + forth);
        expect(bucket).toEqual(straight);
      }),
    );
  });

  it("R4: after the wait the level suffices, one ms earlier it does not", () => {
    fc.assert(
      fc.property(case_, units, step, ({ rule: of, bucket }, need, later) => {
        const now = NOW + later;
        const wait = waitFor(bucket, of, need, now);
        const at = (when: number): number => {
          const copy = { ...bucket };
          refill(copy, of, of.burst, when);
          return copy.level;
        };
        if (wait === undefined) {
          const never = need > of.burst || of.units === 0;
          if (!never) expect(at(MAX_UNITS)).toBeLessThan(need);
          else expect(bucket.level).toBeLessThan(need);
          return;
        }
        expect(at(now + wait)).toBeGreaterThanOrEqual(need);
        if (wait > 0) expect(at(now + wait - 1)).toBeLessThan(need);
      }),
      { numRuns: 5000 },
    );
  });

  it("R4: it is the refill of the missing units, rounded up to a whole ms", () => {
    const of = { units: 10, everyMs: 60_000, burst: 10 };
    const bucket = { level: 0, remainder: 1, at: NOW };
    expect(waitFor(bucket, of, 1, NOW)).toBe(6_000);
    bucket.remainder = 10;
    expect(waitFor(bucket, of, 1, NOW)).toBe(5_999);
    expect(waitFor(bucket, of, 10, NOW + 1_000)).toBe(58_999);
    expect(waitFor(bucket, of, 11, NOW)).toBeUndefined();
    expect(waitFor(bucket, of, 0, NOW)).toBe(0);
  });

  it("S13: debt is paid by the refill, however long it takes", () => {
    const of = { units: 1, everyMs: 1000, burst: 5 };
    const bucket = { level: -10, remainder: 0, at: NOW };
    expect(waitFor(bucket, of, 1, NOW)).toBe(11_000);
    refill(bucket, of, 5, NOW + 11_000);
    expect(bucket.level).toBe(1);
  });

  it("starts full, and a year of idling leaves it exactly full", () => {
    for (const burst of [0, 1, 10, MAX_UNITS]) {
      const of = { units: MAX_UNITS, everyMs: 1, burst };
      const bucket = fullBucket(of, NOW);
      refill(bucket, of, burst, NOW + YEAR);
      expect(bucket).toEqual({ level: burst, remainder: 0, at: NOW + YEAR });
    }
  });
});
