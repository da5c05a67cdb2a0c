/**
 * The thread on which a policy is read. It gets the document's bytes, sends the result in parts, each when the
 * one before has been taken in, and ends. A file of its own, since a Worker is started from a file; bundled
 * as `policy-worker.js` (see reader.ts, which starts it).
 */
import { parentPort, workerData } from "node:worker_threads";
import type { PolicyProblem } from "../../ports/policy-source.ts";
import { encodePolicy, type EncodeResult } from "./parse.ts";
import type { Part, ReadOrder } from "./worker-part.ts";

/** Texts in one part: some 100 KB, which the main thread takes in within a millisecond or two. */
const PART_CHARACTERS = 100_000;
const PART_PROBLEMS = 200;
/** Problems that a sidecar hears of; the command line tells them all. Its log and memory are bounded by it. */
const MOST_PROBLEMS = 1_000;

const END: Part = { kind: "end" };

const furtherProblems = (count: number): PolicyProblem => ({
  path: "",
  found: `${count} further problems`,
  allowed: "none; imprest policy validate tells them all",
});

function* partsOf(result: EncodeResult): Generator<Part> {
  if (!result.ok) {
    const told = result.problems.slice(0, MOST_PROBLEMS);
    const further = result.problems.length - told.length;
    if (further > 0) told.push(furtherProblems(further));
    for (let i = 0; i < told.length; i += PART_PROBLEMS) {
      yield { kind: "problems", problems: told.slice(i, i + PART_PROBLEMS) };
    }
    return;
  }
  const { head, plans, tenants, uids } = result.policy;
  yield { kind: "head", head, uids };
  yield* textsOf("plans", plans);
  yield* textsOf("tenants", tenants);
}

function* textsOf(kind: "plans" | "tenants", texts: ReadonlyMap<string, string>): Generator<Part> {
  let entries: (readonly [string, string])[] = [];
  let characters = 0;
  for (const entry of texts) {
    entries.push(entry);
    characters += entry[0].length + entry[1].length;
    if (characters < PART_CHARACTERS) continue;
    yield { kind, entries };
    entries = [];
    characters = 0;
  }
  if (entries.length > 0) yield { kind, entries };
}

const { bytes, version } = workerData as ReadOrder;
const parts = partsOf(encodePolicy(bytes, version));
parentPort?.on("message", () => {
  const part = parts.next();
  if (part.done === true) {
    parentPort?.postMessage(END);
    parentPort?.close();
  } else {
    parentPort?.postMessage(part.value);
  }
});
