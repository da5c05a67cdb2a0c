import { describe, expect, it } from "vitest";
import { parseDecimal, toParts } from "../../../../src/core/money/decimal.ts";
import { createPriceBook } from "../../../../src/core/money/price.ts";

describe("decimals", () => {
  it.each<[string, bigint, number]>([
    ["0", 0n, 0],
    ["3", 3n, 0],
    ["2.50", 25n, 1],
    ["0.075", 75n, 3],
    ["100", 100n, 0],
    ["1e-7", 1n, 7],
    ["2.5e3", 2500n, 0],
    ["123456789.012", 123456789012n, 3],
  ])("%s is %d ÷ 10^%d", (text, digits, places) => {
    expect(parseDecimal(text)).toEqual({ digits, places });
  });

  it.each(["", "-1", "1,5", "NaN", "Infinity", "0x10", ".", " 1"])("%j is none", (text) => {
    expect(() => parseDecimal(text)).toThrow("invariant");
  });

  it("in smaller parts they are the same number", () => {
    expect(toParts(parseDecimal("2.50"), 3)).toBe(2500n);
  });
});

describe("the price book", () => {
  const book = createPriceBook([
    { model: "gpt-4o-mini*", input: "0.15", output: "0.60", tiers: [] },
    { model: "gpt-4o*", input: "2.50", output: "10.00", tiers: [] },
    { model: "__proto__", input: "1", tiers: [] },
  ]);

  it("the first rule that matches prices a model", () => {
    expect(book.find("gpt-4o-mini-2026")).not.toBe(book.find("gpt-4o"));
    expect(book.find("gpt-4o-2026")).toBe(book.find("gpt-4o"));
  });

  it("a model that no rule matches has no price, however often it is asked for", () => {
    expect([book.find("gpt-5"), book.find("gpt-5"), book.find("constructor")]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(book.find("__proto__")?.tiers).toEqual([]);
  });

  it("answers the same after more names than it remembers", () => {
    const price = book.find("gpt-4o");
    for (let i = 0; i < 5000; i++) book.find(`made-up-${i}`);
    expect(book.find("gpt-4o")).toBe(price);
    expect(book.find("made-up-0")).toBeUndefined();
  });
});
