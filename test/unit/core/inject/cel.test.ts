import { expect, test } from "vitest";
import { celOf } from "../../../../src/core/inject/cel.ts";
import { configOf } from "../../../support/pods.ts";
import { policiesOf } from "../../../../src/core/inject/policy.ts";

test.each([
  ["text", 'a "quoted" \\ line', String.raw`"a \"quoted\" \\ line"`],
  ["number", 7, "7"],
  ["truth", true, "true"],
  ["expression", { cel: "variables.tenant" }, "variables.tenant"],
  ["list of texts", ["a", { cel: "b" }], '["a", b]'],
  ["object", { name: "a", f: { g: 1 } }, 'Object.x{name: "a", f: Object.x.f{g: 1}}'],
  ["list of objects", [{ name: "a" }], '[Object.x{name: "a"}]'],
])("CE1: a %s is written with the types of its place", (_, template, cel) => {
  expect(celOf(template, "Object.x")).toBe(cel);
});

test("CE1: members with the caller's keys are maps", () => {
  const limits = { limits: { memory: "1Gi" } };
  expect(celOf(limits, "Object.r")).toBe('Object.r{limits: {"memory": "1Gi"}}');
});

test("PM2: no policy is made of a classic profile", () => {
  const { injection } = configOf();
  const profile = injection.profiles.get("old");
  if (profile === undefined) throw new Error("no such profile");
  const options = { profileName: "old", profile, config: injection, excluded: [] };
  expect(() => policiesOf(options)).toThrow("PM2");
});
