/** Decimal numbers as they stand in a policy ("2.50"), without floats. */
import { assert } from "../assert.ts";

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
