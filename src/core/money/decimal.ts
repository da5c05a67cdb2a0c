/**
 * Decimal numbers as they stand in a policy ("2.50"), without floats, and the one division by a power of
 * ten that money and estimates need.
 */
import { assert } from "../assert.ts";
import { MAX_UNITS, type Units } from "../units.ts";

/** `digits` ÷ 10^`places`, in lowest terms, so that 2.50 has one place. Never negative. */
export interface Decimal {
  readonly digits: bigint;
  readonly places: number;
}

const DECIMAL = /^(?<whole>\d+)(?:\.(?<part>\d*))?(?:[eE](?<exponent>[+-]?\d{1,3}))?$/;

/** Reads "3", "2.50" or "1e-7" exactly. Its callers pass what the policy's validator has let through. */
export function parseDecimal(text: string): Decimal {
  const groups = DECIMAL.exec(text)?.groups;
  assert(groups !== undefined, `decimal: ${text.slice(0, 40)} is a number ≥ 0`);
  const part = groups["part"] ?? "";
  let digits = BigInt((groups["whole"] ?? "") + part);
  let places = part.length - Number(groups["exponent"] ?? "0");
  if (places < 0) {
    digits *= 10n ** BigInt(-places);
    places = 0;
  }
  while (places > 0 && digits % 10n === 0n) {
    digits /= 10n;
    places--;
  }
  return { digits, places };
}

/** How many of the smallest parts, 10^−`places` each, `decimal` is. `places` is at least its own. */
export function toParts(decimal: Decimal, places: number): bigint {
  return decimal.digits * 10n ** BigInt(places - decimal.places);
}

/**
 * ⌈dividend ÷ divisor⌉ in plain numbers, for whole numbers 0 ≤ dividend < 2^53 and divisor ≥ 1. The
 * remainder of two numbers is always exact; without it the division has a whole result, so it is exact too.
 */
export function divideUp(dividend: number, divisor: number): number {
  const remainder = dividend % divisor;
  const quotient = (dividend - remainder) / divisor;
  return remainder > 0 ? quotient + 1 : quotient;
}

/** ⌈dividend ÷ divisor⌉ for dividend ≥ 0 and divisor ≥ 1 of any size; `undefined` above {@link MAX_UNITS}. */
export function divideUpLarge(dividend: bigint, divisor: bigint): Units | undefined {
  const quotient = (dividend + divisor - 1n) / divisor;
  return quotient > BigInt(MAX_UNITS) ? undefined : Number(quotient);
}
