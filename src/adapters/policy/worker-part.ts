/** What the reading thread and the main thread say to each other. */
import type { PolicyProblem } from "../../ports/policy-source.ts";

/** What the reading thread is started with. */
export interface ReadOrder {
  readonly bytes: Uint8Array;
  readonly version: string;
}

/** One part of the answer. Any message from the main thread asks for the next. */
export type Part =
  | { readonly kind: "problems"; readonly problems: readonly PolicyProblem[] }
  | { readonly kind: "head"; readonly head: string; readonly uids: readonly string[] }
  | { readonly kind: "plans" | "tenants"; readonly entries: readonly (readonly [string, string])[] }
  | { readonly kind: "end" };
