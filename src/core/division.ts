/** Divisions that round up, exactly: a rounded-down cost or wait would be a promise broken by one. */

/**
 * ⌈dividend ÷ divisor⌉ for whole numbers 0 ≤ dividend < 2^53 and divisor ≥ 1. The remainder of two numbers is
 * always exact, and without it the division has a whole result, so that is exact too.
 */
export function divideUp(dividend: number, divisor: number): number {
  const remainder = dividend % divisor;
  const quotient = (dividend - remainder) / divisor;
  return remainder > 0 ? quotient + 1 : quotient;
}

/** ⌈dividend ÷ divisor⌉ for dividend ≥ 0 and divisor ≥ 1 of any size. */
export function divideUpLarge(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor;
}
