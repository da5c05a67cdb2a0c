import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compilePattern, compilePatterns } from "../../../src/core/wildcard.ts";

describe("patterns", () => {
  it.each<[string, string, boolean]>([
    ["gpt-4o", "gpt-4o", true],
    ["gpt-4o", "gpt-4o-mini", false],
    ["gpt-4o", "GPT-4o", false],
    ["gpt-4o*", "gpt-4o", true],
    ["gpt-4o*", "gpt-4o-mini", true],
    ["gpt-4o*", "xgpt-4o", false],
    ["*", "", true],
    ["*", "anything", true],
    ["?", "", false],
    ["?", "a", true],
    ["?", "ab", false],
    ["gpt-?o", "gpt-4o", true],
    ["*-mini", "gpt-4o-mini", true],
    ["*-mini", "gpt-4o-mini-2026", false],
    ["a*a", "a", false],
    ["a*a", "aa", true],
    ["*b*b*", "abcb", true],
    ["*b*b*", "abc", false],
    ["*ab*cd", "abcd", true],
    ["*ab*bcd", "abcd", false],
    ["a?*?b", "axb", false],
    ["a?*?b", "axyb", true],
    ["gpt.4o", "gpt-4o", false],
    ["a+(b)", "a+(b)", true],
    ["", "", true],
    ["", "a", false],
  ])("%j on %j: %s", (pattern, text, matches) => {
    expect(compilePattern(pattern)(text)).toBe(matches);
  });

  it("match what the definition says, on any text", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 10 });
    const pattern = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 8 });
    const defined = (of: string, on: string): boolean => {
      if (of === "") return on === "";
      const rest = of.slice(1);
      if (of.startsWith("*")) return defined(rest, on) || (on !== "" && defined(of, on.slice(1)));
      return on !== "" && (of[0] === "?" || of[0] === on[0]) && defined(rest, on.slice(1));
    };
    fc.assert(
      fc.property(pattern, text, (of, on) => {
        expect(compilePattern(of)(on)).toBe(defined(of, on));
      }),
      { numRuns: 3000 },
    );
  });

  it("take no longer for a pattern of many stars", () => {
    const matches = compilePattern(`${"a*".repeat(60)}b`);
    const text = "a".repeat(256);
    const start = performance.now();
    for (let i = 0; i < 100; i++) expect(matches(text)).toBe(false);
    // Backtracking would take longer than the universe has been there.
    expect(performance.now() - start).toBeLessThan(1000);
  });

  it("several match where one does, none matches nothing", () => {
    const matches = compilePatterns(["llm.*", "tool.call"]);
    expect(["llm.chat", "tool.call", "tool.calls"].map(matches)).toEqual([true, true, false]);
    expect(compilePatterns([])("")).toBe(false);
    expect(compilePatterns(["a?"])("ab")).toBe(true);
  });
});
