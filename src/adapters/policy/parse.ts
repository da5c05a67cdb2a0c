/**
 * From the bytes of a policy document to the document, or to everything that is wrong with it. All in one
 * go, on the thread that calls: for tests, the command line and the worker. A sidecar reads its policy through
 * file-source.ts, which does this on another thread.
 */
import { createHash } from "node:crypto";
import { formatPath, type Problem } from "../../core/policy/node.ts";
import { checkPolicy, type CheckedPolicy } from "../../core/policy/validate.ts";
import type { PolicyProblem, PolicyResult } from "../../ports/policy-source.ts";
import { LARGEST_POLICY, tooLarge, VERSION_DIGITS } from "./content.ts";
import { decodePolicy, type EncodedPolicy } from "./document.ts";
import { locate } from "./place.ts";
import { checkShape } from "./shape.ts";
import { composeYaml } from "./yaml.ts";
import { knowsZone } from "./zone.ts";

/** First 12 hexadecimal digits of the SHA-256 of the bytes. */
export const versionOf = (bytes: Uint8Array): string =>
  createHash("sha256").update(bytes).digest("hex").slice(0, VERSION_DIGITS);

/** Reads and checks a document; holds the thread (some 0.1 s for a thousand tenants). */
export const parsePolicy = (text: string): PolicyResult =>
  parsePolicyBytes(new TextEncoder().encode(text));

/** The same from a file's bytes, which may be no text at all. */
export function parsePolicyBytes(bytes: Uint8Array): PolicyResult {
  const encoded = encodePolicy(bytes, versionOf(bytes));
  return encoded.ok ? { ok: true, document: decodePolicy(encoded.policy) } : encoded;
}

export type EncodeResult =
  | { readonly ok: true; readonly policy: EncodedPolicy }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

/** The same up to what can be sent to another thread. */
export function encodePolicy(bytes: Uint8Array, version: string): EncodeResult {
  if (bytes.length > LARGEST_POLICY) return tooLarge(bytes.length);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return unreadable("bytes that are no UTF-8", "UTF-8 text");
  }
  const problems: Problem[] = [];
  const report = (problem: Problem): number => problems.push(problem);
  const composed = composeYaml(text, report);
  if ("reason" in composed) {
    return unreadable(composed.reason, "one document of YAML or JSON", composed.place);
  }
  const isReadable = checkShape(composed.root, report);
  const checked = isReadable ? checkPolicy(composed.root, { knowsZone, report }) : undefined;
  if (checked === undefined || problems.length > 0)
    return { ok: false, problems: placed(problems, text) };
  return { ok: true, policy: encodeChecked(checked, version) };
}

function unreadable(
  found: string,
  allowed: string,
  place: { line?: number; column?: number } = {},
): EncodeResult {
  return { ok: false, problems: [{ path: "", ...place, found, allowed }] };
}

/** In the order of the document. */
function placed(problems: readonly Problem[], text: string): PolicyProblem[] {
  const places = locate(text, problems);
  return problems
    .map(({ path, found, allowed }, i) => ({
      path: formatPath(path),
      ...places[i],
      found,
      allowed,
    }))
    .sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

function encodeChecked({ head, plans, tenants }: CheckedPolicy, version: string): EncodedPolicy {
  const texts = <T>(values: ReadonlyMap<string, T>): Map<string, string> =>
    new Map([...values].map(([name, value]) => [name, JSON.stringify(value)]));
  const uids = [...tenants]
    .filter(([name, tenant]) => tenant.uid !== name)
    .map(([, tenant]) => tenant.uid);
  return {
    version,
    head: JSON.stringify(head),
    plans: texts(plans),
    tenants: texts(tenants),
    uids,
  };
}
