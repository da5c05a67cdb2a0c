/** The price book, and what becomes of a model that it lacks. */
import type { PriceRule, UnpricedRule } from "./document.ts";
import { at, isMap, isPresent, items, refuse, textAt, type Spot } from "./node.ts";
import { readAmount, readDecimal, requireAmount } from "./scalar.ts";

type TokenPrices = Pick<PriceRule, "input" | "output" | "cacheRead" | "cacheWrite" | "reasoning">;

const TOKEN_PRICES = [
  ["input", "input"],
  ["output", "output"],
  ["cacheRead", "cache_read"],
  ["cacheWrite", "cache_write"],
  ["reasoning", "reasoning"],
] as const;

function readTokenPrices(spot: Spot): TokenPrices {
  const prices: { -readonly [key in keyof TokenPrices]: string } = {};
  for (const [field, key] of TOKEN_PRICES) {
    const price = readDecimal(at(spot, key));
    if (price !== undefined) prices[field] = price;
  }
  return prices;
}

const namesNone = (spot: Spot, keys: readonly string[]): boolean =>
  isMap(spot.node) && keys.every((key) => at(spot, key).node === undefined);

const TOKEN_KEYS = TOKEN_PRICES.map(([, key]) => key);

export function readPrice(spot: Spot): PriceRule {
  const model = at(spot, "model");
  isPresent(model, "a model or a pattern of models");
  if (namesNone(spot, [...TOKEN_KEYS, "call"])) {
    refuse(spot, `at least one of ${TOKEN_KEYS.join(", ")}, call`, "a model without a price");
  }
  const call = readDecimal(at(spot, "call"));
  return {
    model: textAt(model),
    ...readTokenPrices(spot),
    ...(call === undefined ? {} : { call }),
    tiers: readTiers(at(spot, "tiers")),
  };
}

function readTiers(spot: Spot): PriceRule["tiers"] {
  let last = -1;
  return items(spot).map((tier) => {
    const place = at(tier, "above");
    const above = requireAmount(place, false);
    if (above <= last && typeof place.node !== "symbol" && place.node !== undefined) {
      refuse(place, `more than the tier before it, ${last}`);
    }
    last = Math.max(last, above);
    if (namesNone(tier, TOKEN_KEYS))
      refuse(tier, `at least one of ${TOKEN_KEYS.join(", ")}`, "a tier without a price");
    return { above, ...readTokenPrices(tier) };
  });
}

/** `unpriced`: deny where it is absent. */
export function readUnpriced(spot: Spot): UnpricedRule {
  if (!isMap(spot.node)) return spot.node === "allow" ? { kind: "allow" } : { kind: "deny" };
  const [charge, input, output] = [at(spot, "charge"), at(spot, "input"), at(spot, "output")];
  const isCharge = charge.node !== undefined;
  const isTokens = input.node !== undefined || output.node !== undefined;
  const allowed = "either charge, or input and output";
  if (isCharge && isTokens) refuse(spot, allowed, "charge and token prices");
  else if (spot.node.size === 0) refuse(spot, allowed);
  if (isCharge) return { kind: "charge", units: readAmount(charge, true) ?? 0 };
  for (const price of [input, output])
    if (isTokens) isPresent(price, "US dollars per million tokens");
  return { kind: "tokens", input: readDecimal(input) ?? "0", output: readDecimal(output) ?? "0" };
}
