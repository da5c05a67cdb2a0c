/** The contract reads as a manual, and what was released never breaks. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../support/sources.ts";

const CONTRACT = "imprest/v1/quota.proto";

/** What buf complains about in `folder`, line by line. */
function complaints(folder: string, ...args: readonly string[]): string[] {
  try {
    execFileSync(path.join(ROOT, "node_modules/.bin/buf"), args, { cwd: folder, encoding: "utf8" });
    return [];
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
    return `${stdout}${stderr}`.trim().split("\n");
  }
}

const lint = (folder: string): string[] => complaints(folder, "lint");
const breaking = (folder: string): string[] =>
  complaints(folder, "breaking", "--against", "released/v1.binpb");

let copy: string;
beforeAll(() => {
  copy = mkdtempSync(path.join(tmpdir(), "imprest-proto-"));
});
afterAll(() => rmSync(copy, { recursive: true }));

/** A copy of proto/ in which `change` was made to the contract. */
function planted(change: (text: string) => string): string {
  cpSync(path.join(ROOT, "proto"), copy, { recursive: true });
  const file = path.join(copy, CONTRACT);
  const text = readFileSync(file, "utf8");
  const changed = change(text);
  expect(changed).not.toBe(text);
  writeFileSync(file, changed);
  return copy;
}

test("every message, field, call and value of the contract has a comment", () => {
  expect(lint(path.join(ROOT, "proto"))).toEqual([]);
});

test("the contract breaks nothing that was released", () => {
  expect(breaking(path.join(ROOT, "proto"))).toEqual([]);
});

test("a planted message without a comment is found", () => {
  const complaint = lint(planted((text) => `${text}\nmessage Planted {}\n`));
  expect(complaint).toContainEqual(expect.stringContaining('Message "Planted"'));
});

test.each([
  [
    "a renumbered field",
    (text: string) => text.replace("string tenant = 1;", "string tenant = 99;"),
  ],
  ["a renamed field", (text: string) => text.replace("string tenant = 1;", "string customer = 1;")],
  ["a call that is gone", (text: string) => text.replace(/^ *rpc Explain.*$/m, "")],
])("a planted break of the released contract is found: %s", (_, change) => {
  expect(breaking(planted(change))).not.toEqual([]);
});
