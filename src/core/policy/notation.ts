/**
 * How amounts, durations, shares, decimals and moments are written in a policy document. Each has the
 * pattern of its text (from which the JSON Schema is made too), words that say what is allowed, and a
 * reader that answers `undefined` for what is not.
 */
import { DAY, HOUR, MINUTE, SECOND, type DurationMs, type EpochMs } from "../time.ts";
import { isUnits, type Units } from "../units.ts";

export const MONEY_METER = "usd_micros";

export const AMOUNT = /^(?:[0-9]+[kMG]?|\$[0-9]+(?:\.[0-9]{1,6})?)$/;
/** The same without dollars. */
export const PLAIN_AMOUNT = /^[0-9]+[kMG]?$/;
export const AMOUNT_ALLOWED = "a whole number from 0 to 2^53−1, also as 500k, 1M, 2G";
export const MONEY_ALLOWED = `${AMOUNT_ALLOWED}, or $12.50`;

const THOUSANDS: Readonly<Record<string, number>> = { k: 1e3, M: 1e6, G: 1e9 };

/** 500k → 500,000; $12.50 → 12,500,000 where `money` is allowed. */
export function parseAmount(value: string | number, money: boolean): Units | undefined {
  const units = typeof value === "number" ? value : amountOfText(value, money);
  return units !== undefined && isUnits(units) ? units : undefined;
}

function amountOfText(text: string, money: boolean): number | undefined {
  if (!AMOUNT.test(text)) return undefined;
  if (text.startsWith("$")) {
    const [dollars = "", micros = ""] = text.slice(1).split(".");
    return money ? Number(dollars) * 1e6 + Number(micros.padEnd(6, "0")) : undefined;
  }
  const factor = THOUSANDS[text.at(-1) ?? ""];
  return factor === undefined ? Number(text) : Number(text.slice(0, -1)) * factor;
}

export const DURATION = /^([0-9]+)(ms|s|m|h|d)$/;
const DURATION_MS: Readonly<Record<string, DurationMs>> = {
  ms: 1,
  s: SECOND,
  m: MINUTE,
  h: HOUR,
  d: DAY,
};
/** The longest time that a document may name: ten years. */
const LONGEST: DurationMs = 3_660 * DAY;
export const DURATION_ALLOWED = "a duration from 1ms to 3660d, as 500ms, 30s, 5m, 24h, 30d";

/** 1 ms … {@link LONGEST}. */
export function parseDuration(text: string): DurationMs | undefined {
  const [, count = "", unit = ""] = DURATION.exec(text) ?? [];
  const length = Number(count) * (DURATION_MS[unit] ?? 0);
  return length >= 1 && length <= LONGEST ? length : undefined;
}

export const SHARE = /^[0-9]{1,4}(?:\.[0-9]{1,4})?%$/;
export const PPM = 1_000_000;

/** "80%" → 800,000 parts per million. */
export function parseShare(text: string): number | undefined {
  if (!SHARE.test(text)) return undefined;
  const [whole = "", part = ""] = text.slice(0, -1).split(".");
  return Number(whole) * 10_000 + Number(part.padEnd(4, "0"));
}

/** `ppm` of `units`, rounded down; exact (the product does not fit a number). */
export function shareOf(units: Units, ppm: number): Units {
  return Number((BigInt(units) * BigInt(ppm)) / BigInt(PPM));
}

export const DECIMAL = /^[0-9]+(?:\.[0-9]+)?$/;
export const DECIMAL_ALLOWED = "a decimal below 10^12 with at most 12 significant digits, as 2.50";
const SIGNIFICANT_DIGITS = 12;
const MOST_PLACES = 24;

/**
 * A decimal as text without an exponent: 2.5 → "2.5", 1e-7 → "0.0000001". Twelve significant digits are
 * what a double keeps for certain, so a price that YAML has made a float is still the one that was written.
 */
export function parseDecimal(value: string | number): string | undefined {
  const text = typeof value === "number" ? plainDecimal(value) : value;
  if (text === undefined || !DECIMAL.test(text)) return undefined;
  const [whole = "", part = ""] = text.split(".");
  const digits = (whole + part).replace(/^0+/, "");
  const significant = digits.replace(/0+$/, "");
  if (significant.length > SIGNIFICANT_DIGITS || part.length > MOST_PLACES) return undefined;
  return whole.replace(/^0+(?=.)/, "").length <= SIGNIFICANT_DIGITS ? text : undefined;
}

function plainDecimal(value: number): string | undefined {
  if (!Number.isFinite(value) || value < 0) return undefined;
  const [mantissa = "", exponent] = String(value).split("e");
  if (exponent === undefined) return mantissa;
  const places = -Number(exponent);
  if (places < 0 || places > MOST_PLACES) return undefined;
  return `0.${"0".repeat(places - 1)}${mantissa.replace(".", "")}`;
}

export const INSTANT =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
export const INSTANT_ALLOWED = "a moment as RFC 3339 writes it: 2026-01-15T00:00:00Z";

/** A moment of RFC 3339 in whole milliseconds (finer digits are cut). Leap seconds are not known. */
export function parseInstant(text: string): EpochMs | undefined {
  const match = INSTANT.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map(Number);
  const [fraction = "", sign = "+", offsetHour = "0", offsetMinute = "0"] = match.slice(7);
  const isDay = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
  const isTime = hour <= 23 && minute <= 59 && second <= 59;
  if (!isDay || !isTime || Number(offsetHour) > 23 || Number(offsetMinute) > 59) return undefined;
  const offset =
    (Number(offsetHour) * HOUR + Number(offsetMinute) * MINUTE) * (sign === "-" ? -1 : 1);
  const ofDay =
    hour * HOUR + minute * MINUTE + second * SECOND + Number(fraction.padEnd(3, "0").slice(0, 3));
  return daysSince1970(year, month, day) * DAY + ofDay - offset;
}

const isLeap = (year: number): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const daysIn = (year: number, month: number): number =>
  month === 2 && isLeap(year) ? 29 : (MONTH_DAYS[month - 1] ?? 0);

function daysSince1970(year: number, month: number, day: number): number {
  const before = year - 1;
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400);
  let days = before * 365 + leapDays + day - 1;
  for (let m = 1; m < month; m++) days += daysIn(year, m);
  return days - DAYS_TO_1970;
}
/** Days from 0001-01-01 to 1970-01-01 in the Gregorian calendar. */
const DAYS_TO_1970 = 719_162;
