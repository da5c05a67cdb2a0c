import { describe, expect, it } from "vitest";
import {
  createTariff,
  derive,
  type Derivation,
  type Stage,
  type Statement,
  withOutputTokens,
} from "../../../../src/core/money/derive.ts";
import type { ModelUsage } from "../../../../src/core/operation.ts";
import type { PolicyDocument, PriceRule } from "../../../../src/core/policy/document.ts";
import { isRejection } from "../../../../src/core/rejection.ts";
import { MAX_UNITS } from "../../../../src/core/units.ts";

type Money = Pick<PolicyDocument, "prices" | "unpriced" | "estimate" | "requireUsage">;

const PRICES: readonly PriceRule[] = [
  { model: "gpt-4o-mini*", input: "0.15", output: "0.60", cacheRead: "0.075", tiers: [] },
  { model: "gpt-4o*", input: "2.50", output: "10.00", cacheRead: "1.25", tiers: [] },
  {
    model: "claude-*",
    input: "3",
    output: "15",
    cacheRead: "0.30",
    cacheWrite: "3.75",
    tiers: [{ above: 200_000, input: "6", output: "22.50" }],
  },
  { model: "plain", input: "2", output: "7", tiers: [] },
  { model: "thinker", input: "1", output: "4", reasoning: "9", tiers: [] },
  { model: "web.search", call: "0.01", tiers: [] },
  { model: "sonar", call: "0.005", input: "1", output: "1", tiers: [] },
];

function tariff(over: Partial<Money> = {}): ReturnType<typeof createTariff> {
  return createTariff({
    prices: PRICES,
    unpriced: { kind: "deny" },
    estimate: { outputTokens: 1024, bytesPerToken: "3.5" },
    requireUsage: [],
    ...over,
  });
}

function usageOf(over: Partial<ModelUsage> = {}): ModelUsage {
  return {
    model: "",
    inputTokens: 0,
    outputTokens: 0,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    inputBytes: 0,
    outputBytes: 0,
    ...over,
  };
}

interface Asked {
  readonly kind?: string;
  readonly name?: string;
  readonly amounts?: Readonly<Record<string, number>>;
  readonly usage?: Partial<ModelUsage>;
  readonly stage?: Stage;
  readonly policy?: Partial<Money>;
}

function statement(asked: Asked): Statement {
  const amounts = Object.entries(asked.amounts ?? {}).map(([meter, units]) => ({ meter, units }));
  return {
    action: {
      kind: asked.kind ?? "llm.completion",
      name: asked.name ?? "gpt-4o",
      tags: [],
      fingerprint: "",
    },
    amounts,
    usage: asked.usage === undefined ? undefined : usageOf(asked.usage),
  };
}

function derived(asked: Asked): Derivation {
  const result = derive(tariff(asked.policy), statement(asked), asked.stage ?? "estimate");
  if (isRejection(result)) throw new Error(`${result.reason}: ${result.message}`);
  return result;
}

function rejected(asked: Asked): [string, string | undefined] {
  const result = derive(tariff(asked.policy), statement(asked), asked.stage ?? "estimate");
  if (!isRejection(result)) throw new Error("it was accepted");
  return [result.reason, result.field];
}

const unitsOf = (asked: Asked, meter: string): number | undefined =>
  derived(asked).amounts.find((amount) => amount.meter === meter)?.units;
const dollars = (asked: Asked): number | undefined => unitsOf(asked, "usd_micros");

describe("S2: stated and derived amounts", () => {
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
