/**
 * Bad documents and exactly what is said of each: bad-documents.txt holds a title, the document and the problems
 * as `imprest policy validate` prints them.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parsePolicy } from "../../../../src/adapters/policy/parse.ts";
import { spellProblem } from "../../../../src/cli/policy.ts";

const file = readFileSync(new URL("bad-documents.txt", import.meta.url), "utf8");

const cases = file
  .split(/^=== /m)
  .slice(1)
  .map((part) => {
    const [, title = "", document = "", problems = ""] =
      /^(.*)\n([^]*?)--- problems\n([^]*)$/.exec(part) ?? [];
    return { title, document, problems };
  });

test("there are bad documents to look at", () => {
  expect(cases.length).toBeGreaterThanOrEqual(80);
});

test.each(cases)("PV1: $title", ({ document, problems }) => {
  const result = parsePolicy(document);
  const told = result.ok ? [] : result.problems.map(spellProblem);
  expect(told).toEqual(problems.trimEnd().split("\n"));
});
