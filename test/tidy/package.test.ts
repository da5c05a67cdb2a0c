/** What the package consists of: pinned, counted, and where the layout says. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { ROOT, read, sourcesUnder } from "../support/sources.ts";

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(read("package.json")) as Manifest;

/**
 * What runs in production, and what for. One more is one more thing to trust, to patch and to start: whoever adds
 * it says here why.
 */
const RUN_TIME: Readonly<Record<string, string>> = {
  "@bufbuild/protobuf": "the wire format under ts-proto's messages, and proto3 JSON",
  "@grpc/grpc-js": "gRPC",
  "@grpc/proto-loader": "descriptors met at run time, for reflection",
  "@grpc/reflection": "server reflection",
  ioredis: "Redis and Valkey: single, Sentinel, Cluster, TLS",
  "js-yaml": "the policy document, and where in it an error lies",
  pino: "the log",
  "prom-client": "metrics",
  "temporal-polyfill": "time zones, months and days of 23 hours",
  zod: "the shape of the policy document, and its JSON Schema",
};

const TOP_LEVEL = new Set([
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "LICENSE",
  "README.md",
  "SECURITY.md",
  "deploy",
  "package-lock.json",
  "package.json",
  "proto",
  "src",
  "test",
  "tsconfig.json",
]);
const MADE_HERE = new Set(["dist", "node_modules"]);

const loose = (versions: Readonly<Record<string, string>>): string[] =>
  Object.entries(versions).flatMap(([name, version]) =>
    /^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version) ? [] : [`${name}: ${version}`],
  );

const misplaced = (names: readonly string[]): string[] =>
  names.filter((name) => !name.startsWith(".") && !TOP_LEVEL.has(name) && !MADE_HERE.has(name));

/** "@grpc/grpc-js/build/x" → "@grpc/grpc-js"; "" for what is no package. */
function packageOf(specifier: string): string {
  if (specifier.startsWith(".") || specifier.startsWith("node:")) return "";
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

const importedBySources = new Set(
  sourcesUnder("src").flatMap(({ imports }) =>
    imports.map(({ specifier }) => packageOf(specifier)),
  ),
);
importedBySources.delete("");

test("run-time dependencies are those that were reviewed", () => {
  expect(Object.keys(manifest.dependencies)).toEqual(Object.keys(RUN_TIME));
});

test("the sources import reviewed packages alone, and builtin modules by their node: name", () => {
  expect([...importedBySources].filter((name) => !(name in RUN_TIME))).toEqual([]);
});

test("versions are pinned exactly", () => {
  expect(loose({ ...manifest.dependencies, ...manifest.devDependencies })).toEqual([]);
  expect(loose({ planted: "^1.2.3", another: "latest", third: "1.x", fine: "1.2.3" })).toHaveLength(
    3,
  );
});

test("no script runs behind another's back", () => {
  // With install scripts off, npm skips pre- and post-scripts in silence: what has to run first is chained.
  const hooks = Object.keys(manifest.scripts).filter((name) => /^(pre|post)/.test(name));
  expect(hooks).toEqual([]);
});

test("nothing lies at the top level that the layout does not name", () => {
  expect(misplaced(readdirSync(ROOT))).toEqual([]);
  expect(misplaced(["src", ".github", "utils.ts", "docs"])).toEqual(["utils.ts", "docs"]);
});
