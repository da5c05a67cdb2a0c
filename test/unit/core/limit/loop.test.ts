import { describe, expect, test } from "vitest";
import {
  countRepeat,
  isLoopOver,
  loopWait,
  type Repeats,
} from "../../../../src/core/limit/loop.ts";
import type { LoopRule } from "../../../../src/core/policy/document.ts";

const rule: LoopRule = {
  name: "same-call",
  match: [],
  per: [],
  repeats: 3,
  windowMs: 10_000,
  mode: "enforce",
};
const lettingThrough = (...moments: number[]): Repeats => {
  const repeats: Repeats = { at: [] };
  for (const now of moments) countRepeat(repeats, rule, now);
  return repeats;
};

describe("a loop", () => {
  test("LO1: so many equal calls pass, and the next is refused", () => {
    const repeats = lettingThrough(0, 1_000);
    expect(loopWait(repeats, rule, 2_000)).toBe(0);
    countRepeat(repeats, rule, 2_000);
    expect(loopWait(repeats, rule, 3_000)).toBe(7_000);
  });

  test("LO1: it is refused until the oldest repeat has left the window, to the millisecond", () => {
    const repeats = lettingThrough(0, 4_000, 5_000);
    expect(loopWait(repeats, rule, 9_999)).toBe(1);
    expect(loopWait(repeats, rule, 10_000)).toBe(0);
    countRepeat(repeats, rule, 10_000);
    expect(loopWait(repeats, rule, 10_000)).toBe(4_000);
  });

  test("LO1: of more than so many within the window the last ones decide", () => {
    // A shadow loop lets the fourth and fifth through as well.
    const repeats = lettingThrough(0, 1_000, 2_000, 3_000, 4_000);
    expect(loopWait(repeats, rule, 5_000)).toBe(7_000);
  });

  test("LO2: asking counts nothing", () => {
    const repeats = lettingThrough(0, 1_000);
    for (let i = 0; i < 10; i += 1) loopWait(repeats, rule, 2_000);
    expect(repeats.at).toEqual([0, 1_000]);
  });

  test("LO3: no more moments are kept than repeats are allowed, whatever comes", () => {
    const repeats: Repeats = { at: [] };
    for (let now = 0; now < 1_000; now += 1) {
      countRepeat(repeats, rule, now);
      expect(repeats.at.length).toBeLessThanOrEqual(rule.repeats);
    }
    expect(repeats.at).toEqual([997, 998, 999]);
  });

  test("LO3: also when an edited policy allows fewer", () => {
    const repeats = lettingThrough(0, 1_000, 2_000);
    const fewer = { ...rule, repeats: 1 };
    expect(loopWait(repeats, fewer, 3_000)).toBe(9_000);
    countRepeat(repeats, fewer, 3_000);
    expect(repeats.at).toEqual([3_000]);
  });

  test("it is over when its latest repeat has left the window, not a moment sooner", () => {
    const repeats = lettingThrough(0, 4_000);
    expect(isLoopOver(repeats, rule, 13_999)).toBe(false);
    expect(isLoopOver(repeats, rule, 14_000)).toBe(true);
    expect(isLoopOver({ at: [] }, rule, 0)).toBe(true);
  });
});
