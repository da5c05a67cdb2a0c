/** Reads single values of a document and reports what is not allowed. Absent and faulty values pass silently. */
import type { DurationMs } from "../time.ts";
import type { Units } from "../units.ts";
import { isPresent, refuse, type Spot } from "./node.ts";
import {
  AMOUNT_ALLOWED,
  DECIMAL_ALLOWED,
  DURATION_ALLOWED,
  MONEY_ALLOWED,
  parseAmount,
  parseDecimal,
  parseDuration,
  parseShare,
  PPM,
} from "./notation.ts";

function amountAllowed(spot: Spot, money: boolean): string {
  if (money) return MONEY_ALLOWED;
  const isDollars = typeof spot.node === "string" && spot.node.startsWith("$");
  return isDollars ? `${AMOUNT_ALLOWED} ($ is for the meter usd_micros alone)` : AMOUNT_ALLOWED;
}

/** Units, or `undefined` where there are none. `money`: dollars are allowed. */
export function readAmount(spot: Spot, money: boolean): Units | undefined {
  if (typeof spot.node !== "string" && typeof spot.node !== "number") return undefined;
  const units = parseAmount(spot.node, money);
  if (units === undefined) refuse(spot, amountAllowed(spot, money));
  return units;
}

export function requireAmount(spot: Spot, money: boolean): Units {
  isPresent(spot, amountAllowed(spot, money));
  return readAmount(spot, money) ?? 0;
}

/** `least`: shorter ones are refused. */
export function readDuration(spot: Spot, least: DurationMs = 1): DurationMs | undefined {
  if (typeof spot.node !== "string") return undefined;
  const length = parseDuration(spot.node);
  if (length !== undefined && length >= least) return length;
  refuse(
    spot,
    least === 1 ? DURATION_ALLOWED : "a duration from 1s to 3660d, as 30s, 5m, 24h, 30d",
  );
  return undefined;
}

export function requireDuration(spot: Spot): DurationMs {
  isPresent(spot, DURATION_ALLOWED);
  return readDuration(spot) ?? 1;
}

/** A share in parts per million, from `least` to `most` of them. */
export function requireShare(spot: Spot, least: number, most: number): number {
  const allowed = `a share from ${least === 0 ? "0%" : "0.0001%"} to ${most / (PPM / 100)}%, as 80%`;
  if (!isPresent(spot, allowed) || typeof spot.node !== "string") return least;
  const ppm = parseShare(spot.node);
  if (ppm !== undefined && ppm >= least && ppm <= most) return ppm;
  refuse(spot, allowed);
  return least;
}

/** A whole number ≥ 1. */
export function requireCount(spot: Spot): number {
  const allowed = "a whole number from 1";
  if (!isPresent(spot, allowed) || typeof spot.node !== "number") return 1;
  if (Number.isSafeInteger(spot.node) && spot.node >= 1) return spot.node;
  refuse(spot, allowed);
  return 1;
}

/** Decimal text without an exponent, or `undefined` where there is none. */
export function readDecimal(spot: Spot): string | undefined {
  if (typeof spot.node !== "string" && typeof spot.node !== "number") return undefined;
  const decimal = parseDecimal(spot.node);
  if (decimal === undefined) refuse(spot, DECIMAL_ALLOWED);
  return decimal;
}
