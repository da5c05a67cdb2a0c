/** Money against an oracle of exact rationals, written from the contract and never with a float. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createTariff, derive, withOutputTokens } from "../../src/core/money/derive.ts";
import type { ModelUsage } from "../../src/core/operation.ts";
import type { PriceRule } from "../../src/core/policy/document.ts";
import { isRejection } from "../../src/core/rejection.ts";
import { MAX_UNITS } from "../../src/core/units.ts";

/** Every price is a whole number of 10^−12 dollars per million tokens, as text. */
const PLACES = 12n;
const price = fc
  .oneof(
    fc.record({
      digits: fc.integer({ min: 0, max: 9999 }),
      places: fc.integer({ min: 0, max: 4 }),
    }),
    fc.record({
      digits: fc.integer({ min: 0, max: 999_999_999_999 }),
      places: fc.integer({ min: 0, max: 12 }),
    }),
  )
  .map(({ digits, places }) => {
    const text = String(digits).padStart(places + 1, "0");
    return places === 0 ? text : `${text.slice(0, -places)}.${text.slice(-places)}`;
  });
const maybe = fc.option(price, { nil: undefined });

type Prices = Record<
  "input" | "output" | "cacheRead" | "cacheWrite" | "reasoning",
  string | undefined
>;
const prices: fc.Arbitrary<Prices> = fc.record({
  input: maybe,
  output: maybe,
  cacheRead: maybe,
  cacheWrite: maybe,
  reasoning: maybe,
});
const count = fc.oneof(
  fc.nat({ max: 50 }),
  fc.nat({ max: 400_000 }),
  fc.nat({ max: MAX_UNITS }),
  fc.constantFrom(MAX_UNITS, MAX_UNITS - 1),
);

/** Counts of which no part is above its whole. */
const usage: fc.Arbitrary<ModelUsage> = fc
  .record({ input: count, output: count, read: fc.nat(), write: fc.nat(), reasoning: fc.nat() })
  .map(({ input, output, read, write, reasoning }) => {
    const cacheReadTokens = read % (input + 1);
    return {
      model: "",
      inputTokens: input,
      outputTokens: output,
      cacheReadTokens,
      cacheWriteTokens: write % (input - cacheReadTokens + 1),
      reasoningTokens: reasoning % (output + 1),
      inputBytes: 0,
      outputBytes: 0,
    };
  });

interface Book {
  readonly base: Prices;
  readonly call: string | undefined;
  readonly tiers: readonly { readonly above: number; readonly prices: Prices }[];
}
const book: fc.Arbitrary<Book> = fc.record({
  base: prices,
  call: maybe,
  tiers: fc
    .uniqueArray(fc.record({ above: count, prices }), {
      selector: (tier) => tier.above,
      maxLength: 3,
    })
    .map((tiers) => tiers.toSorted((a, b) => a.above - b.above)),
});

/** A document has no keys that are undefined. */
const stated = <T extends object>(fields: T): T =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;

function tariffOf({ base, call, tiers }: Book): ReturnType<typeof createTariff> {
  const rule = stated({
    model: "*",
    ...base,
    call,
    tiers: tiers.map((tier) => stated({ above: tier.above, ...tier.prices })),
  }) as PriceRule;
  return createTariff({
    prices: [rule],
    unpriced: { kind: "deny" },
    estimate: { outputTokens: 1024, bytesPerToken: "3.5" },
    requireUsage: [],
  });
}

const ACTION = { kind: "llm.chat", name: "m", tags: [], fingerprint: "" };

/** usd_micros by the code; undefined: refused as too much. */
function charged(tariff: ReturnType<typeof createTariff>, used: ModelUsage): number | undefined {
  // The tokens are stated, so that only the money can be too much.
  const amounts = [{ meter: "tokens", units: 0 }];
  const result = derive(tariff, { action: ACTION, amounts, usage: used }, "consume");
  if (!isRejection(result)) {
    return result.amounts.find((amount) => amount.meter === "usd_micros")?.units;
  }
  expect(result.reason).toBe("BAD_AMOUNT");
  return undefined;
}

/** 10^−12 of a usd_micro. */
function atoms(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  const [whole = "0", part = ""] = text.split(".");
  return BigInt(whole + part.padEnd(Number(PLACES), "0"));
}

/** What the contract says it costs, in atoms. */
function exactCost(of: Book, used: ModelUsage): bigint {
  const input = used.inputTokens ?? 0;
  const holding = [of.base, ...of.tiers.filter((tier) => input > tier.above).map((t) => t.prices)];
  const said = (key: keyof Prices): bigint | undefined =>
    atoms(holding.findLast((each) => each[key] !== undefined)?.[key]);
  const inputPrice = said("input") ?? 0n;
  const outputPrice = said("output") ?? 0n;
  const fresh = input - used.cacheReadTokens - used.cacheWriteTokens;
  const plain = (used.outputTokens ?? 0) - used.reasoningTokens;
  return (
    BigInt(fresh) * inputPrice +
    BigInt(used.cacheReadTokens) * (said("cacheRead") ?? inputPrice) +
    BigInt(used.cacheWriteTokens) * (said("cacheWrite") ?? inputPrice) +
    BigInt(plain) * outputPrice +
    BigInt(used.reasoningTokens) * (said("reasoning") ?? outputPrice) +
    (atoms(of.call) ?? 0n) * 1_000_000n
  );
}

const MICRO = 10n ** PLACES;
const rounded = (exact: bigint): bigint => (exact + MICRO - 1n) / MICRO;

describe("money", () => {
  it("S5, M1, M2: the exact sum, rounded up once; above 2^53−1 refused", () => {
    let refused = 0;
    let exact = 0;
    fc.assert(
      fc.property(book, usage, (of, used) => {
        const whole = rounded(exactCost(of, used));
        const result = charged(tariffOf(of), used);
        if (whole > BigInt(MAX_UNITS)) refused++;
        else exact++;
        expect(result).toBe(whole > BigInt(MAX_UNITS) ? undefined : Number(whole));
      }),
      { numRuns: 4000 },
    );
    expect(Math.min(refused, exact)).toBeGreaterThan(200);
  });

  it("M2: sums just above 2^53, where a float would be off by one", () => {
    // Parts of 1/1000: 1001 · (1000 k + 1) is one part above a whole usd_micro, and odd for even k.
    const tariff = tariffOf(flat({ input: "1.001" }));
    fc.assert(
      fc.property(fc.integer({ min: 8_998_200_000, max: 8_998_200_000 * 7 }), (k) => {
        const tokens = 1000 * k + 1;
        const cost = (1001n * BigInt(tokens) + 999n) / 1000n;
        expect(charged(tariff, inputs(tokens))).toBe(Number(cost));
      }),
    );
  });

  it("S5: the parts cost at least the whole, and less than one usd_micro each more", () => {
    const counts = fc.array(fc.nat({ max: 100_000 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(price, counts, (input, parts) => {
        const tariff = tariffOf(flat({ input }));
        const costs = parts.map((tokens) => charged(tariff, inputs(tokens)) ?? NaN);
        const sum = costs.reduce((a, b) => a + b, 0);
        const whole = charged(tariff, inputs(parts.reduce((a, b) => a + b, 0))) ?? NaN;
        fc.pre(Number.isSafeInteger(sum) && Number.isSafeInteger(whole));
        expect(sum).toBeGreaterThanOrEqual(whole);
        expect(sum - whole).toBeLessThan(parts.length);
      }),
    );
  });

  it("S5: more tokens never cost less", () => {
    fc.assert(
      fc.property(book, usage, fc.nat({ max: 1000 }), (of, used, more) => {
        fc.pre(of.tiers.length === 0);
        const tariff = tariffOf(of);
        const output = Math.min(MAX_UNITS, (used.outputTokens ?? 0) + more);
        const input = Math.min(MAX_UNITS, (used.inputTokens ?? 0) + more);
        const before = charged(tariff, used) ?? Infinity;
        const after = charged(tariff, { ...used, outputTokens: output, inputTokens: input });
        expect(after ?? Infinity).toBeGreaterThanOrEqual(before);
      }),
    );
  });

  it("S10: less output never costs more, at any place of the search", () => {
    fc.assert(
      fc.property(book, usage, fc.nat(), (of, used, some) => {
        const tariff = tariffOf(of);
        const cut = some % ((used.outputTokens ?? 0) + 1);
        const before = charged(tariff, used) ?? Infinity;
        expect(charged(tariff, withOutputTokens(used, cut)) ?? 0).toBeLessThanOrEqual(before);
      }),
    );
  });

  it("S5: a price that is k times as high costs k times as much, but for the rounding", () => {
    const digits = fc.integer({ min: 0, max: 999_999 });
    fc.assert(
      fc.property(digits, fc.integer({ min: 1, max: 1000 }), fc.nat(9999), (price_, k, tokens) => {
        const cost = (of: number): number =>
          charged(tariffOf(flat({ input: (of / 1000).toFixed(3) })), inputs(tokens)) ?? NaN;
        const [one, many] = [cost(price_), cost(price_ * k)];
        expect(many).toBeLessThanOrEqual(one * k);
        expect(many).toBeGreaterThan((one - 1) * k);
      }),
    );
  });
});

const flat = (of: Partial<Prices>): Book => ({
  base: {
    input: undefined,
    output: undefined,
    cacheRead: undefined,
    cacheWrite: undefined,
    reasoning: undefined,
    ...of,
  },
  call: undefined,
  tiers: [],
});

const inputs = (inputTokens: number): ModelUsage => ({
  model: "",
  inputTokens,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  inputBytes: 0,
  outputBytes: 0,
});
