import { describe, expect, it } from "vitest";
import { type Stage } from "../../../../src/core/money/derive.ts";
import { MAX_UNITS } from "../../../../src/core/units.ts";
import {
  type Money,
  type Asked,
  derived,
  rejected,
  unitsOf,
  dollars,
} from "../../../support/derivation.ts";

describe("S5a: fees of calls", () => {
  it("are charged once per operation, without usage", () => {
    expect(derived({ kind: "tool.call", name: "web.search" }).amounts).toEqual([
      { meter: "usd_micros", units: 10_000 },
    ]);
  });

  it("or on top of tokens", () => {
    expect(dollars({ name: "sonar", usage: { inputTokens: 3 } })).toBe(5003);
    const asked = {
      kind: "tool.call",
      name: "web.search",
      usage: { model: "plain", inputTokens: 3 },
    };
    expect(dollars(asked)).toBe(10_006);
  });

  it("D2: the fee is that of action.name; of usage.model where there is no name", () => {
    const usage = { model: "sonar", inputTokens: 3 };
    expect(dollars({ kind: "tool.call", name: "other", usage })).toBe(3);
    expect(dollars({ name: "", usage })).toBe(5003);
  });

  it("are rounded up together with the tokens", () => {
    const prices = [{ model: "*", call: "0.0000004", input: "0.5", tiers: [] }];
    expect(dollars({ policy: { prices }, usage: { inputTokens: 1 } })).toBe(1);
    expect(dollars({ policy: { prices } })).toBe(1);
  });

  it("give way to a stated amount of usd_micros", () => {
    expect(dollars({ name: "web.search", amounts: { usd_micros: 5 } })).toBe(5);
  });

  it("D3: a commit that states no usage derives none: it is charged as reserved (S21)", () => {
    expect(derived({ name: "web.search", stage: "commit" }).amounts).toEqual([]);
    expect(derived({ name: "web.search", stage: "consume" }).amounts).toHaveLength(1);
  });
});

describe("S5a: estimates", () => {
  const absent = { inputTokens: undefined, outputTokens: undefined };

  it.each<[number, number]>([
    [0, 0],
    [1, 1],
    [3, 1],
    [4, 2],
    [7, 2],
    [8, 3],
    [3_500_000, 1_000_000],
    [MAX_UNITS, Math.ceil(Number((BigInt(MAX_UNITS) * 2n + 6n) / 7n))],
  ])("%d bytes are %d input tokens", (inputBytes, tokens) => {
    for (const stage of ["estimate", "consume", "commit"] as const) {
      expect(
        unitsOf(
          { usage: { ...absent, inputBytes }, amounts: { usd_micros: 0 }, stage },
          "input_tokens",
        ),
      ).toBe(tokens);
    }
  });

  it("absent output is the policy's estimate before the call", () => {
    const asked = { usage: absent };
    expect(unitsOf(asked, "output_tokens")).toBe(1024);
    expect(derived(asked).outputTokens).toBe(1024);
    expect(unitsOf(asked, "tokens")).toBe(1024);
  });

  it("and 0 after it, unless its bytes are given", () => {
    for (const stage of ["consume", "commit"] as const) {
      expect(unitsOf({ usage: absent, stage }, "output_tokens")).toBe(0);
      expect(unitsOf({ usage: { ...absent, outputBytes: 8 }, stage }, "output_tokens")).toBe(3);
    }
  });

  it("an explicit 0 is 0", () => {
    const usage = { inputTokens: 0, outputTokens: 0, inputBytes: 700, outputBytes: 700 };
    expect(unitsOf({ usage }, "tokens")).toBe(0);
    expect(unitsOf({ usage, stage: "commit" }, "tokens")).toBe(0);
  });

  it("D4: an estimate is never below the parts that are stated", () => {
    const usage = {
      ...absent,
      inputBytes: 10,
      cacheReadTokens: 4,
      cacheWriteTokens: 3,
      reasoningTokens: 5000,
    };
    expect(unitsOf({ usage }, "input_tokens")).toBe(7);
    expect(unitsOf({ usage }, "output_tokens")).toBe(5000);
  });

  it("D4: a count that is 0 by the rule is no estimate", () => {
    expect(rejected({ usage: { ...absent, cacheReadTokens: 1 } })[0]).toBe("BAD_USAGE");
    const late = { usage: { ...absent, reasoningTokens: 1 }, stage: "commit" as const };
    expect(rejected(late)[0]).toBe("BAD_USAGE");
  });

  it("estimates above 2^53−1 are refused", () => {
    const policy = { estimate: { outputTokens: 1, bytesPerToken: "0.5" } };
    const usage = { ...absent, inputBytes: MAX_UNITS };
    expect(rejected({ policy, usage })[0]).toBe("BAD_AMOUNT");
  });
});

describe("S5a: usage that the policy requires", () => {
  const policy = { requireUsage: ["llm.*"] };

  it.each<[Stage]>([["estimate"], ["consume"]])("is missing (%s)", (stage) => {
    expect(rejected({ policy, stage })).toEqual(["MISSING_FIELD", "usage"]);
    expect(rejected({ policy, stage, amounts: { tokens: 5 } })[0]).toBe("MISSING_FIELD");
  });

  it("is not asked of other kinds, of a commit, or where usd_micros or a fee say the cost", () => {
    expect(derived({ policy, kind: "tool.call" }).amounts).toEqual([]);
    expect(derived({ policy, stage: "commit" }).amounts).toEqual([]);
    expect(dollars({ policy, amounts: { usd_micros: 0 } })).toBe(0);
    expect(dollars({ policy, name: "web.search" })).toBe(10_000);
    expect(dollars({ policy, usage: { inputTokens: 2 } })).toBe(5);
  });
});

describe("S6: a model that the price book lacks", () => {
  const usage = { inputTokens: 1000, outputTokens: 10, cacheReadTokens: 600, reasoningTokens: 5 };
  const name = "mystery";

  it("deny: has no usd_micros, but its tokens", () => {
    const { amounts, unpriced } = derived({ name, usage });
    expect(unpriced).toBe("deny");
    expect(amounts.map((amount) => amount.meter)).toEqual([
      "tokens",
      "input_tokens",
      "output_tokens",
    ]);
  });

  it("allow: costs 0", () => {
    const asked: Asked = { name, usage, policy: { unpriced: { kind: "allow" } } };
    expect([dollars(asked), derived(asked).unpriced]).toEqual([0, "allow"]);
  });

  it("charge: costs that much, whatever the tokens", () => {
    const asked: Asked = { name, usage, policy: { unpriced: { kind: "charge", units: 500_000 } } };
    expect([dollars(asked), derived(asked).unpriced]).toEqual([500_000, "charge"]);
  });

  it("tokens: costs these prices, cached tokens as input, reasoning as output", () => {
    const unpriced = { kind: "tokens", input: "2.5", output: "10.001" } as const;
    const asked: Asked = { name, usage, policy: { unpriced } };
    expect([dollars(asked), derived(asked).unpriced]).toEqual([2601, "tokens"]);
  });

  it("D5: the fee of a call that the book does have comes on top", () => {
    const asked = { kind: "tool.call", name: "web.search", usage: { ...usage, model: name } };
    const prices = [
      { kind: "charge", units: 7 },
      { kind: "allow" },
      { kind: "tokens", input: "0.001", output: "0" },
    ] as const;
    const costs = prices.map((unpriced) => dollars({ ...asked, policy: { unpriced } }));
    expect(costs).toEqual([10_007, 10_000, 10_001]);
    expect(derived(asked).unpriced).toBe("deny");
  });

  it("a charge and a fee that are too much together are refused", () => {
    const policy: Partial<Money> = { unpriced: { kind: "charge", units: MAX_UNITS } };
    expect(dollars({ name, usage, policy })).toBe(MAX_UNITS);
    const asked = {
      kind: "tool.call",
      name: "web.search",
      usage: { ...usage, model: name },
      policy,
    };
    expect(rejected(asked)[0]).toBe("BAD_AMOUNT");
  });

  it("does not matter where usd_micros are stated, or where there is no usage", () => {
    expect(derived({ name, usage, amounts: { usd_micros: 3 } }).unpriced).toBe("");
    expect(derived({ name }).unpriced).toBe("");
  });
});
