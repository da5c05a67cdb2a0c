import { describe, expect, test } from "vitest";
import type { MatchRule } from "../../../src/core/policy/document.ts";
import { isSubjectLevel, levelReader, scopeShape } from "../../../src/core/scope.ts";
import { anAction, aSubject } from "../../support/builders.ts";

const is = (level: string, ...patterns: string[]): MatchRule => ({ level, patterns });
const everything = aSubject({
  workspace: "w",
  app: "a",
  workflow: "f",
  agent: "g",
  toolset: "t",
  dimensions: { run: "r-7", conversation: "c", user: "u" },
});
const call = anAction({ kind: "llm.completion", name: "gpt-4o" });

describe("the text of a scope", () => {
  test("SC1: levels stand in the canonical order, whatever order the policy names them in", () => {
    const levels = ["name", "run", "toolset", "action", "agent", "conversation", "app"];
    const texts = [levels, levels.toReversed(), levels.toSorted()].map((per) =>
      scopeShape({ match: [], per }, "tenant").text("acme", everything, call),
    );
    const expected =
      "tenant:acme/app:a/agent:g/toolset:t/conversation:c/run:r-7/action:llm.completion/name:gpt-4o";
    expect(texts).toEqual([expected, expected, expected]);
  });

  test("SC1: match and per of one level name it once", () => {
    const shape = scopeShape({ match: [is("run", "r-7")], per: ["run", "workflow"] }, "tenant");
    expect(shape.text("acme", everything, call)).toBe("tenant:acme/workflow:f/run:r-7");
    expect(shape.depth).toBe(3);
  });

  test("a level that match fixes to one value is named; a wildcard, a list and a tag are not", () => {
    const match = [
      is("workspace", "production"),
      is("app", "a*"),
      is("agent", "g?"),
      is("workflow", "f", "x"),
      is("tag", "batch"),
    ];
    const shape = scopeShape({ match, per: [] }, "tenant");
    expect(shape.text("acme", everything, call)).toBe("tenant:acme/workspace:production");
    expect(shape.depth).toBe(2);
  });

  test("SC2: no value can forge another scope", () => {
    const shape = scopeShape({ match: [], per: ["run"] }, "tenant");
    const forged = aSubject({ dimensions: { run: "1/user:root" } });
    expect(shape.text("acme", forged, call)).toBe("tenant:acme/run:1%2Fuser:root");
    const nested = scopeShape({ match: [], per: ["run", "user"] }, "tenant");
    const honest = aSubject({ dimensions: { run: "1", user: "root" } });
    expect(nested.text("acme", honest, call)).toBe("tenant:acme/run:1/user:root");
    const percent = aSubject({ dimensions: { run: "1%2Fuser:root" } });
    expect(shape.text("acme", percent, call)).toBe("tenant:acme/run:1%252Fuser:root");
  });

  test("SC2: a value that the policy fixes is escaped like a caller's", () => {
    const shape = scopeShape({ match: [is("name", "openai/gpt-4o")], per: [] }, "tenant");
    expect(shape.text("acme", everything, call)).toBe("tenant:acme/name:openai%2Fgpt-4o");
  });

  test("a platform limit begins with platform, and names the tenant only where per does", () => {
    const all = scopeShape({ match: [], per: ["name"] }, "platform");
    expect(all.text("acme", everything, call)).toBe("platform/name:gpt-4o");
    const each = scopeShape({ match: [], per: ["name", "tenant"] }, "platform");
    expect(each.text("acme", everything, call)).toBe("platform/tenant:acme/name:gpt-4o");
  });

  test("levels that the operation lacks are left out", () => {
    const shape = scopeShape({ match: [], per: ["run", "app"] }, "tenant");
    expect(shape.text("acme", aSubject({ app: "a" }), call)).toBe("tenant:acme/app:a");
  });

  test("S8: the tenant is one level, the platform none", () => {
    expect(scopeShape({ match: [], per: [] }, "tenant").depth).toBe(1);
    expect(scopeShape({ match: [], per: [] }, "platform").depth).toBe(0);
  });
});

describe("levels", () => {
  test.each([
    ["tenant", "acme"],
    ["workspace", "w"],
    ["app", "a"],
    ["workflow", "f"],
    ["agent", "g"],
    ["toolset", "t"],
    ["run", "r-7"],
    ["action", "llm.completion"],
    ["name", "gpt-4o"],
    ["session", ""],
    ["__proto__", ""],
    ["constructor", ""],
  ])("%s of the operation is %j", (level, value) => {
    expect(levelReader(level)(everything, call)).toBe(value);
  });

  test("all but action, name and tag are the subject's", () => {
    const levels = ["tenant", "app", "run", "action", "name", "tag"];
    expect(levels.filter(isSubjectLevel)).toEqual(["tenant", "app", "run"]);
  });
});
