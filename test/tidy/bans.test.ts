/** What the code does not say, why, and what it says instead. */
import { expect, test } from "vitest";
import { type Source, parse, sourcesUnder } from "../support/sources.ts";

interface Ban {
  readonly pattern: RegExp;
  /** Start of the paths where it holds. */
  readonly within: readonly string[];
  /** Start of the paths that are let off. */
  readonly except?: readonly string[];
  readonly instead: string;
  /** Code that must be found. */
  readonly planted: string;
  /** Look at comments and strings too. */
  readonly inText?: true;
}

const PURE = ["src/core/", "src/engine/"];
const ALL = ["src/", "test/", "deploy/"];

const BANS: readonly Ban[] = [
  { pattern: /\bDate\b/, within: PURE, instead: "`now`, an argument", planted: "Date.now();" },
  {
    pattern: /\bMath\.random\b/,
    within: ["src/"],
    except: ["src/adapters/system/"],
    instead: "ports/rng.ts",
    planted: "Math.random();",
  },
  {
    pattern: /\b(setTimeout|setInterval|setImmediate|queueMicrotask)\b/,
    within: PURE,
    instead: "ports/clock.ts",
    planted: "setTimeout(f, 1);",
  },
  { pattern: /\bprocess\b/, within: PURE, instead: "an argument", planted: "process.pid;" },
  {
    pattern: /\bprocess\.(exit|env|argv|on|once)\b/,
    within: ["src/"],
    except: ["src/main.ts"],
    instead: "what main.ts hands in",
    planted: "process.exit(1);",
  },
  {
    pattern: /\bperformance\b/,
    within: PURE,
    instead: "ports/clock.ts",
    planted: "performance.now();",
  },
  { pattern: /\b(Buffer|crypto)\b/, within: PURE, instead: "a port", planted: "Buffer.alloc(1);" },
  {
    pattern: /\bconsole\b/,
    within: ["src/"],
    except: ["src/cli/", "src/main.ts"],
    instead: "ports/log.ts",
    planted: "console.log(1);",
  },
  {
    pattern: /\b(async|await|Promise)\b/,
    within: ["src/core/"],
    instead: "a value; who calls may wait",
    planted: "const f = async () => 1;",
  },
  {
    pattern: /\bfor \((const|let) \w+ in\b/,
    within: ["src/"],
    instead: "a Map: numbers among the keys of an object change their order",
    planted: "for (const key in rows) f(key);",
  },
  { pattern: /\bany\b/, within: ALL, instead: "unknown, then a check", planted: "let x: any;" },
  {
    pattern: /@ts-(ignore|nocheck)/,
    within: ALL,
    except: ["test/tidy/"],
    instead: "a type",
    planted: "// @ts-ignore",
    inText: true,
  },
  { pattern: /\bdebugger\b/, within: ALL, instead: "a test", planted: "debugger;" },
  {
    pattern: /\b(TODO|FIXME|XXX)\b/,
    within: ALL,
    except: ["test/tidy/"],
    instead: "doing it, or saying in CHANGELOG.md what is not there",
    planted: "// TODO later",
    inText: true,
  },
  {
    pattern: /\bvi\.(mock|doMock|hoisted|useFakeTimers|setSystemTime)\b/,
    within: ["test/"],
    instead: "a fake that behaves, from test/support",
    planted: "vi.mock();",
  },
  {
    pattern: /\b(test|it|describe|suite)(\.\w+)*\.(only|skip|skipIf|runIf|todo|fails)\b/,
    within: ["test/"],
    instead: "`ctx.skip(reason)` where this machine lacks something",
    planted: "test.concurrent.skip();",
  },
  {
    pattern: /\bexpect\.(assertions|hasAssertions)\b|\.toBeTruthy\(|\.toBeFalsy\(|\.toBeDefined\(/,
    within: ["test/"],
    instead: "the value that is expected",
    planted: "expect(x).toBeTruthy();",
  },
];

const holdsIn = (ban: Ban, file: string): boolean =>
  ban.within.some((start) => file.startsWith(start)) &&
  !(ban.except ?? []).some((start) => file.startsWith(start));

function violations(ban: Ban, source: Source): string[] {
  if (!holdsIn(ban, source.path)) return [];
  return (ban.inText ? source.text : source.bare).split("\n").flatMap((line, index) => {
    const found = ban.pattern.exec(line);
    return found ? [`${source.path}:${index + 1}: ${found[0]}; instead: ${ban.instead}`] : [];
  });
}

test("nothing that is banned is used", () => {
  const sources = sourcesUnder("src", "test", "deploy/bundle");
  expect(sources.flatMap((source) => BANS.flatMap((ban) => violations(ban, source)))).toEqual([]);
});

test.each(BANS.map((ban) => [ban.planted, ban] as const))(
  "a planted %s is found",
  (planted, ban) => {
    for (const folder of ban.within) {
      expect(violations(ban, parse(`${folder}planted.ts`, planted))).toHaveLength(1);
    }
    for (const folder of ban.except ?? []) {
      const file = folder.endsWith(".ts") ? folder : `${folder}planted.ts`;
      expect(violations(ban, parse(file, planted))).toEqual([]);
    }
  },
);

test("what comments and strings say is not code", () => {
  const source = parse("src/core/a.ts", 'const s = "Date, any"; // process\nconst t = `console`;');
  expect(BANS.flatMap((ban) => violations(ban, source))).toEqual([]);
});
