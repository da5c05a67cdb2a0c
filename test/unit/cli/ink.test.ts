import { describe, expect, it } from "vitest";
import { inkFor, onOneLine, spellAmounts, spellUnits, table } from "../../../src/cli/ink.ts";
import { durationMs, spellLength, spellTime, wireDuration } from "../../../src/cli/wire-time.ts";
import { createFakeHost } from "../../support/fake-host.ts";

describe("colours", () => {
  it("are for a terminal alone", () => {
    expect(inkFor(createFakeHost([]))("red", "DENY")).toBe("DENY");
    expect(inkFor(createFakeHost([], { isTty: true }))("red", "DENY")).toBe("\x1b[31mDENY\x1b[39m");
  });

  it.each([{ NO_COLOR: "1" }, { TERM: "dumb" }])("are not for one that says %j", (env) => {
    expect(inkFor(createFakeHost([], { isTty: true, env }))("red", "DENY")).toBe("DENY");
  });

  it("never come from a text of somebody else", () => {
    expect(onOneLine("gone\x1b[2J\nnext\u009b1m")).toBe("gone [2J next 1m");
  });
});

describe("units", () => {
  it.each([
    ["tokens", 1_500_000n, "1,500,000"],
    ["tokens", -3n, "-3"],
    ["usd_micros", 0n, "$0.00"],
    ["usd_micros", 1n, "$0.000001"],
    ["usd_micros", 12_500n, "$0.0125"],
    ["usd_micros", 12_500_000n, "$12.50"],
    ["usd_micros", -5_000_000n, "-$5.00"],
    ["usd_micros", 5_000_000_000n, "$5,000.00"],
  ])("of %s: %s", (meter, units, text) => {
    expect(spellUnits(meter, units)).toBe(text);
  });

  it("are named where they are not money", () => {
    const amounts = [
      { meter: "requests", units: 1n },
      { meter: "usd_micros", units: 250_000n },
    ];
    expect(spellAmounts(amounts)).toBe("1 requests, $0.25");
    expect(spellAmounts([])).toBe("nothing");
  });
});

it("a table is as wide as its contents", () => {
  const columns = [{ title: "LIMIT" }, { title: "LEFT", right: true }];
  const ink = inkFor(createFakeHost([]));
  const rows = [
    ["dollars-per-month", "$1.00"],
    ["a", "$1,000.00"],
  ];
  expect(table(columns, rows, ink)).toBe(
    "LIMIT                   LEFT\ndollars-per-month      $1.00\na                  $1,000.00\n",
  );
});

describe("times", () => {
  it.each([
    [0, "0 ms"],
    [250, "250 ms"],
    [1_000, "1 s"],
    [1_001, "1 s 1 ms"],
    [60_000, "1 min"],
    [60_001, "1 min 1 s"],
    [80_000, "1 min 20 s"],
    [3_600_001, "1 h 1 min"],
    [86_400_000 * 3 + 3_600_000 * 4, "3 d 4 h"],
  ])("%i ms is %s: a wait is never told too short (S15)", (ms, text) => {
    expect(spellLength(ms)).toBe(text);
  });

  it("cross the wire whole", () => {
    for (const ms of [0, 1, 999, 1_000, 1_500, 86_400_000]) {
      expect(durationMs(wireDuration(ms))).toBe(ms);
    }
    expect(durationMs({ seconds: 0n, nanos: 1 })).toBe(1);
    expect(durationMs(undefined)).toBeUndefined();
  });

  it("are told in UTC, whatever they are", () => {
    expect(spellTime({ seconds: 1_796_083_200n, nanos: 0 })).toBe("2026-12-01T00:00:00Z");
    expect(spellTime({ seconds: 1_796_083_200n, nanos: 250_000_000 })).toBe(
      "2026-12-01T00:00:00.250Z",
    );
    expect(spellTime({ seconds: 2n ** 62n, nanos: 0 })).toContain("4611686018427387904");
  });
});
