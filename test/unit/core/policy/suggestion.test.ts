import { expect, test } from "vitest";
import { allowedWords, editDistance, nearest } from "../../../../src/core/policy/suggestion.ts";

test.each([
  ["", "", 0],
  ["rate", "rate", 0],
  ["", "rate", 4],
  ["evry", "every", 1],
  ["evrey", "every", 1],
  ["perod", "period", 1],
  ["kitten", "sitting", 3],
] as const)("%j and %j are %i edits apart, from either side", (a, b, edits) => {
  expect(editDistance(a, b)).toBe(edits);
  expect(editDistance(b, a)).toBe(edits);
});

test.each([
  ["evry", "every"],
  ["bugdet", "budget"],
  ["Budget", "budget"],
  ["limit", "limits"],
  ["x", undefined],
  ["something", undefined],
  ["b".repeat(65), undefined],
] as const)("who writes %j means %j", (found, meant) => {
  expect(nearest(found, ["rate", "budget", "every", "limits"])).toBe(meant);
});

test("of equally near words the first is meant", () => {
  expect(nearest("bat", ["cat", "hat"])).toBe("cat");
});

test("many words are cut short, and the nearest of very many is not looked for", () => {
  const words = Array.from({ length: 201 }, (_, i) => `plan-${i}`);
  expect(allowedWords("plan-00", words)).toBe(`${words.slice(0, 30).join(", ")}, …`);
  expect(allowedWords("plan-x", words.slice(0, 2))).toBe("plan-0, plan-1 (did you mean plan-0?)");
});
