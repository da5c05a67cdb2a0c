import { describe, expect, it } from "vitest";
import { configure } from "../../../src/cli/configuration.ts";
import type { Values } from "../../../src/cli/flag.ts";
import {
  ACTION_FLAGS,
  actionOf,
  AMOUNT_FLAGS,
  checkSubject,
  SUBJECT_FLAGS,
  subjectOf,
} from "../../../src/cli/operation.ts";

const FLAGS = { ...SUBJECT_FLAGS, ...ACTION_FLAGS, ...AMOUNT_FLAGS };

const read = (...argv: readonly string[]) => configure(FLAGS, [], argv, {});
const valuesOf = (...argv: readonly string[]) => {
  const { values, problems } = read(...argv);
  expect(problems).toEqual([]);
  return values as Values<typeof FLAGS>;
};

describe("--amount", () => {
  it.each([
    ["tokens=1500", "tokens", 1_500n],
    ["tokens=500k", "tokens", 500_000n],
    ["tokens=1M", "tokens", 1_000_000n],
    ["tokens=2G", "tokens", 2_000_000_000n],
    ["tokens=9007199254740991", "tokens", 9_007_199_254_740_991n],
    ["requests=0", "requests", 0n],
    ["usd_micros=$12.50", "usd_micros", 12_500_000n],
    ["usd_micros=$0.000001", "usd_micros", 1n],
    ["usd_micros=$7", "usd_micros", 7_000_000n],
    ["usd_micros=250", "usd_micros", 250n],
  ])("%s", (text, meter, units) => {
    expect(valuesOf("--amount", text).amount).toEqual([{ meter, units }]);
  });

  it.each([
    "tokens",
    "=5",
    "tokens=",
    "tokens=-1",
    "tokens=1.5",
    "tokens=1K",
    "tokens=$5",
    "Tokens=1",
    "tokens=9007199254740992",
    "tokens=9999999999999G",
    "usd_micros=$1.0000001",
    "usd_micros=$9999999999.999999999",
    "usd_micros=$9999999999",
  ])("refuses %s", (text) => {
    expect(read("--amount", text).problems).toHaveLength(1);
  });
});

describe("--usage", () => {
  it("reads every count, and leaves what is not stated absent", () => {
    const all =
      "model=gpt-4o,input=1k,output=2,cache_read=3,cache_write=4,reasoning=5,input_bytes=6,output_bytes=7";
    expect(valuesOf("--usage", all).usage).toEqual({
      model: "gpt-4o",
      inputTokens: 1_000n,
      outputTokens: 2n,
      cacheReadTokens: 3n,
      cacheWriteTokens: 4n,
      reasoningTokens: 5n,
      inputBytes: 6n,
      outputBytes: 7n,
    });
    const { usage } = valuesOf("--usage", "model=gpt-4o");
    expect(usage?.inputTokens).toBeUndefined();
    expect(usage?.outputTokens).toBeUndefined();
  });

  it("states an explicit 0 (S5a)", () => {
    expect(valuesOf("--usage", "model=m,output=0").usage?.outputTokens).toBe(0n);
  });

  it("lets a model's name hold commas and equals signs", () => {
    expect(valuesOf("--usage", "model=a,b/c,input=1").usage).toMatchObject({
      model: "a,b/c",
      inputTokens: 1n,
    });
  });

  it.each([
    "gpt-4o",
    "model=m,inputs=1",
    "model=m,input=-1",
    "input=1,input=2",
    "model=",
    "input=1,",
  ])("refuses %s", (text) => {
    expect(read("--usage", text).problems).toHaveLength(1);
  });
});

describe("--subject", () => {
  it("puts the fixed levels into their fields and the rest into dimensions", () => {
    const values = valuesOf(
      "--tenant",
      "acme",
      "--subject",
      "workflow=chat",
      "run=r-7",
      "--subject",
      "user=a@b",
    );
    const subject = subjectOf(values);
    expect(subject).toMatchObject({ tenant: "acme", workflow: "chat", workspace: "", agent: "" });
    expect([...subject.dimensions]).toEqual([
      ["run", "r-7"],
      ["user", "a@b"],
    ]);
  });

  it("keeps __proto__ as the ordinary level that it is", () => {
    const subject = subjectOf(valuesOf("--subject", "__proto__=x"));
    expect([...subject.dimensions]).toEqual([["__proto__", "x"]]);
  });

  it("refuses a level that is said twice, and the tenant", () => {
    const problems = checkSubject(valuesOf("--subject", "run=a", "run=b", "tenant=acme"));
    expect(problems.map(({ found }) => found)).toEqual(["run more than once", "tenant"]);
  });
});

it("the action has kind, name, tags and fingerprint", () => {
  const argv = [
    "--action",
    "tool.call",
    "--name",
    "web.search",
    "--tag",
    "a",
    "--tag",
    "b",
    "--fingerprint",
    "f",
  ];
  expect(actionOf(valuesOf(...argv))).toEqual({
    kind: "tool.call",
    name: "web.search",
    tags: ["a", "b"],
    fingerprint: "f",
  });
});
