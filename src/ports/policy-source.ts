/** Where the policy document comes from, and the news that it has changed. */
import type { PolicyDocument } from "../core/policy/document.ts";

/** One thing that is wrong with a document. */
export interface PolicyProblem {
  /** "plans.free.limits[0].rate.units"; "" for the document as a whole. */
  readonly path: string;
  /** From 1; absent where the place is not known. */
  readonly line?: number;
  readonly column?: number;
  /** What was found, as text, cut short. */
  readonly found: string;
  /** What is allowed there, with the nearest valid key for a typo. */
  readonly allowed: string;
}

export type PolicyResult =
  | { readonly ok: true; readonly document: PolicyDocument }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

export interface PolicySource {
  /** Reads and checks the document now. Rejects only where it cannot be read at all. */
  load(): Promise<PolicyResult>;
  /** Calls `changed` with each new content, good or bad, within 2 s of the change; returns what stops it. */
  watch(changed: (result: PolicyResult) => void): () => void;
}
