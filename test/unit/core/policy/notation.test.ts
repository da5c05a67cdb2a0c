import { describe, expect, test } from "vitest";
import {
  parseAmount,
  parseDecimal,
  parseDuration,
  parseInstant,
  parseShare,
  shareOf,
} from "../../../../src/core/policy/notation.ts";
import { MAX_UNITS } from "../../../../src/core/units.ts";

test.each([
  [0, 0],
  ["0", 0],
  [MAX_UNITS, MAX_UNITS],
  [MAX_UNITS + 1, undefined],
  ["500k", 500_000],
  ["1M", 1_000_000],
  ["2G", 2_000_000_000],
  ["9007199254740991", MAX_UNITS],
  ["9007199254740992", undefined],
  ["9007199254740993", undefined],
  ["9007200G", undefined],
  [1.5, undefined],
  [-1, undefined],
  [Number.NaN, undefined],
  ["1.5k", undefined],
  ["1K", undefined],
  ["", undefined],
  ["k", undefined],
  [" 1", undefined],
  ["1_000", undefined],
  ["-1", undefined],
  ["1e3", undefined],
] as const)("an amount written %j is %j units", (written, units) => {
  expect(parseAmount(written, false)).toBe(units);
});

test.each([
  ["$12.50", 12_500_000],
  ["$0", 0],
  ["$0.000001", 1],
  ["$5000", 5_000_000_000],
  ["$9007199254.740991", MAX_UNITS],
  ["$9007199254.740992", undefined],
  ["$99999999999999999999", undefined],
  ["$1.0000001", undefined],
  ["$1.", undefined],
  ["$.5", undefined],
  ["$-1", undefined],
  ["$5k", undefined],
  ["$", undefined],
] as const)(
  "dollars written %j are %j usd_micros, and no units of another meter",
  (written, units) => {
    expect(parseAmount(written, true)).toBe(units);
    expect(parseAmount(written, false)).toBeUndefined();
  },
);

test.each([
  ["500ms", 500],
  ["1ms", 1],
  ["30s", 30_000],
  ["5m", 300_000],
  ["24h", 86_400_000],
  ["3660d", 316_224_000_000],
  ["3661d", undefined],
  ["0s", undefined],
  ["5", undefined],
  ["5 m", undefined],
  ["1.5h", undefined],
  ["1w", undefined],
  ["-5m", undefined],
  ["9999999999999999999999999d", undefined],
] as const)("a duration written %j is %j ms", (written, length) => {
  expect(parseDuration(written)).toBe(length);
});

test.each([
  ["80%", 800_000],
  ["0%", 0],
  ["1000%", 10_000_000],
  ["99.5%", 995_000],
  ["0.0001%", 1],
  ["0.00001%", undefined],
  ["80", undefined],
  ["80 %", undefined],
  ["-1%", undefined],
  ["10000%", undefined],
  ["%", undefined],
] as const)("a share written %j is %j parts per million", (written, ppm) => {
  expect(parseShare(written)).toBe(ppm);
});

test("a share of units is exact where the product does not fit a number, and is rounded down", () => {
  expect(shareOf(MAX_UNITS, 999_999)).toBe(9_007_190_247_541_736);
  expect(shareOf(3, 500_000)).toBe(1);
  // In floats the product is rounded up past a whole number: 1,666,665,000,000,001.
  expect(shareOf(5_000_000_000_000_003, 333_333)).toBe(1_666_665_000_000_000);
});

describe("decimals keep what was written, without an exponent", () => {
  test.each([
    [2.5, "2.5"],
    ["2.50", "2.50"],
    [3, "3"],
    [0, "0"],
    [1e-7, "0.0000001"],
    [1.5e-7, "0.00000015"],
    [1e-20, "0.00000000000000000001"],
    [0.075, "0.075"],
    [123_456.789012, "123456.789012"],
    [123_456.7890123, undefined],
    ["0.100000000000000", "0.100000000000000"],
    [999_999_999_999, "999999999999"],
    [1e12, undefined],
    [1e300, undefined],
    [1e-30, undefined],
    [-1, undefined],
    [Number.POSITIVE_INFINITY, undefined],
    ["1e-7", undefined],
    ["1.", undefined],
    [".5", undefined],
    ["", undefined],
  ] as const)("%j is %j", (written, decimal) => {
    expect(parseDecimal(written)).toBe(decimal);
  });
});

describe("moments of RFC 3339", () => {
  test.each([
    "1970-01-01T00:00:00Z",
    "2026-01-15T00:00:00Z",
    "2024-02-29T23:59:59.999Z",
    "2000-02-29T12:00:00+14:00",
    "1900-03-01T00:00:00-05:30",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
  ])("%s is what Date makes of it", (written) => {
    expect(parseInstant(written)).toBe(new Date(written).getTime());
  });
  test("finer digits than milliseconds are cut", () => {
    expect(parseInstant("2026-01-15T00:00:00.1239Z")).toBe(Date.UTC(2026, 0, 15, 0, 0, 0, 123));
  });
  test.each([
    "2026-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-01-00T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:60:00Z",
    "2026-01-01T00:00:60Z",
    "2026-01-01T00:00:00+24:00",
    "2026-01-01T00:00:00",
    "2026-01-01",
    "26-01-01T00:00:00Z",
    "",
  ])("%j is none", (written) => {
    expect(parseInstant(written)).toBeUndefined();
  });
});
