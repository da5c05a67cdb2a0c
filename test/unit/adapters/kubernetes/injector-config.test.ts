import { expect, test } from "vitest";
import { readInjectorConfig } from "../../../../src/adapters/kubernetes/injector-config.ts";
import { CONFIG, configOf, type JsonObject } from "../../../support/pods.ts";

const { default: standard } = CONFIG.profiles;
const problemsOf = (document: JsonObject): readonly string[] => {
  const reading = readInjectorConfig(JSON.stringify(document), "0.1.0");
  return "problems" in reading ? reading.problems : [];
};
const withProfile = (more: JsonObject): JsonObject => ({
  ...CONFIG,
  profiles: { default: { ...standard, ...more } },
});

test("what is not said has a default", () => {
  const config = configOf();
  expect(config).toMatchObject({
    clusterDomain: "cluster.local",
    events: true,
    certificates: {
      caLifetimeMs: 365 * 86_400_000,
      leafLifetimeMs: 7 * 86_400_000,
      overlapMs: 3_600_000,
    },
    injection: {
      version: "0.1.0",
      strictAnnotations: true,
      image: { reference: "localhost/imprest:0.1.0", pullPolicy: "IfNotPresent" },
    },
  });
  expect(config.injection.profiles.get("default")).toMatchObject({
    mode: "native",
    logLevel: "info",
    runAsUser: 65_532,
    resources: { requests: { cpu: "20m", memory: "128Mi" }, limits: { memory: "192Mi" } },
  });
});

test("everything that is wrong is told at once, each with its place", () => {
  const { image: _, ...rest } = CONFIG;
  const problems = problemsOf({ ...rest, namespace: "Not A Name", unknown: 1 });
  expect(problems.map((problem) => problem.split(":")[0])).toEqual(["namespace", "image", ""]);
});

test.each<[string, JsonObject, string]>([
  ["a limit that is too small", { resources: { ...limits("64Mi") } }, "limits: memory: allowed"],
  [
    "requests without cpu",
    { resources: { requests: { memory: "128Mi" }, limits: { memory: "192Mi" } } },
    "cpu: allowed: said",
  ],
  ["root", { runAsUser: 0 }, "runAsUser"],
  ["another mode", { mode: "nativ" }, "mode"],
  ["an unknown member", { storee: "x" }, "storee"],
  ["a key that leaves its folder", { storePasswordSecret: { name: "a", key: "../x" } }, "key"],
])("a profile with %s is refused", (_, more, says) => {
  expect(problemsOf(withProfile(more)).join("\n")).toContain(says);
});

function limits(memory: string): JsonObject {
  return { requests: { cpu: "20m", memory: "64Mi" }, limits: { memory } };
}

test.each([
  ["no YAML", "a: [", 1],
  ["nothing", "", 1],
  ["a list", "[]", 1],
])("%s is a problem, not an exception", (_, text, count) => {
  const reading = readInjectorConfig(text, "0.1.0");
  expect("problems" in reading ? reading.problems : []).toHaveLength(count);
});

test.each([
  ["that certificates do not live to see", { leafLifetime: "1h", overlap: "40m" }],
  ["of no time, in which they would be made without end", { leafLifetime: "1h", overlap: "0s" }],
  ["of no time, like all else", { leafLifetime: "0s", overlap: "0s" }],
])("an overlap %s is refused", (_, certificates) => {
  expect(problemsOf({ ...CONFIG, certificates })[0]).toContain("at most half of leafLifetime");
});
