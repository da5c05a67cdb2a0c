/**
 * Reads a policy on another thread, so that decisions go on meanwhile.
 *
 * Parsing ten thousand tenants takes a second and a hundred megabytes. The thread has a heap of its own, which
 * goes when it ends (a child process would give back the last megabyte, too, but starting one copies the page
 * tables of this process: 20 to 50 ms with 400 MB). What comes back comes in small parts, asked for one by
 * one, because Node hands over all waiting messages of a port in one turn of the event loop.
 */
import { Worker } from "node:worker_threads";
import type { PolicyProblem, PolicyResult } from "../../ports/policy-source.ts";
import { decodePolicy } from "./document.ts";
import type { Part, ReadOrder } from "./worker-part.ts";

/**
 * Heap of the reading thread, old and young. The largest document (4 MiB, 60,000 tenants) needs half of it; a
 * larger young part only makes the thread take more memory from the machine before it cleans up.
 */
const HEAP_MB = 256;
const YOUNG_HEAP_MB = 16;

/** The worker's file: next to this one in the sources, next to the chunk that this is bundled into. */
function workerUrl(): URL {
  const isSource = import.meta.url.endsWith(".ts");
  return new URL(isSource ? "./worker.ts" : "./policy-worker.js", import.meta.url);
}

export interface Reading {
  readonly result: Promise<PolicyResult>;
  /** Ends the thread; `result` then has a problem that says so. */
  stop(): void;
}

/** `bytes` are handed over: their buffer is empty afterwards. */
export function readPolicy(bytes: Uint8Array<ArrayBuffer>, version: string): Reading {
  const order: ReadOrder = { bytes, version };
  const worker = new Worker(workerUrl(), {
    workerData: order,
    transferList: [bytes.buffer],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: YOUNG_HEAP_MB },
    execArgv: [],
  });
  return { result: collect(worker, version), stop: () => void worker.terminate() };
}

function collect(worker: Worker, version: string): Promise<PolicyResult> {
  const problems: PolicyProblem[] = [];
  const plans = new Map<string, string>();
  const tenants = new Map<string, string>();
  let head: { readonly head: string; readonly uids: readonly string[] } | undefined;

  function result(): PolicyResult {
    if (head === undefined) return { ok: false, problems };
    return { ok: true, document: decodePolicy({ version, ...head, plans, tenants }) };
  }
  return new Promise((resolve) => {
    worker.on("message", (part: Part) => {
      switch (part.kind) {
        case "problems":
          problems.push(...part.problems);
          break;
        case "head":
          head = { head: part.head, uids: part.uids };
          break;
        case "plans":
          for (const [name, text] of part.entries) plans.set(name, text);
          break;
        case "tenants":
          for (const [name, text] of part.entries) tenants.set(name, text);
          break;
        case "end":
          return resolve(result());
      }
      worker.postMessage("next");
    });
    // A document must not be able to end the sidecar: what the thread dies of is a problem of the document.
    worker.on("error", (error: Error) => resolve(failed(error.message)));
    worker.on("exit", () => resolve(failed("the reading thread ended")));
    worker.postMessage("next");
  });
}

const failed = (reason: string): PolicyResult => ({
  ok: false,
  problems: [
    {
      path: "",
      found: `a document that could not be read to its end (${reason})`,
      allowed: "a smaller one",
    },
  ],
});
