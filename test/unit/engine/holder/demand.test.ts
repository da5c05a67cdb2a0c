import { expect, test } from "vitest";
import { arrive, demandAt, forecast, newDemand } from "../../../../src/engine/holder/demand.ts";

/** `each` units every `gap` ms, for `lasts` ms. */
function flow(each: number, gap: number, lasts: number) {
  const demand = newDemand(0);
  for (let mono = gap; mono <= lasts; mono += gap) arrive(demand, each, mono);
  return demand;
}

test("a steady flow is known as units per ms, whatever the size of its operations", () => {
  expect(demandAt(flow(100, 10, 60_000), 60_000)).toBeCloseTo(10, 0);
  expect(demandAt(flow(1_000, 100, 60_000), 60_000)).toBeCloseTo(10, 0);
});

test("a burst is seen within a second, and its end is not believed at once", () => {
  const demand = flow(100, 10, 1_000);
  expect(demandAt(demand, 1_000)).toBeGreaterThan(4.5);
  expect(demandAt(demand, 3_000)).toBeGreaterThan(0.5);
  expect(demandAt(demand, 60_000)).toBeLessThan(0.02);
});

test("a forecast is the mean and two deviations, and one operation more", () => {
  const demand = flow(100, 10, 60_000);
  const mean = demandAt(demand, 60_000) * 2_000;
  const deviation = Math.sqrt((mean / 100) * 100 * 100);
  expect(forecast(demand, 2_000, 2_000, 60_000)).toBe(Math.ceil(mean + 2 * deviation + 100));
});

test("amounts that vary more are forecast higher at the same mean", () => {
  const even = flow(100, 10, 10_000);
  const uneven = newDemand(0);
  for (let mono = 10; mono <= 10_000; mono += 10) arrive(uneven, mono % 20 === 0 ? 199 : 1, mono);
  const ahead = (demand: typeof even) => forecast(demand, 1_000, 2_000, 10_000);
  expect(ahead(uneven)).toBeGreaterThan(ahead(even) + 100);
});

test("nothing is forecast where no operation is expected within the horizon, nor of a flow never seen", () => {
  const rare = newDemand(0);
  arrive(rare, 100, 0);
  expect(forecast(rare, 2_000, 2_000, 30_000)).toBe(0);
  expect(forecast(newDemand(0), 2_000, 2_000, 0)).toBe(0);
  expect(forecast(flow(100, 10, 1_000), 0, 2_000, 1_000)).toBe(0);
});
