/**
 * Amounts of a meter: whole numbers from 0 to 2^53−1, so that plain number arithmetic is exact.
 * Balances may be negative (debt, a lowered limit); amounts that callers state may not.
 */
export type Units = number;

/** The largest amount, 2^53−1. Doubling it would make sums of numbers inexact. */
export const MAX_UNITS: Units = Number.MAX_SAFE_INTEGER;

/** True for a whole number from 0 to {@link MAX_UNITS}. */
export const isUnits = (value: number): value is Units => Number.isSafeInteger(value) && value >= 0;
