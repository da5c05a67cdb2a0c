/**
 * Who may import whom. Arrows point inwards: the core knows nothing of the world, adapters know nothing of each
 * other, and only compose, cli and main see everything.
 */
import path from "node:path";
import { expect, test } from "vitest";
import { type Import, type Source, parse, sourcesUnder } from "../support/sources.ts";

/** What each layer may import besides itself. "adapters" stands for each folder in it by itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  ports: ["core"],
  engine: ["core", "ports"],
  adapters: ["core", "ports", "npm", "node"],
  compose: ["core", "ports", "engine", "adapters", "gen", "npm", "node"],
  cli: ["core", "ports", "engine", "adapters", "compose", "gen", "npm", "node"],
  main: ["cli", "compose", "npm", "node"],
};

/** Adapters that speak the wire format. */
const SPEAK_WIRE = new Set(["adapters/grpc"]);

interface Place {
  readonly layer: string;
  /** The layer, or the adapter's own folder: "adapters/grpc". */
  readonly room: string;
}

function placeOf(file: string): Place {
  const [top = "", second = "", third = ""] = file.split("/");
  if (top !== "src") return { layer: "outside", room: "outside" };
  const layer = second.replace(/\.ts$/, "");
  return { layer, room: layer === "adapters" ? `adapters/${third}` : layer };
}

function targetOf(from: string, { specifier }: Import): Place {
  if (specifier.startsWith("node:")) return { layer: "node", room: "node" };
  if (!specifier.startsWith(".")) return { layer: "npm", room: "npm" };
  return placeOf(path.posix.join(path.posix.dirname(from), specifier));
}

function isAllowed(from: Place, to: Place, isTypeOnly: boolean): boolean {
  if (from.room === to.room) return true;
  if (from.layer === "adapters" && to.layer === "gen") return SPEAK_WIRE.has(from.room);
  if (from.layer === "adapters" && to.layer === "adapters") return false;
  if (from.layer === "ports" && !isTypeOnly) return false;
  return MAY_IMPORT[from.layer]?.includes(to.layer) ?? false;
}

function violations(source: Source): string[] {
  const from = placeOf(source.path);
  return source.imports
    .filter((item) => !isAllowed(from, targetOf(source.path, item), item.isTypeOnly))
    .map((item) => `${source.path}:${item.line}: ${from.room} may not import ${item.specifier}`);
}

test("every import follows the layer table", () => {
  expect(sourcesUnder("src").flatMap(violations)).toEqual([]);
});

test.each([
  ["src/core/a.ts", 'import { readFileSync } from "node:fs";'],
  ["src/core/a.ts", 'import type { Clock } from "../ports/clock.ts";'],
  ["src/core/limit/a.ts", 'export { parse } from "yaml";'],
  ["src/core/a.ts", 'const load = () => import("zod");'],
  ["src/core/a.ts", 'type Server = import("@grpc/grpc-js").Server;'],
  ["src/ports/a.ts", 'import { assert } from "../core/assert.ts";'],
  ["src/ports/a.ts", 'import type { Server } from "node:http";'],
  ["src/engine/a.ts", 'import { clock } from "../adapters/system/clock.ts";'],
  ["src/engine/a.ts", 'import pino from "pino";'],
  ["src/adapters/http/a.ts", 'import { codec } from "../grpc/codec.ts";'],
  ["src/adapters/http/a.ts", 'import { Amount } from "../../gen/imprest/v1/quota.ts";'],
  ["src/adapters/grpc/a.ts", 'import { createEngine } from "../../engine/driver.ts";'],
  ["src/adapters/grpc/a.ts", 'import { sidecar } from "../../compose/sidecar.ts";'],
  ["src/cli/a.ts", 'import { aLimit } from "../../test/support/builders.ts";'],
])("a planted violation is found: %s: %s", (file, code) => {
  expect(violations(parse(file, code))).toHaveLength(1);
});

test.each([
  ["src/ports/a.ts", 'import type { Units } from "../core/units.ts";'],
  ["src/adapters/grpc/a.ts", 'import { Amount } from "../../gen/imprest/v1/quota.ts";'],
  ["src/adapters/grpc/a.ts", 'import { codec } from "./codec.ts";'],
  ["src/compose/a.ts", 'import { codec } from "../adapters/grpc/codec.ts";'],
])("what the table allows is let through: %s: %s", (file, code) => {
  expect(violations(parse(file, code))).toEqual([]);
});
