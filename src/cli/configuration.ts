/**
 * Reads what was typed and the environment against a table of flags.
 *
 * Everything that is wrong is told at once, each with the flag or variable that said it: whoever sets up a
 * container sees one error list, not one error per restart. A flag beats its variable. Variables that no flag
 * of the command knows are left alone: Kubernetes puts IMPREST_PORT and the like into every pod that runs
 * next to a Service called "imprest".
 */
import { parseArgs } from "node:util";
import { nearest } from "../core/policy/suggestion.ts";
import { variableOf, type Flag, type Flags } from "./flag.ts";

/** One thing that is wrong with what was configured. */
export interface Problem {
  /** "--listen", or "--listen (from IMPREST_LISTEN)". */
  readonly where: string;
  readonly found: string;
  readonly allowed: string;
}

export interface Positional {
  /** "FILE". */
  readonly name: string;
  readonly help: string;
}

export interface Configuration {
  /** Where there is a problem, without the flags of which nothing could be read, and of the others what could be. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Names of the flags that somebody gave, on the command line or in a variable. */
  readonly given: ReadonlySet<string>;
  /** As many as the command has, where there is no problem. */
  readonly positionals: readonly string[];
  /** `--help` or `-h` was there: nothing else matters. */
  readonly help: boolean;
  readonly problems: readonly Problem[];
}

/** Where a text came from, and what it said. */
interface Given {
  readonly where: string;
  readonly text: string;
}

/** Longest text that an error repeats. */
const FOUND_MAX = 80;

export const quoted = (text: string): string =>
  JSON.stringify(text.length > FOUND_MAX ? `${text.slice(0, FOUND_MAX)}…` : text);

export function configure(
  flags: Flags,
  expected: readonly Positional[],
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Configuration {
  const problems: Problem[] = [];
  const typed = readArguments(flags, argv, problems);
  const values: Record<string, unknown> = {};
  const given = new Set<string>();
  for (const [name, flag] of Object.entries(flags)) {
    const texts = typed.flags.get(name) ?? fromEnvironment(name, flag, env);
    if (texts.length > 0) given.add(name);
    const wrong = problems.length;
    const read = readFlag(name, flag, texts, problems);
    if (problems.length === wrong || read.length > 0) values[name] = flag.gather(read);
  }
  countPositionals(expected, typed, problems);
  return { values, given, positionals: typed.positionals, help: typed.help, problems };
}

interface Typed {
  readonly flags: ReadonlyMap<string, readonly Given[]>;
  readonly positionals: readonly string[];
  readonly help: boolean;
  readonly hasUnknown: boolean;
}

function readArguments(flags: Flags, argv: readonly string[], problems: Problem[]): Typed {
  const known = new Map(Object.entries(flags));
  const given = new Map<string, Given[]>();
  const positionals: string[] = [];
  let help = false;
  let hasUnknown = false;
  /** The repeatable flag whose values may still follow: `--subject run=r-7 user=ann`. */
  let open: Given[] | undefined;

  const { tokens } = parseArgs({
    args: bindMissingValues(known, argv),
    options: {
      ...Object.fromEntries(
        [...known].map(([name, flag]) => [
          name,
          { type: flag.placeholder === "" ? ("boolean" as const) : ("string" as const) },
        ]),
      ),
      help: { type: "boolean", short: "h" },
    },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === "positional") {
      if (open !== undefined && token.value.includes("=")) {
        open.push({ where: open[0]?.where ?? "", text: token.value });
      } else positionals.push(token.value);
      continue;
    }
    open = undefined;
    if (token.kind !== "option") continue;
    const flag = known.get(token.name);
    if (token.name === "help") help = true;
    else if (flag === undefined) {
      problems.push(unknownFlag(token.rawName, known.keys()));
      hasUnknown = true;
    } else {
      const texts = given.get(token.name) ?? [];
      texts.push({
        where: token.rawName,
        text: token.value ?? (flag.placeholder === "" ? "true" : ""),
      });
      given.set(token.name, texts);
      if (flag.repeats) open = texts;
    }
  }
  return { flags: given, positionals, help, hasUnknown };
}

/**
 * parseArgs takes whatever follows a flag as its value, another flag included: `--policy --tenant acme` would
 * be a policy called "--tenant" and a stray word. A flag that is followed by a flag gets an empty value here.
 */
const bindMissingValues = (known: ReadonlyMap<string, Flag<unknown>>, argv: readonly string[]) =>
  argv.map((word, index) => {
    const flag = word.startsWith("--") ? known.get(word.slice(2)) : undefined;
    const bare =
      flag !== undefined && flag.placeholder !== "" && (argv[index + 1] ?? "--").startsWith("--");
    return bare ? `${word}=` : word;
  });

function unknownFlag(written: string, known: Iterable<string>): Problem {
  const meant = nearest(written.replace(/^-+/, ""), [...known, "help"]);
  return {
    where: written,
    found: "an unknown flag",
    allowed: meant === undefined ? "the flags that --help lists" : `--${meant}`,
  };
}

function fromEnvironment(
  name: string,
  flag: Flag<unknown>,
  env: Readonly<Record<string, string | undefined>>,
): readonly Given[] {
  for (const variable of [variableOf(name), flag.furtherVariable]) {
    const text = variable === undefined ? undefined : env[variable];
    // An empty variable is one that a template left blank: not said.
    if (text === undefined || text.trim() === "") continue;
    const where = `--${name} (from ${variable})`;
    return (flag.repeats ? text.trim().split(/\s+/) : [text]).map((part) => ({
      where,
      text: part,
    }));
  }
  return [];
}

/** The values of all texts of a flag; what is wrong with any of them goes to `problems`. */
function readFlag(
  name: string,
  flag: Flag<unknown>,
  given: readonly Given[],
  problems: Problem[],
): readonly unknown[] {
  if (given.length === 0 && flag.required) {
    const where = `--${name} (or ${variableOf(name)})`;
    problems.push({ where, found: "nothing", allowed: `${flag.placeholder}, it has to be said` });
  }
  const fallback = flag.fallback === undefined ? [] : [{ where: `--${name}`, text: flag.fallback }];
  const values: unknown[] = [];
  for (const { where, text } of given.length === 0 ? fallback : given) {
    const reading =
      text === "" ? { allowed: flag.placeholder, found: "no value" } : flag.read(text);
    if ("value" in reading) values.push(reading.value);
    else {
      const { further = [], readable } = reading;
      for (const { found = quoted(text), allowed } of [reading, ...further])
        problems.push({ where, found, allowed });
      if (readable !== undefined) values.push(readable);
    }
  }
  return values;
}

function countPositionals(
  expected: readonly Positional[],
  { positionals, hasUnknown }: Typed,
  problems: Problem[],
): void {
  for (const { name, help } of expected.slice(positionals.length)) {
    problems.push({ where: name, found: "nothing", allowed: help });
  }
  // A stray word may be the value of a flag that was mistyped: one typo is one error.
  for (const stray of hasUnknown ? [] : positionals.slice(expected.length)) {
    problems.push({
      where: "arguments",
      found: quoted(stray),
      allowed: expected.length === 0 ? "flags alone" : expected.map(({ name }) => name).join(" "),
    });
  }
}
