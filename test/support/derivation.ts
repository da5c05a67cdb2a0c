/** Derivations asked for in one line: everything that a test does not say has a plain default. */
import {
  createTariff,
  derive,
  type Derivation,
  type Stage,
  type Statement,
} from "../../src/core/money/derive.ts";
import type { ModelUsage } from "../../src/core/operation.ts";
import type { PolicyDocument, PriceRule } from "../../src/core/policy/document.ts";
import { isRejection } from "../../src/core/rejection.ts";

export type Money = Pick<PolicyDocument, "prices" | "unpriced" | "estimate" | "requireUsage">;

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

export function tariff(over: Partial<Money> = {}): ReturnType<typeof createTariff> {
  return createTariff({
    prices: PRICES,
    unpriced: { kind: "deny" },
    estimate: { outputTokens: 1024, bytesPerToken: "3.5" },
    requireUsage: [],
    ...over,
  });
}

export function usageOf(over: Partial<ModelUsage> = {}): ModelUsage {
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

export interface Asked {
  readonly kind?: string;
  readonly name?: string;
  readonly amounts?: Readonly<Record<string, number>>;
  readonly usage?: Partial<ModelUsage>;
  readonly stage?: Stage;
  readonly policy?: Partial<Money>;
}

export function statement(asked: Asked): Statement {
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

export function derived(asked: Asked): Derivation {
  const result = derive(tariff(asked.policy), statement(asked), asked.stage ?? "estimate");
  if (isRejection(result)) throw new Error(`${result.reason}: ${result.message}`);
  return result;
}

export function rejected(asked: Asked): [string, string | undefined] {
  const result = derive(tariff(asked.policy), statement(asked), asked.stage ?? "estimate");
  if (!isRejection(result)) throw new Error("it was accepted");
  return [result.reason, result.field];
}

export const unitsOf = (asked: Asked, meter: string): number | undefined =>
  derived(asked).amounts.find((amount) => amount.meter === meter)?.units;
export const dollars = (asked: Asked): number | undefined => unitsOf(asked, "usd_micros");
