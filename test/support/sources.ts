/** The repository's own TypeScript files, parsed, for the tests that hold its house rules. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseSync } from "rolldown/utils";

export const ROOT: string = path.resolve(import.meta.dirname, "../..");

export interface Import {
  readonly specifier: string;
  readonly isTypeOnly: boolean;
  readonly line: number;
}

export interface FunctionSpan {
  readonly name: string;
  readonly line: number;
  /** Lines from the first to the last, those of functions inside it not counted. */
  readonly ownLines: number;
}

export interface Source {
  /** From the root of the repository, with slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with comments and the insides of strings turned to blanks; lines stay where they are. */
  readonly bare: string;
  readonly imports: readonly Import[];
  readonly functions: readonly FunctionSpan[];
  /** First arguments of `test(…)`, `it(…)`, `describe(…)` and their `.each(…)(…)`. */
  readonly titles: readonly string[];
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && "start" in value;

function children(node: Node): Node[] {
  return Object.values(node).flatMap((value) =>
    Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : [],
  );
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

const FUNCTIONS = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);
const IMPORTS = new Set([
  "ImportDeclaration",
  "ExportNamedDeclaration",
  "ExportAllDeclaration",
  "ImportExpression",
  "TSImportType",
]);
const RUNNERS = new Set(["test", "it", "describe", "suite"]);

/** The identifier at the left end of `test.each(rows)`: "test". */
function rootName(node: unknown): string {
  if (!isNode(node)) return "";
  if (node.type === "Identifier") return text(node["name"]);
  return rootName(node["object"] ?? node["callee"] ?? node["tag"]);
}

function titleOf(call: Node): string | undefined {
  const [first] = call["arguments"] as readonly Node[];
  if (!isNode(first) || !RUNNERS.has(rootName(call["callee"]))) return undefined;
  if (first.type === "Literal") return text(first["value"]);
  if (first.type !== "TemplateLiteral") return undefined;
  const quasis = first["quasis"] as readonly { readonly value: { readonly cooked: string } }[];
  return quasis.map((quasi) => quasi.value.cooked).join("…");
}

function nameOf(node: Node, parent: Node | undefined): string {
  const named = [node["id"], parent?.["id"], parent?.["key"]].find(isNode);
  return text(named?.["name"]) || "a function";
}

export function parse(file: string, code: string): Source {
  const { program, comments, errors } = parseSync(file, code);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message ?? "does not parse"}`);
  const lineOf = lineFinder(code);
  const span = (node: Node): number => lineOf(node.end) - lineOf(node.start) + 1;
  const blanks: [number, number][] = comments.map(({ start, end }) => [start, end]);
  const imports: Import[] = [];
  const functions: FunctionSpan[] = [];
  const titles: string[] = [];

  /** Returns the lines that functions at or below `node` take. */
  const visit = (node: Node, parent: Node | undefined): number => {
    const source = node["source"];
    if (IMPORTS.has(node.type) && isNode(source) && source.type === "Literal") {
      const isTypeOnly =
        node.type === "TSImportType" ||
        node["importKind"] === "type" ||
        node["exportKind"] === "type";
      imports.push({ specifier: text(source["value"]), isTypeOnly, line: lineOf(node.start) });
    } else if (node.type === "Literal" && typeof node["value"] === "string") {
      blanks.push([node.start + 1, node.end - 1]);
    } else if (node.type === "TemplateElement") {
      blanks.push([node.start, node.end]);
    } else if (node.type === "CallExpression") {
      const title = titleOf(node);
      if (title !== undefined) titles.push(title);
    }
    let inner = 0;
    for (const child of children(node)) inner += visit(child, node);
    if (!FUNCTIONS.has(node.type)) return inner;
    const lines = span(node);
    functions.push({
      name: nameOf(node, parent),
      line: lineOf(node.start),
      ownLines: lines - inner,
    });
    // One-line functions take no line of their own from the function around them.
    return lines === 1 ? 0 : lines;
  };
  visit(program as unknown as Node, undefined);
  return { path: file, text: code, bare: blank(code, blanks), imports, functions, titles };
}

function lineFinder(code: string): (offset: number) => number {
  const starts = [0, ...Array.from(code.matchAll(/\n/g), (match) => match.index + 1)];
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}

function blank(code: string, spans: readonly (readonly [number, number])[]): string {
  const characters = code.split("");
  for (const [start, end] of spans) {
    for (let at = start; at < end; at += 1) if (characters[at] !== "\n") characters[at] = " ";
  }
  return characters.join("");
}

/** Paths of the files under `folder` that end in `ending`, generated ones left out. */
export function filesUnder(folder: string, ending: string): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .map((name) => path.posix.join(folder, name.split(path.sep).join("/")))
    .filter((name) => name.endsWith(ending) && !name.startsWith("src/gen/"))
    .toSorted();
}

export const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");

/** All TypeScript files under the given folders. */
export const sourcesUnder = (...folders: readonly string[]): Source[] =>
  folders.flatMap((folder) => filesUnder(folder, ".ts").map((file) => parse(file, read(file))));
