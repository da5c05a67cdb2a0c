/** A policy that is there as text and never changes: the demo, benchmarks, tests. */
import type { PolicySource } from "../../ports/policy-source.ts";
import { parsePolicy } from "./parse.ts";

export const createTextPolicySource = (text: string): PolicySource => ({
  load: () => Promise.resolve(parsePolicy(text)),
  watch: () => () => {},
});
