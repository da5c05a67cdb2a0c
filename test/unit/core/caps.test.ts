import { describe, expect, test } from "vitest";
import { type CapsOf, capsOf, mergeCaps, stepsReached } from "../../../src/core/caps.ts";
import type { CapsRule, Step } from "../../../src/core/policy/document.ts";

const step = (percent: number, caps?: CapsRule): Step => ({
  usedPpm: percent * 10_000,
  used: `${percent}%`,
  notify: false,
  ...(caps && { caps }),
});
const of = (limit: string, used: number, caps: CapsRule): CapsOf => ({ limit, used, caps });

describe("the steps of a budget", () => {
  const steps = [step(80), step(95), step(100), step(1_000)];

  test.each([
    [79, 0],
    [80, 1],
    [94, 1],
    [95, 2],
    [99, 2],
    [100, 3],
    [999, 3],
    [1_000, 4],
  ])("CA1: of 100, %d used reaches %d steps", (used, reached) => {
    expect(stepsReached(steps, used, 100)).toBe(reached);
  });

  test.each([3, 7, 29, 57, 100, 1_000_003, 9_007_199_254])(
    "CA1: a share is exact to the unit at %d hundredths",
    (hundredth) => {
      for (const percent of [1, 29, 57, 80, 95, 99]) {
        const limit = hundredth * 100;
        expect(stepsReached([step(percent)], hundredth * percent - 1, limit)).toBe(0);
        expect(stepsReached([step(percent)], hundredth * percent, limit)).toBe(1);
      }
    },
  );

  test("CA1: a limit of 0 has reached every step", () => {
    expect(stepsReached(steps, 0, 0)).toBe(4);
  });

  test("CA1: later steps override field by field, and what they do not name stays", () => {
    const both = [
      step(80, { maxOutputTokens: 1024, notice: "most is used" }),
      step(90),
      step(95, { maxOutputTokens: 256, fallbackModel: "mini" }),
    ];
    expect(capsOf(both, 2)).toEqual({ maxOutputTokens: 1024, notice: "most is used" });
    expect(capsOf(both, 3)).toEqual({
      maxOutputTokens: 256,
      notice: "most is used",
      fallbackModel: "mini",
    });
  });

  test("CA1: steps that only notify ask for nothing", () => {
    expect(capsOf([step(80), step(90)], 2)).toBeUndefined();
    expect(capsOf([step(80, { notice: "x" })], 0)).toBeUndefined();
  });
});

describe("caps of several limits", () => {
  test("CA2: the tighter holds, whichever limit asks for it", () => {
    const one = {
      maxOutputTokens: 1_000,
      maxStepsRemaining: 3,
      toolAllowlist: ["search", "mail"],
      toolDenylist: ["shell"],
      cooldownMs: 1_000,
    };
    const other = {
      maxOutputTokens: 500,
      maxStepsRemaining: 9,
      toolAllowlist: ["mail", "query"],
      toolDenylist: ["ssh", "shell"],
      cooldownMs: 9_000,
    };
    const tight = {
      maxOutputTokens: 500,
      maxStepsRemaining: 3,
      toolAllowlist: ["mail"],
      cooldownMs: 9_000,
    };
    for (const asked of [
      [of("a", 0.8, one), of("b", 0.9, other)],
      [of("b", 0.9, other), of("a", 0.8, one)],
    ]) {
      const merged = mergeCaps(asked);
      expect(merged).toMatchObject(tight);
      expect(merged?.toolDenylist.toSorted()).toEqual(["shell", "ssh"]);
    }
  });

  test("CA2: a limit that does not name a field does not loosen it", () => {
    const merged = mergeCaps([
      of("a", 0.8, { maxOutputTokens: 1_000, toolAllowlist: ["mail"] }),
      of("b", 0.9, { notice: "nearly used up" }),
    ]);
    expect(merged).toMatchObject({ maxOutputTokens: 1_000, toolAllowlist: ["mail"] });
  });

  test("CA2: allow-lists with nothing in common leave no tool at all", () => {
    const merged = mergeCaps([
      of("a", 0.8, { toolAllowlist: ["search"] }),
      of("b", 0.9, { toolAllowlist: ["mail"] }),
    ]);
    expect(merged).toMatchObject({ toolAllowlist: [], toolDenylist: ["*"] });
  });

  test("CA2: a cooldown of 0 does not shorten another", () => {
    const merged = mergeCaps([
      of("a", 0.8, { cooldownMs: 0, maxOutputTokens: 7 }),
      of("b", 0.9, { cooldownMs: 5, maxOutputTokens: 9 }),
    ]);
    expect(merged).toMatchObject({ cooldownMs: 5, maxOutputTokens: 7 });
  });

  test("CA3: model, notice and name come from the limit nearest its end that has one", () => {
    const asked = [
      of("half", 0.5, { fallbackModel: "mini", notice: "half" }),
      of("over", 1.5, { maxOutputTokens: 1 }),
      of("most", 0.9, { notice: "most" }),
    ];
    for (const order of [asked, asked.toReversed()]) {
      expect(mergeCaps(order)).toMatchObject({
        fallbackModel: "mini",
        notice: "most",
        limit: "over",
        maxOutputTokens: 1,
      });
    }
  });

  test("CA3: a limit of 0 is nearest its end", () => {
    const merged = mergeCaps([
      of("a", 9, { notice: "nine times over" }),
      of("zero", Infinity, { notice: "nothing allowed" }),
    ]);
    expect(merged).toMatchObject({ notice: "nothing allowed", limit: "zero" });
  });

  test("nobody asks: there are no caps, and absent fields are the wire's own absent values", () => {
    expect(mergeCaps([])).toBeUndefined();
    expect(mergeCaps([of("a", 1, { notice: "n" })])).toEqual({
      maxOutputTokens: 0,
      fallbackModel: "",
      toolAllowlist: [],
      toolDenylist: [],
      maxStepsRemaining: 0,
      notice: "n",
      limit: "a",
    });
  });
});
