import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parsePolicy } from "../../../../src/adapters/policy/parse.ts";
import { spellProblem } from "../../../../src/cli/policy.ts";
import { policyText } from "./example.ts";

const guide = readFileSync(new URL("../../../../deploy/guides/policy.md", import.meta.url), "utf8");

const examples = [...guide.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text = ""]) => text);

const problemsOf = (text: string): string[] => {
  const result = parsePolicy(text);
  return result.ok ? [] : result.problems.map(spellProblem);
};

test.each(examples.map((text, i) => [i + 1, text] as const))(
  "example %i of the policy guide is a valid document",
  (_, text) => {
    expect(problemsOf(text.startsWith("apiVersion") ? text : policyText(text))).toEqual([]);
  },
);

test("the problems that the guide shows are what is told", () => {
  const shown = /^\$ imprest policy validate .*\n([^]*?)^```$/m.exec(guide)?.[1] ?? "";
  const text =
    "\n\nplans:\n  free:\n    limits:\n      - {name: a, meter: m, rate: {units: 1, evry: 1m}}\n";
  expect(problemsOf(policyText(text)).map((line) => line.replace(/ \d+:\d+:/, ""))).toEqual(
    shown
      .trimEnd()
      .split("\n")
      .map((line) => line.replace(/ \d+:\d+:/, "")),
  );
});
