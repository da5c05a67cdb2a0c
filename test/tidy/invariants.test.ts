/**
 * A file with an idea opens with its numbered invariants, and each of them is what at least one test claims in
 * its title. An invariant is a line of the file's first comment that starts with its id:
 *
 *     LG2  A grant never exceeds what is available; a refused ask changes no balance.
 *
 * One or two capitals and a number, unique in the repository; S is kept for the rules of the public contract.
 */
import { expect, test } from "vitest";
import { filesUnder, parse, read, sourcesUnder } from "../support/sources.ts";

const DEFINITION = /^\s*(?:\*|\/\/)\s+([A-RT-Z]\d+|[A-Z]{2}\d+)\s+\S/gm;

interface Definition {
  readonly id: string;
  readonly file: string;
}

function definitions(file: string, text: string): Definition[] {
  const header = /^(?:#!.*\n)?(\/\*\*[^]*?\*\/|(?:\/\/.*\n)+)/.exec(text)?.[1] ?? "";
  const ids = Array.from(header.matchAll(DEFINITION), (match) => match[1] ?? "");
  return Array.from(new Set(ids), (id) => ({ id, file }));
}

/** Ids that no title cites. */
function uncited(all: readonly Definition[], titles: readonly string[]): string[] {
  const cited = new Set(titles.flatMap((title) => title.match(/\b[A-Z]{1,2}\d+\b/g) ?? []));
  return all.filter(({ id }) => !cited.has(id)).map(({ id, file }) => `${id} of ${file}`);
}

/** Ids that two files define. */
function ambiguous(all: readonly Definition[]): string[] {
  const first = new Map<string, string>();
  return all.flatMap(({ id, file }) => {
    const other = first.get(id);
    if (other === undefined) first.set(id, file);
    return other === undefined ? [] : [`${id} of ${file} and of ${other}`];
  });
}

const all = sourcesUnder("src").flatMap(({ path, text }) => definitions(path, text));

function titlesOfAllTests(): string[] {
  const titles = sourcesUnder("test").flatMap((source) => source.titles);
  const scenarios = filesUnder("test/scenarios", ".txt").flatMap((file) =>
    read(file)
      .split("\n")
      .filter((line) => line.startsWith("= ")),
  );
  return [...titles, ...scenarios];
}

test("every invariant in a file header is claimed by a test", () => {
  expect(all.length).toBeGreaterThan(20);
  expect(uncited(all, titlesOfAllTests())).toEqual([]);
});

test("no id means two things", () => {
  expect(ambiguous(all)).toEqual([]);
});

const header =
  "/**\n * A bucket.\n *\n *   B1  never below zero\n *   B12 never above capacity\n */\n";

test("planted invariants are found, and only in the header", () => {
  const text = `${header}/** *  C1  not in the header */\nconst x = 1;`;
  expect(definitions("a.ts", text).map(({ id }) => id)).toEqual(["B1", "B12"]);
  expect(definitions("a.ts", "// L1  A lease ends.\n// More.\n").map(({ id }) => id)).toEqual([
    "L1",
  ]);
});

test("a planted invariant without a test, and one with two meanings, is found", () => {
  const { titles } = parse(
    "a.test.ts",
    'test.each([1])("B1, B2: holds", () => {}); it(`B3: ${x}`, f);',
  );
  const planted = definitions("a.ts", header);
  expect(uncited(planted, titles)).toEqual(["B12 of a.ts"]);
  expect(uncited(planted, [...titles, "B12: holds"])).toEqual([]);
  expect(ambiguous([...planted, { id: "B1", file: "b.ts" }])).toEqual(["B1 of b.ts and of a.ts"]);
});
