import { describe, expect, test } from "vitest";
import type { MatchRule } from "../../../../src/core/policy/document.ts";
import { actionTest, bucketValues, createMatcher } from "../../../../src/core/policy/match.ts";
import { anAction, aSubject } from "../../../support/builders.ts";

const is = (level: string, ...patterns: string[]): MatchRule => ({ level, patterns });
const subject = aSubject({ workspace: "prod", dimensions: { run: "r-1" } });
const action = anAction({ kind: "llm.completion", name: "gpt-4o", tags: ["batch", "night"] });

const applies = (match: MatchRule[], per: string[] = []): boolean =>
  createMatcher(match, per).applies(subject, action);

describe("which operations a rule is about", () => {
  test("all conditions must hold, and of a list one value", () => {
    expect(applies([])).toBe(true);
    expect(applies([is("workspace", "prod"), is("action", "llm.*")])).toBe(true);
    expect(applies([is("workspace", "prod"), is("action", "tool.*")])).toBe(false);
    expect(applies([is("workspace", "test", "prod")])).toBe(true);
    expect(applies([is("name", "gpt-4o-mini", "gpt-?")])).toBe(false);
  });

  test("of an operation's tags one must match", () => {
    expect(applies([is("tag", "night")])).toBe(true);
    expect(applies([is("tag", "n*")])).toBe(true);
    expect(applies([is("tag", "day")])).toBe(false);
  });

  test.each(["workflow", "session", "tag", "name"])("an absent %s matches * alone", (level) => {
    const bare = (pattern: string): boolean =>
      createMatcher([is(level, pattern)], []).applies(subject, anAction());
    expect(bare("*")).toBe(true);
    expect(bare("**")).toBe(false);
    expect(bare("?*")).toBe(false);
    expect(createMatcher([is(level, "x", "*")], []).applies(subject, anAction())).toBe(true);
  });

  test("every level of per must be there", () => {
    expect(applies([], ["run", "workspace", "name"])).toBe(true);
    expect(applies([], ["run", "session"])).toBe(false);
  });

  test("levels are ordinary names, whatever JavaScript makes of them", () => {
    const odd = aSubject({ dimensions: new Map([["__proto__", "x"]]) });
    const matcher = createMatcher([is("__proto__", "x")], ["__proto__"]);
    expect(matcher.applies(odd, action)).toBe(true);
    expect(matcher.applies(subject, action)).toBe(false);
    expect(createMatcher([], ["constructor"]).applies(subject, action)).toBe(false);
  });
});

describe("what a balance looks at (S30)", () => {
  const onSubject = (match: MatchRule[], per: string[] = []): boolean =>
    createMatcher(match, per).appliesToSubject(subject);

  test("conditions on action, name and tag are left out, those on the subject are not", () => {
    expect(onSubject([is("action", "tool.*"), is("name", "x"), is("tag", "x")])).toBe(true);
    expect(onSubject([is("workspace", "test")])).toBe(false);
    expect(onSubject([], ["name", "run"])).toBe(true);
    expect(onSubject([], ["name", "session"])).toBe(false);
  });
});

describe("the buckets of a rule", () => {
  test("are told apart by the values of per, in the order of per", () => {
    const matcher = createMatcher([], ["run", "name"]);
    const bucket = matcher.bucketOf(subject, action);
    expect(bucketValues(bucket)).toEqual(["r-1", "gpt-4o"]);
    expect(createMatcher([], []).bucketOf(subject, action)).toBe("");
    expect(createMatcher([], ["run"]).bucketOf(subject, action)).toBe("r-1");
  });

  test("values that look alike when joined are different buckets", () => {
    const matcher = createMatcher([], ["run", "user"]);
    const of = (run: string, user: string): string =>
      matcher.bucketOf(aSubject({ dimensions: { run, user } }), action);
    expect(new Set([of("a", "b,c"), of("a,b", "c"), of("a|b", "c"), of("a", "b|c")]).size).toBe(4);
  });

  test("belong to the subjects that have their values, whatever the action", () => {
    const matcher = createMatcher([], ["name", "run"]);
    expect(matcher.perAction).toBe(true);
    expect(createMatcher([], ["run"]).perAction).toBe(false);
    const bucket = matcher.bucketOf(subject, action);
    expect(matcher.ownsBucket(bucket, subject)).toBe(true);
    expect(matcher.ownsBucket(bucket, aSubject({ dimensions: { run: "r-2" } }))).toBe(false);
  });
});

test("why a rule does not apply is said by its first condition that does not hold", () => {
  const matcher = createMatcher([is("workspace", "prod"), is("action", "tool.*")], ["run"]);
  const tool = anAction({ kind: "tool.call" });
  expect(matcher.whyNot(aSubject(), tool)).toBe("match.workspace");
  expect(matcher.whyNot(subject, action)).toBe("match.action");
  expect(matcher.whyNot(aSubject({ workspace: "prod" }), tool)).toBe("per.run");
  expect(matcher.whyNot(subject, tool)).toBe("");
});

describe("lists of actions", () => {
  const allowed = actionTest({
    entries: [
      { kind: "llm.*", names: ["gpt-4o-mini*"] },
      { kind: "tool.*", names: ["web.search", "db.query"] },
    ],
  });

  test("an entry is a kind and names for it; one of them must hold", () => {
    expect(allowed("llm.completion", "gpt-4o-mini-2026")).toBe(true);
    expect(allowed("llm.completion", "web.search")).toBe(false);
    expect(allowed("tool.call", "db.query")).toBe(true);
    expect(allowed("session.start", "x")).toBe(false);
  });

  test("an empty kind or name matches * alone", () => {
    expect(allowed("llm.completion", "")).toBe(false);
    const all = actionTest({ entries: [{ kind: "*", names: ["*"] }] });
    expect(all("", "")).toBe(true);
    expect(actionTest({ entries: [{ kind: "?*", names: ["*"] }] })("", "")).toBe(false);
  });
});
