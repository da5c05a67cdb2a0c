/** Documents that somebody or something has damaged: each is read or refused with problems, and none throws. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { parsePolicy, parsePolicyBytes } from "../../src/adapters/policy/parse.ts";
import { spellProblem } from "../../src/cli/policy.ts";
import type { PolicyProblem, PolicyResult } from "../../src/ports/policy-source.ts";
import { EXAMPLE, policyText } from "../unit/adapters/policy/example.ts";

const GOOD = policyText(EXAMPLE);
const TENANTS = ["acme", "mallory", "oldco", "globex", "nobody"];

/** Asks a document all that it can be asked; "" unless a problem of it is no proper line. */
function faultOf(result: PolicyResult): string {
  if (result.ok) {
    for (const name of TENANTS) {
      result.document.tenant(name);
      result.document.defaultTenant(name);
    }
    return "";
  }
  if (result.problems.length === 0) return "refused without a problem";
  const isProper = ({ line = 1, column = 1 }: PolicyProblem): boolean => line > 0 && column > 0;
  const odd = result.problems.find(
    (problem) => !isProper(problem) || /\p{Cc}/u.test(spellProblem(problem)),
  );
  return odd === undefined ? "" : JSON.stringify(odd);
}

/** Words and signs that mean something somewhere in a document. */
const fragment = fc.constantFrom(
  ..."{ } [ ] : , - & * ! | > ' \" # % @ ` ? ~ << null true 0 -1 1.5 1e999 .nan .inf $5 80% 5m 2^53".split(
    " ",
  ),
  ..."&a *a !!str !!int <<: \n \t".split(" "),
  "\n  ",
  "\u0000",
  "\uD800",
  "__proto__",
);

interface Damage {
  readonly at: number;
  readonly cut: number;
  readonly put: string;
}

const damage: fc.Arbitrary<Damage> = fc.record({
  at: fc.nat(GOOD.length),
  cut: fc.nat(12),
  put: fc.oneof(fragment, fc.string({ maxLength: 5 })),
});

test("damaged text", () => {
  fc.assert(
    fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (damages) => {
      let text = GOOD;
      for (const { at, cut, put } of damages) text = text.slice(0, at) + put + text.slice(at + cut);
      expect(faultOf(parsePolicy(text))).toBe("");
    }),
    { numRuns: 1_500 },
  );
});

test("a line left out, doubled, or swapped with another", () => {
  const lines = GOOD.split("\n");
  const place = fc.nat(lines.length - 1);
  fc.assert(
    fc.property(place, place, fc.constantFrom("out", "twice", "swap"), (a, b, how) => {
      const changed = [...lines];
      if (how === "out") changed.splice(a, 1);
      if (how === "twice") changed.splice(a, 0, lines[a] ?? "");
      if (how === "swap") [changed[a], changed[b]] = [lines[b] ?? "", lines[a] ?? ""];
      expect(faultOf(parsePolicy(changed.join("\n")))).toBe("");
    }),
    { numRuns: 400 },
  );
});

test("well-formed documents of the right keys and the wrong values", () => {
  const words = [...new Set(GOOD.match(/[a-z_]{2,}/g) ?? [])];
  const value = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 6 },
      fc.oneof(
        fc.constantFrom(...words),
        fc.integer(),
        fc.double(),
        fc.boolean(),
        fc.constant(null),
      ),
      fc.array(tie("node"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...words), tie("node"), { maxKeys: 4 }),
    ),
  })).node;
  const plan = fc.record({ limits: value, breakers: value, loops: value, allow: value, at: value });
  fc.assert(
    fc.property(value, plan, value, (free, pro, tenants) => {
      const document = { apiVersion: "imprest.dev/v1", kind: "Policy", limits: free };
      expect(
        faultOf(parsePolicy(JSON.stringify({ ...document, plans: { free, pro }, tenants }))),
      ).toBe("");
    }),
    { numRuns: 600 },
  );
});

test("bytes that are nothing at all", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(faultOf(parsePolicyBytes(bytes))).toBe("");
    }),
    { numRuns: 1_000 },
  );
});

test("nesting without end is refused", () => {
  expect(faultOf(parsePolicy("[".repeat(100_000)))).toBe("");
  expect(faultOf(parsePolicy(`${"{a: ".repeat(5_000)}1${"}".repeat(5_000)}`))).toBe("");
  expect(faultOf(parsePolicy(`${"- ".repeat(50_000)}1`))).toBe("");
});
