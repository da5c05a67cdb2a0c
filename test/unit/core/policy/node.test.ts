import { expect, test } from "vitest";
import { formatPath, show } from "../../../../src/core/policy/node.ts";

test.each([
  [[], ""],
  [["plans", "free", "limits", 0, "rate", "units"], "plans.free.limits[0].rate.units"],
  [["allow", "llm.*", 2], 'allow["llm.*"][2]'],
  [["tenants", "a.b"], 'tenants["a.b"]'],
  [["__proto__", ""], '__proto__[""]'],
])("the path %j is written %s", (path, text) => {
  expect(formatPath(path)).toBe(text);
});

test("values are shown short and on one line", () => {
  expect(show("a\nb")).toBe('"a\\nb"');
  expect(show("x".repeat(100))).toBe(`"${"x".repeat(60)}…"`);
  expect([show(undefined), show(null), show(1.5), show([]), show([1]), show(new Map())]).toEqual([
    "nothing",
    "null",
    "1.5",
    "an empty list",
    "a list of 1",
    "an empty mapping",
  ]);
});
