/** `imprest policy validate`: every problem of a document at once. */
import { readFile, stat } from "node:fs/promises";
import { LARGEST_POLICY, tooLarge } from "../adapters/policy/content.ts";
import { encodePolicy, versionOf } from "../adapters/policy/parse.ts";
import type { PolicyProblem } from "../ports/policy-source.ts";
import { defineCommand, type Command } from "./command.ts";
import { toggle } from "./flag.ts";
import type { Host } from "./host.ts";
import { onOneLine } from "./ink.ts";

export const EXIT_PROBLEMS = 1;
export const EXIT_UNREADABLE = 2;

export type PolicyFile =
  | { readonly ok: true; readonly bytes: Uint8Array; readonly version: string }
  | ReturnType<typeof tooLarge>;

/** A policy file that may be parsed; `undefined`, with the reason on standard error, where it cannot be read. */
export async function readPolicyFile(host: Host, file: string): Promise<PolicyFile | undefined> {
  try {
    // The size is looked at first, so that a wrong path does not fill the memory.
    const { size } = await stat(file);
    if (size > LARGEST_POLICY) return tooLarge(size);
    const bytes = await readFile(file);
    return { ok: true, bytes, version: versionOf(bytes) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    host.stderr.write(`imprest policy: ${onOneLine(file)} cannot be read: ${onOneLine(reason)}\n`);
    return undefined;
  }
}

/** "plans.free.limits[0].rate.units 12:9: found X; allowed: Y" */
export function spellProblem({ path, line, column, found, allowed }: PolicyProblem): string {
  const place = line === undefined ? "" : ` ${line}:${column ?? 1}`;
  return onOneLine(
    `${path === "" ? "document" : path}${place}: found ${found}; allowed: ${allowed}`,
  );
}

export const policyValidate: Command = defineCommand({
  name: "policy validate",
  about: "Checks a policy document and tells every problem at once, each with its place.",
  positionals: [{ name: "FILE", help: "the policy document, YAML or JSON" }],
  flags: { json: toggle("Print one JSON object instead of lines.") },
  exits: { 0: "the document is valid", 1: "it has problems", 2: "it cannot be read" },
  examples: [
    { line: "imprest policy validate policy.yaml", says: "A line for each problem." },
    { line: "imprest policy validate policy.yaml --json", says: "The same for a CI job to read." },
  ],
  async run(host, { values, positionals: [file = ""] }) {
    const read = await readPolicyFile(host, file);
    if (read === undefined) return EXIT_UNREADABLE;
    // One that is too large is not read, and has no version.
    const version = read.ok ? read.version : undefined;
    const result = read.ok ? encodePolicy(read.bytes, read.version) : read;
    if (!result.ok) {
      const { problems } = result;
      const lines = values.json
        ? [JSON.stringify({ valid: false, version, problems })]
        : problems.map(spellProblem);
      host.stdout.write(`${lines.join("\n")}\n`);
      return EXIT_PROBLEMS;
    }
    const { plans, tenants } = result.policy;
    const { revision } = JSON.parse(result.policy.head) as { readonly revision?: number };
    const sizes = { plans: plans.size, tenants: tenants.size };
    host.stdout.write(
      values.json
        ? `${JSON.stringify({ valid: true, version, revision, ...sizes, problems: [] })}\n`
        : `${onOneLine(file)} is valid: version ${version}, revision ${revision ?? "none"}, ` +
            `${sizes.plans} plans, ${sizes.tenants} tenants\n`,
    );
    return 0;
  },
});
