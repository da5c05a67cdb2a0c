/**
 * The price book, compiled: which rule prices a model, and what a call of it costs to the usd_micro.
 *
 * One dollar per million tokens is one usd_micro per token, so a price as it is written is already in
 * usd_micros. All prices of a book are brought to whole parts, 10^−places of a usd_micro each, where
 * `places` is the most that any of its prices needs. A cost is then a sum of whole numbers:
 *
 *   M1  the sum is exact, and it is rounded up once, to a whole usd_micro (S5)
 *   M2  plain numbers are used only where they are exact. Every term is ≥ 0 and rounding to a float is
 *       monotone, so a product or a sum that really is 2^53 or more is never computed as less; a sum
 *       that comes out below 2^53 therefore had no inexact step on the way. Otherwise BigInt decides
 *   M3  every input token is priced once: as cache read, as cache write or as fresh input; every output
 *       token once: as reasoning or as plain output (S5)
 *   M4  a tier holds for the whole call where input_tokens are above its `above`; tiers that hold are laid
 *       over the rule in ascending order, price by price, and only then the defaults of M5 apply
 *   M5  cache_read and cache_write default to input, reasoning to output; input and output to 0
 *
 * Example, places = 2: input 2.50, output 10, cache_read 1.25 are 250, 1000 and 125 parts. 1,001 tokens in,
 * of which 400 from the cache, and 3 out: 601·250 + 400·125 + 3·1000 = 203,250 parts = 2,032.5, charged 2,033.
 */
import { divideUp, divideUpLarge } from "../division.ts";
import type { ModelUsage } from "../operation.ts";
import type { PriceRule } from "../policy/document.ts";
import { MAX_UNITS, type Units } from "../units.ts";
import { compilePattern, type Matcher } from "../wildcard.ts";
import { parseDecimal, toParts } from "./decimal.ts";

/** Parts per token, or per call, in the two forms of M2. `rough` is exact below 2^53. */
interface Parts {
  readonly rough: number;
  readonly exact: bigint;
}

/** Prices of tokens, defaults filled in. */
interface Rates {
  readonly input: Parts;
  readonly output: Parts;
  readonly cacheRead: Parts;
  readonly cacheWrite: Parts;
  readonly reasoning: Parts;
}

export interface Price {
  /** The fee of one call; undefined where the rule has none, which is not a fee of 0. */
  readonly call: Parts | undefined;
  readonly base: Rates;
  /** Ascending by `above`, each with all that holds there. */
  readonly tiers: readonly { readonly above: Units; readonly rates: Rates }[];
}

/** The unit of a book's parts. Prices may be added up only if they were compiled with the same places. */
export interface Scale {
  readonly places: number;
  /** 10^places. */
  readonly partsPerMicro: Parts;
}

export interface PriceBook {
  readonly scale: Scale;
  /** First rule that matches, compiled; undefined where the book lacks it. */
  find(model: string): Price | undefined;
}

/** Models whose rule is remembered. Callers make the names up, so the memory is bounded; a book of many rules is searched again past it. */
const MODELS_REMEMBERED = 1024;

/** dollars → usd_micros. */
const MICRO_PLACES = 6;

const TOKEN_PRICES = ["input", "output", "cacheRead", "cacheWrite", "reasoning"] as const;
type TokenPrices = Pick<PriceRule, (typeof TOKEN_PRICES)[number]>;

/** Compiles `rules` in their order. `scale`: for prices that are added to others; by default their own. */
export function createPriceBook(
  rules: readonly PriceRule[],
  scale: Scale = createScale(rules),
): PriceBook {
  const entries: readonly { readonly matches: Matcher; readonly price: Price }[] = rules.map(
    (rule) => ({ matches: compilePattern(rule.model), price: compilePrice(rule, scale.places) }),
  );
  const remembered = new Map<string, Price | undefined>();
  return {
    scale,
    find(model) {
      const known = remembered.get(model);
      if (known !== undefined || remembered.has(model)) return known;
      const price = entries.find((entry) => entry.matches(model))?.price;
      if (remembered.size >= MODELS_REMEMBERED) remembered.clear();
      remembered.set(model, price);
      return price;
    },
  };
}

/** The fewest places in which every price of `rules` is a whole number of parts. */
export function createScale(rules: readonly PriceRule[]): Scale {
  let places = 0;
  for (const rule of rules) {
    if (rule.call !== undefined) {
      places = Math.max(places, parseDecimal(rule.call).places - MICRO_PLACES);
    }
    for (const prices of [rule, ...rule.tiers]) {
      for (const name of TOKEN_PRICES) {
        places = Math.max(places, parseDecimal(prices[name] ?? "0").places);
      }
    }
  }
  return { places, partsPerMicro: createParts(10n ** BigInt(places)) };
}

/**
 * The fee of one call by `called`, plus what `tokens` cost, in whole usd_micros; `undefined` above 2^53−1.
 * Both prices are of `scale`.
 */
export function cost(
  scale: Scale,
  called: Price | undefined,
  tokens: TokenCount | undefined,
): Units | undefined {
  const rough = (called?.call?.rough ?? 0) + (tokens === undefined ? 0 : roughTokens(tokens));
  if (rough <= MAX_UNITS) return divideUp(rough, scale.partsPerMicro.rough); // (M2)
  const exact = (called?.call?.exact ?? 0n) + (tokens === undefined ? 0n : exactTokens(tokens));
  const micros = divideUpLarge(exact, scale.partsPerMicro.exact);
  return micros > BigInt(MAX_UNITS) ? undefined : Number(micros);
}

/** Tokens to be priced. `input` and `output` are all of them, those counted in `usage` included. */
export interface TokenCount {
  readonly price: Price;
  readonly usage: ModelUsage;
  readonly input: Units;
  readonly output: Units;
}

function roughTokens({ price, usage, input, output }: TokenCount): number {
  const rates = ratesFor(price, input);
  return (
    (input - usage.cacheReadTokens - usage.cacheWriteTokens) * rates.input.rough +
    usage.cacheReadTokens * rates.cacheRead.rough +
    usage.cacheWriteTokens * rates.cacheWrite.rough +
    (output - usage.reasoningTokens) * rates.output.rough +
    usage.reasoningTokens * rates.reasoning.rough
  );
}

function exactTokens({ price, usage, input, output }: TokenCount): bigint {
  const rates = ratesFor(price, input);
  return (
    BigInt(input - usage.cacheReadTokens - usage.cacheWriteTokens) * rates.input.exact +
    BigInt(usage.cacheReadTokens) * rates.cacheRead.exact +
    BigInt(usage.cacheWriteTokens) * rates.cacheWrite.exact +
    BigInt(output - usage.reasoningTokens) * rates.output.exact +
    BigInt(usage.reasoningTokens) * rates.reasoning.exact
  );
}

function ratesFor(price: Price, input: Units): Rates {
  let rates = price.base;
  for (const tier of price.tiers) if (input > tier.above) rates = tier.rates;
  return rates;
}

function compilePrice(rule: PriceRule, places: number): Price {
  let prices: TokenPrices = rule;
  const tiers = rule.tiers.map((tier) => {
    prices = { ...prices, ...tier }; // (M4)
    return { above: tier.above, rates: compileRates(prices, places) };
  });
  const call =
    rule.call === undefined
      ? undefined
      : createParts(toParts(parseDecimal(rule.call), places + MICRO_PLACES));
  return { call, base: compileRates(rule, places), tiers };
}

function compileRates(prices: TokenPrices, places: number): Rates {
  const parts = (text: string): Parts => createParts(toParts(parseDecimal(text), places));
  const input = prices.input ?? "0";
  const output = prices.output ?? "0";
  return {
    input: parts(input),
    output: parts(output),
    cacheRead: parts(prices.cacheRead ?? input), // (M5)
    cacheWrite: parts(prices.cacheWrite ?? input),
    reasoning: parts(prices.reasoning ?? output),
  };
}

const createParts = (exact: bigint): Parts => ({ rough: Number(exact), exact });
