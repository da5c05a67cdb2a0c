/**
 * A broken invariant: our mistake, never the caller's. It is thrown in every build; the process drains and
 * exits, because what it would do next cannot be trusted.
 */
export class Defect extends Error {
  override readonly name = "Defect";
}

/** Throws {@link Defect} unless `condition` holds. `invariant` is the number of a rule in a file header. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new Defect(`invariant ${invariant} is broken`);
}
