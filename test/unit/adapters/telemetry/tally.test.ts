import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { createHistogram } from "../../../../src/adapters/telemetry/duration-histogram.ts";
import { Tally } from "../../../../src/adapters/telemetry/tally.ts";

test("a tally keeps one count for each set of label values", () => {
  const tally = new Tally("a", "b");
  tally.add(1, "x", "y");
  tally.add(2, "x", "z");
  tally.add(3, "x", "y");
  tally.add(0, "__proto__", "y");
  expect(tally.cells).toEqual([
    { values: ["x", "y"], count: 4 },
    { values: ["x", "z"], count: 2 },
    { values: ["__proto__", "y"], count: 0 },
  ]);
});

test("a tally without labels is one count, and none before the first", () => {
  const tally = new Tally();
  expect(tally.cells).toEqual([]);
  tally.add(1);
  tally.add(1);
  expect(tally.cells).toEqual([{ values: [], count: 2 }]);
});

test("labels are bounded: what comes after 2,000 is counted as other", () => {
  const tally = new Tally("a", "b");
  for (let i = 0; i < 5_000; i += 1) tally.add(1, `${i}`, "b");
  tally.add(1, "0", "b");
  expect(tally.cells).toHaveLength(2_001);
  expect(tally.cells[0]?.count).toBe(2);
  expect(tally.cells.at(-1)).toEqual({ values: ["other", "other"], count: 3_000 });
});

test("a histogram counts into every bucket that holds the value", async () => {
  const registry = new Registry();
  const histogram = createHistogram(registry, {
    name: "h",
    help: "h",
    label: "rpc",
    values: ["Check"],
  });
  histogram.observe("Check", 0.01);
  histogram.observe("Check", 0.011);
  histogram.observe("Check", 5_000);
  const text = await registry.metrics();
  expect(text).toContain("# TYPE h histogram");
  const bucket = (le: string): string | undefined =>
    text.split("\n").find((line) => line.startsWith("h_bucket") && line.includes(`le="${le}"`));
  expect(bucket("0.000005")).toMatch(/ 0$/);
  expect(bucket("0.00001")).toMatch(/ 1$/);
  expect(bucket("0.000025")).toMatch(/ 2$/);
  expect(bucket("1")).toMatch(/ 2$/);
  expect(bucket("+Inf")).toMatch(/ 3$/);
  expect(text).toContain('h_count{rpc="Check"} 3');
  expect(Number(/^h_sum.* (\S+)$/m.exec(text)?.[1])).toBeCloseTo(5.000021, 9);
});
