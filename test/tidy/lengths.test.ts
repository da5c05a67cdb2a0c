/** Files and functions stay short enough to be read in one go. */
import { expect, test } from "vitest";
import { type Source, parse, sourcesUnder } from "../support/sources.ts";

/** About 150 is the aim. */
const FILE_LINES_MAX = 400;

/** A function's own lines: a factory or a suite is not charged for the functions inside it. */
const FUNCTION_LINES_MAX = 60;

function tooLong(source: Source): string[] {
  const lines = source.text.trimEnd().split("\n").length;
  const file =
    lines > FILE_LINES_MAX ? [`${source.path}: ${lines} lines, at most ${FILE_LINES_MAX}`] : [];
  const functions = source.functions
    .filter(({ ownLines }) => ownLines > FUNCTION_LINES_MAX)
    .map(
      ({ name, line, ownLines }) =>
        `${source.path}:${line}: ${name} has ${ownLines} lines of its own, at most ${FUNCTION_LINES_MAX}`,
    );
  return [...file, ...functions];
}

const linesOf = (count: number): string => "  call();\n".repeat(count);

test("no file and no function is too long", () => {
  expect(sourcesUnder("src", "test", "deploy").flatMap(tooLong)).toEqual([]);
});

test("a planted file of one line too many is found", () => {
  expect(tooLong(parse("a.ts", linesOf(FILE_LINES_MAX + 1)))).toHaveLength(1);
  expect(tooLong(parse("a.ts", linesOf(FILE_LINES_MAX)))).toEqual([]);
});

test.each([
  ["a declaration", (body: string) => `function f() {\n${body}}`],
  ["an arrow", (body: string) => `const f = () => {\n${body}};`],
  ["a method", (body: string) => `class C { f() {\n${body}} }`],
  [
    "a function in a factory",
    (body: string) => `function g() {\n return {\n f: () => {\n${body}} };\n}`,
  ],
])("a planted function of one line too many is found: %s", (_, wrap) => {
  expect(tooLong(parse("a.ts", wrap(linesOf(FUNCTION_LINES_MAX - 1))))).toEqual([
    expect.stringContaining(`a.ts:`),
  ]);
  expect(tooLong(parse("a.ts", wrap(linesOf(FUNCTION_LINES_MAX - 2))))).toEqual([]);
});

test("a factory is not charged for the functions inside it", () => {
  const inner = `  const f = () => {\n${linesOf(50)}  };\n`;
  expect(tooLong(parse("a.ts", `function g() {\n${inner.repeat(3)}}`))).toEqual([]);
});
