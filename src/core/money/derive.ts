/**
 * What an operation asks for, in units of every meter: the amounts that its caller states, and those that
 * follow from the token usage of the model call by the price book and the estimates of the policy.
 *
 *   D1  a stated meter takes the place of the derived one, and no meter is listed twice (S2)
 *   D2  the priced model is usage.model, else action.name; the fee of a call is that of action.name, else
 *       of the priced model, once per operation (S4, S5a)
 *   D3  nothing is derived without usage, but for the fee of a call; a commit without usage derives nothing,
 *       since what it does not state is charged as it was reserved (S5a, S21)
 *   D4  an absent count is estimated before the call; after it, it is 0 unless its bytes are given (S5a).
 *       An estimate is never below the parts of it that the caller did state (cached, reasoning): a guess
 *       that is too low is our mistake, not the caller's
 *   D5  where the book lacks the priced model, `unpriced` says what its tokens cost; the fee of a call that
 *       the book does have comes on top (S6)
 *
 * It does not know the limits: whether one counts usd_micros at all, and so whether `unpriced` matters, is
 * for its caller to see.
 */
import { assert } from "../assert.ts";
import { divideUp, divideUpLarge } from "../division.ts";
import type { Action, Amount, ModelUsage } from "../operation.ts";
import type { PolicyDocument, PriceRule, UnpricedRule } from "../policy/document.ts";
import { reject, type Rejection } from "../rejection.ts";
import { MAX_UNITS, type Units } from "../units.ts";
import { compilePatterns, type Matcher } from "../wildcard.ts";
import { type Decimal, parseDecimal } from "./decimal.ts";
import { cost, createPriceBook, createScale, type Price, type PriceBook } from "./price.ts";

/** The part of a policy that turns usage into amounts, compiled. */
export interface Tariff {
  readonly book: PriceBook;
  readonly unpriced: UnpricedRule["kind"];
  /** usd_micros of one operation with an unpriced model: `unpriced: {charge}`; else 0. */
  readonly unpricedCharge: Units;
  /** Prices of an unpriced model's tokens: `unpriced: {input, output}`; else undefined. */
  readonly unpricedPrice: Price | undefined;
  readonly estimatedOutput: Units;
  readonly bytesPerToken: BytesPerToken;
  /** True for the kinds of action that must state usage. */
  readonly requiresUsage: Matcher;
}

/** digits ÷ power, both whole. */
interface BytesPerToken {
  readonly digits: bigint;
  readonly power: bigint;
}

/** estimate: Check, Reserve, Explain. consume, commit: what was really used. */
export type Stage = "estimate" | "consume" | "commit";

export interface Derivation {
  /**
   * No meter twice: the stated ones in the caller's order, then those of tokens, input_tokens, output_tokens
   * and usd_micros that are derived. `requests` is not added here (S1).
   */
  readonly amounts: readonly Amount[];
  /** "": priced, stated, or nothing to price; else the rule that governed (S6). After "deny" there are no usd_micros. */
  readonly unpriced: "" | UnpricedRule["kind"];
  /** The output tokens that were taken, stated or estimated; undefined without usage. */
  readonly outputTokens: Units | undefined;
}

/** What is derived from. */
export interface Statement {
  readonly action: Action;
  readonly amounts: readonly Amount[];
  readonly usage: ModelUsage | undefined;
}

export function createTariff(
  document: Pick<PolicyDocument, "prices" | "unpriced" | "estimate" | "requireUsage">,
): Tariff {
  const { prices, unpriced, estimate, requireUsage } = document;
  const rules: readonly PriceRule[] =
    unpriced.kind === "tokens"
      ? [{ model: "*", input: unpriced.input, output: unpriced.output, tiers: [] }]
      : [];
  // One scale for both: the fee of a call by one rule and tokens by the other are added up.
  const scale = createScale([...prices, ...rules]);
  return {
    book: createPriceBook(prices, scale),
    unpriced: unpriced.kind,
    unpricedCharge: unpriced.kind === "charge" ? unpriced.units : 0,
    unpricedPrice: createPriceBook(rules, scale).find(""),
    estimatedOutput: estimate.outputTokens,
    bytesPerToken: toFraction(parseDecimal(estimate.bytesPerToken)),
    requiresUsage: compilePatterns(requireUsage),
  };
}

/**
 * The amounts of one operation. Rejects MODEL_MISMATCH (not of a commit), BAD_USAGE for cached or reasoning
 * tokens above the whole they are part of, BAD_AMOUNT for a derived amount above 2^53−1, MISSING_FIELD where
 * the policy requires usage (not of a commit).
 */
export function derive(tariff: Tariff, request: Statement, stage: Stage): Derivation | Rejection {
  return request.usage === undefined
    ? deriveWithoutUsage(tariff, request, stage)
    : deriveFromUsage(tariff, request, request.usage, stage);
}

/**
 * The same usage with `outputTokens` in place of its own count, and no more reasoning than that: what best
 * effort searches over (S10).
 */
export function withOutputTokens(usage: ModelUsage, outputTokens: Units): ModelUsage {
  const reasoningTokens = Math.min(usage.reasoningTokens, outputTokens);
  return { ...usage, outputTokens, reasoningTokens };
}

function deriveWithoutUsage(
  tariff: Tariff,
  request: Statement,
  stage: Stage,
): Derivation | Rejection {
  const { action, amounts } = request;
  if (stage === "commit" || states(amounts, "usd_micros")) return asStated(amounts); // (D3)
  const fee = tariff.book.find(action.name);
  if (fee?.call === undefined) {
    return tariff.requiresUsage(action.kind)
      ? reject("MISSING_FIELD", `usage is required for actions of kind "${action.kind}"`, "usage")
      : asStated(amounts);
  }
  const dollars = cost(tariff.book.scale, fee, undefined);
  if (dollars === undefined) return tooMuch("usd_micros");
  return {
    amounts: [...amounts, { meter: "usd_micros", units: dollars }],
    unpriced: "",
    outputTokens: undefined,
  };
}

const asStated = (amounts: readonly Amount[]): Derivation => ({
  amounts,
  unpriced: "",
  outputTokens: undefined,
});

function deriveFromUsage(
  tariff: Tariff,
  request: Statement,
  usage: ModelUsage,
  stage: Stage,
): Derivation | Rejection {
  const { action, amounts } = request;
  const mismatch = stage === "commit" ? undefined : findMismatch(action, usage);
  if (mismatch !== undefined) return mismatch;
  const input = takeInput(tariff, usage);
  const output = takeOutput(tariff, usage, stage);
  if (input === undefined) return tooMuch("input_tokens");
  if (output === undefined) return tooMuch("output_tokens");
  const misuse = findMisuse(usage, input, output);
  if (misuse !== undefined) return misuse;

  const all: Amount[] = amounts.slice();
  if (!states(amounts, "tokens")) {
    if (input > MAX_UNITS - output) return tooMuch("tokens");
    all.push({ meter: "tokens", units: input + output });
  }
  if (!states(amounts, "input_tokens")) all.push({ meter: "input_tokens", units: input });
  if (!states(amounts, "output_tokens")) all.push({ meter: "output_tokens", units: output });
  if (states(amounts, "usd_micros")) return { amounts: all, unpriced: "", outputTokens: output };

  const model = usage.model === "" ? action.name : usage.model;
  const price = tariff.book.find(model); // (D2)
  const fee = action.name === "" ? price : tariff.book.find(action.name);
  const unpriced = price === undefined ? tariff.unpriced : "";
  if (unpriced === "deny") return { amounts: all, unpriced, outputTokens: output };
  const priced = price ?? tariff.unpricedPrice;
  const tokens = priced === undefined ? undefined : { price: priced, usage, input, output };
  const dollars = cost(tariff.book.scale, fee, tokens);
  const charge = price === undefined ? tariff.unpricedCharge : 0; // (D5)
  if (dollars === undefined || dollars > MAX_UNITS - charge) return tooMuch("usd_micros");
  all.push({ meter: "usd_micros", units: dollars + charge });
  return { amounts: all, unpriced, outputTokens: output };
}

function states(amounts: readonly Amount[], meter: string): boolean {
  for (const amount of amounts) if (amount.meter === meter) return true;
  return false;
}

/** S4: an agent that names one model to the allow-list and another to the price book is refused. */
function findMismatch(action: Action, usage: ModelUsage): Rejection | undefined {
  const { kind, name } = action;
  if (usage.model === "" || name === "" || usage.model === name) return undefined;
  if (!kind.startsWith("llm.")) return undefined;
  const names = `usage.model "${usage.model.slice(0, 64)}" is not action.name "${name.slice(0, 64)}"`;
  return reject("MODEL_MISMATCH", `${names}; leave one of them empty`, "usage.model");
}

/** Input tokens as stated, estimated or 0; `undefined` above 2^53−1. */
function takeInput(tariff: Tariff, usage: ModelUsage): Units | undefined {
  if (usage.inputTokens !== undefined) return usage.inputTokens;
  if (usage.inputBytes === 0) return 0;
  const guess = tokensOf(usage.inputBytes, tariff.bytesPerToken);
  const least = usage.cacheReadTokens + usage.cacheWriteTokens; // (D4)
  if (guess === undefined || least > MAX_UNITS) return undefined;
  return Math.max(guess, least);
}

/** Output tokens as stated, estimated or 0; `undefined` above 2^53−1. */
function takeOutput(tariff: Tariff, usage: ModelUsage, stage: Stage): Units | undefined {
  if (usage.outputTokens !== undefined) return usage.outputTokens;
  let guess: Units | undefined;
  if (stage === "estimate") guess = tariff.estimatedOutput;
  else if (usage.outputBytes === 0) return 0;
  else guess = tokensOf(usage.outputBytes, tariff.bytesPerToken);
  return guess === undefined ? undefined : Math.max(guess, usage.reasoningTokens); // (D4)
}

/** S5: parts above the whole that they belong to. Written without a sum that could be inexact. */
function findMisuse(usage: ModelUsage, input: Units, output: Units): Rejection | undefined {
  if (usage.cacheReadTokens > input || usage.cacheWriteTokens > input - usage.cacheReadTokens) {
    const parts = `${usage.cacheReadTokens} cache_read_tokens and ${usage.cacheWriteTokens} cache_write_tokens`;
    const field = usage.cacheReadTokens > input ? "cache_read_tokens" : "cache_write_tokens";
    return reject("BAD_USAGE", `${parts} are above ${input} input_tokens`, `usage.${field}`);
  }
  if (usage.reasoningTokens > output) {
    const parts = `${usage.reasoningTokens} reasoning_tokens are above ${output} output_tokens`;
    return reject("BAD_USAGE", parts, "usage.reasoning_tokens");
  }
  return undefined;
}

const tooMuch = (meter: string): Rejection =>
  reject("BAD_AMOUNT", `usage derives more than ${MAX_UNITS} units of ${meter}`, "usage");

/** ⌈bytes ÷ bytes per token⌉; `undefined` above 2^53−1. */
function tokensOf(bytes: Units, { digits, power }: BytesPerToken): Units | undefined {
  const dividend = bytes * Number(power);
  if (dividend <= MAX_UNITS) return divideUp(dividend, Number(digits));
  const tokens = divideUpLarge(BigInt(bytes) * power, digits);
  return tokens > BigInt(MAX_UNITS) ? undefined : Number(tokens);
}

function toFraction({ digits, places }: Decimal): BytesPerToken {
  assert(digits > 0n, "derive: bytes_per_token is above 0");
  return { digits, power: 10n ** BigInt(places) };
}
