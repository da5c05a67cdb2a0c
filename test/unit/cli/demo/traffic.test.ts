import { describe, expect, test } from "vitest";
import { createDealer, planTraffic, sideOf, TENANTS } from "../../../../src/cli/demo/traffic.ts";

describe("the traffic of the demo", () => {
  test("IT1: equal seeds give equal calls, another seed gives others", () => {
    expect(planTraffic(7)).toEqual(planTraffic(7));
    expect(planTraffic(8)).not.toEqual(planTraffic(7));
  });

  test("IT2: the loop makes one call over and over, and its prompt never shrinks", () => {
    const loop = planTraffic(1).filter((call) => sideOf(call) === "loop");
    expect(loop.length).toBeGreaterThan(2_000);
    expect(new Set(loop.map((call) => call.fingerprint)).size).toBe(1);
    const prompts = loop.map((call) => call.inputTokens);
    expect(prompts).toEqual(prompts.toSorted((a, b) => a - b));
    expect(prompts.at(-1)).toBe(1_000_000);
  });

  test("IT2: no other call looks like one before", () => {
    const calls = planTraffic(1);
    const loop = calls.filter((call) => sideOf(call) === "loop");
    expect(new Set(calls.map((call) => call.fingerprint)).size).toBe(
      calls.length - loop.length + 1,
    );
  });

  test("IT3: over three replicas ordinary calls are spread evenly, and the loop moves", () => {
    const deal = createDealer(3);
    const dealt = planTraffic(1).map((call) => ({ side: sideOf(call), replica: deal(call) }));
    const ordinary = dealt.filter(({ side }) => side !== "loop");
    const counts = [0, 1, 2].map((n) => ordinary.filter(({ replica }) => replica === n).length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    const loop = dealt.filter(({ side }) => side === "loop").map(({ replica }) => replica);
    expect(new Set(loop.slice(0, 10))).toEqual(new Set([0]));
    expect(new Set(loop.slice(10, 20))).toEqual(new Set([1]));
    expect(new Set(loop.slice(20, 30))).toEqual(new Set([2]));
    expect(loop[30]).toBe(0);
  });

  test("all fifty tenants work, in the order of time", () => {
    const calls = planTraffic(1);
    expect(new Set(calls.map((call) => call.tenant)).size).toBe(TENANTS);
    const times = calls.map((call) => call.atSeconds);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times.at(-1)).toBeLessThan(8 * 3600);
  });
});
