import { describe, expect, it } from "vitest";
import { derive, withOutputTokens, type Stage } from "../../../../src/core/money/derive.ts";
import type { ModelUsage } from "../../../../src/core/operation.ts";
import { MAX_UNITS } from "../../../../src/core/units.ts";
import {
  tariff,
  usageOf,
  type Asked,
  statement,
  derived,
  rejected,
  dollars,
} from "../../../support/derivation.ts";

describe("S2, D1: stated and derived amounts", () => {
  it("usage derives tokens, input_tokens, output_tokens and usd_micros, in this order", () => {
    expect(derived({ usage: { inputTokens: 1000, outputTokens: 100 } })).toEqual({
      amounts: [
        { meter: "tokens", units: 1100 },
        { meter: "input_tokens", units: 1000 },
        { meter: "output_tokens", units: 100 },
        { meter: "usd_micros", units: 3500 },
      ],
      unpriced: "",
      outputTokens: 100,
    });
  });

  it("a stated meter takes the place of the derived one, and stands where its caller put it", () => {
    const amounts = { pages: 3, usd_micros: 7, tokens: 9 };
    expect(derived({ amounts, usage: { inputTokens: 10, outputTokens: 5 } }).amounts).toEqual([
      { meter: "pages", units: 3 },
      { meter: "usd_micros", units: 7 },
      { meter: "tokens", units: 9 },
      { meter: "input_tokens", units: 10 },
      { meter: "output_tokens", units: 5 },
    ]);
  });

  it("the caller's own list is left as it was", () => {
    const asked = statement({ amounts: { pages: 1 }, usage: { inputTokens: 1 } });
    derive(tariff(), asked, "estimate");
    expect(asked.amounts).toEqual([{ meter: "pages", units: 1 }]);
  });

  it("D3: without usage nothing is derived", () => {
    expect(derived({ amounts: { tokens: 10 } })).toEqual({
      amounts: [{ meter: "tokens", units: 10 }],
      unpriced: "",
      outputTokens: undefined,
    });
  });
});

describe("S4: which model is priced", () => {
  const usage = { inputTokens: 1_000_000 };
  it("usage.model, else action.name", () => {
    expect(dollars({ name: "plain", usage })).toBe(2_000_000);
    expect(dollars({ name: "", usage: { ...usage, model: "plain" } })).toBe(2_000_000);
    expect(dollars({ kind: "tool.call", name: "x", usage: { ...usage, model: "plain" } })).toBe(
      2_000_000,
    );
  });

  it.each<[Stage]>([["estimate"], ["consume"]])("two different ones are refused (%s)", (stage) => {
    const asked = { name: "gpt-4o-mini", usage: { model: "gpt-4o" }, stage };
    expect(rejected(asked)).toEqual(["MODEL_MISMATCH", "usage.model"]);
  });

  it("but not where they are the same, and not for kinds that are no llm.", () => {
    expect(dollars({ name: "gpt-4o", usage: { ...usage, model: "gpt-4o" } })).toBe(2_500_000);
    expect(dollars({ kind: "llm", name: "x", usage: { ...usage, model: "plain" } })).toBe(
      2_000_000,
    );
    expect(dollars({ kind: "llms.x", name: "x", usage: { ...usage, model: "plain" } })).toBe(
      2_000_000,
    );
  });

  it("a commit may name a fallback: what was used is priced", () => {
    const asked: Asked = {
      name: "gpt-4o",
      stage: "commit",
      usage: { ...usage, model: "gpt-4o-mini" },
    };
    expect(dollars(asked)).toBe(150_000);
  });
});

describe("S5: money", () => {
  it("is rounded up once per operation, not per token", () => {
    expect(dollars({ name: "gpt-4o-mini", usage: { inputTokens: 1 } })).toBe(1);
    expect(dollars({ name: "gpt-4o-mini", usage: { inputTokens: 20 } })).toBe(3);
    expect(dollars({ name: "gpt-4o-mini", usage: { inputTokens: 21 } })).toBe(4);
    // 0.15 + 0.60 = 0.75: apart they would be 1 and 1.
    expect(dollars({ name: "gpt-4o-mini", usage: { inputTokens: 1, outputTokens: 1 } })).toBe(1);
  });

  it("M3: cached, cache-write and reasoning tokens are priced once each, at their own price", () => {
    const claude = { inputTokens: 1000, cacheReadTokens: 400, cacheWriteTokens: 200 };
    expect(dollars({ name: "claude-x", usage: claude })).toBe(1200 + 120 + 750);
    const thinker = { inputTokens: 10, outputTokens: 100, reasoningTokens: 60 };
    expect(dollars({ name: "thinker", usage: thinker })).toBe(10 + 40 * 4 + 60 * 9);
  });

  it("M5: without a price of their own they cost what input, input and output cost", () => {
    const usage = {
      inputTokens: 100,
      cacheReadTokens: 40,
      cacheWriteTokens: 30,
      outputTokens: 10,
      reasoningTokens: 5,
    };
    expect(dollars({ name: "plain", usage })).toBe(270);
  });

  it("M4: a tier holds for the whole call, above its bound alone", () => {
    const cost = (inputTokens: number): number | undefined =>
      dollars({ name: "claude-x", usage: { inputTokens, outputTokens: 1000 } });
    expect(cost(200_000)).toBe(200_000 * 3 + 15_000);
    expect(cost(200_001)).toBe(200_001 * 6 + 22_500);
  });

  it("M4: a tier leaves the prices that it does not name", () => {
    const usage = { inputTokens: 300_000, cacheReadTokens: 100_000, cacheWriteTokens: 100_000 };
    expect(dollars({ name: "claude-x", usage })).toBe(600_000 + 30_000 + 375_000);
  });

  it("M4: of several tiers that hold, the later overrides price by price, defaults after that", () => {
    const tiers = [
      { above: 10, input: "2", output: "20" },
      { above: 20, input: "3" },
    ];
    const policy = { prices: [{ model: "*", input: "1", output: "10", tiers }] };
    const cost = (inputTokens: number): number | undefined =>
      dollars({ policy, usage: { inputTokens, cacheReadTokens: inputTokens, outputTokens: 1 } });
    expect([10, 11, 20, 21].map(cost)).toEqual([10 + 10, 22 + 20, 40 + 20, 63 + 20]);
  });

  it.each<[string, Partial<ModelUsage>]>([
    ["cache_read_tokens", { inputTokens: 10, cacheReadTokens: 11 }],
    ["cache_write_tokens", { inputTokens: 10, cacheReadTokens: 6, cacheWriteTokens: 5 }],
    ["cache_write_tokens", { inputTokens: 1, cacheReadTokens: 1, cacheWriteTokens: MAX_UNITS }],
    ["reasoning_tokens", { outputTokens: 10, reasoningTokens: 11 }],
  ])("%s above the whole that they are part of are refused", (field, usage) => {
    for (const stage of ["estimate", "consume", "commit"] as const) {
      expect(rejected({ usage, stage })).toEqual(["BAD_USAGE", `usage.${field}`]);
    }
    // Also where no money is derived at all.
    expect(rejected({ usage, amounts: { usd_micros: 1 } })[0]).toBe("BAD_USAGE");
  });

  it("parts that are exactly the whole are fine", () => {
    const usage = {
      inputTokens: 10,
      cacheReadTokens: 6,
      cacheWriteTokens: 4,
      outputTokens: 3,
      reasoningTokens: 3,
    };
    expect(dollars({ name: "plain", usage })).toBe(41);
  });

  it("derived units above 2^53−1 are refused, up to there they are exact", () => {
    const half = (MAX_UNITS - 1) / 2;
    const whole = { inputTokens: MAX_UNITS, outputTokens: 1 };
    expect(rejected({ usage: whole, amounts: { usd_micros: 0 } })[0]).toBe("BAD_AMOUNT");
    expect(rejected({ usage: whole, amounts: { tokens: 0 } })[0]).toBe("BAD_AMOUNT");
    expect(rejected({ name: "plain", usage: { inputTokens: half + 1 } })[0]).toBe("BAD_AMOUNT");
    expect(dollars({ name: "plain", usage: { inputTokens: half } })).toBe(MAX_UNITS - 1);
    // Stated ones are not derived: there is nothing to refuse.
    const amounts = { tokens: 1, usd_micros: 1 };
    expect(dollars({ amounts, usage: whole })).toBe(1);
  });
});

describe("S10: best effort", () => {
  it("cuts output_tokens, and reasoning with them, and what is derived from them", () => {
    const usage = usageOf({
      model: "thinker",
      inputTokens: 10,
      outputTokens: 100,
      reasoningTokens: 60,
    });
    const cut = withOutputTokens(usage, 50);
    expect(cut).toEqual({ ...usage, outputTokens: 50, reasoningTokens: 50 });
    expect(dollars({ name: "thinker", usage: cut })).toBe(10 + 50 * 9);
    expect(withOutputTokens(usage, 80).reasoningTokens).toBe(60);
  });
});
