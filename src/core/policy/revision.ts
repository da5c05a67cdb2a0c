/**
 * Whether a document may take the place of the one in force.
 *
 * A fleet may hold two documents for a while, and the higher revision's numbers hold in a shared store; so a
 * number may stand for one content alone, and never goes back.
 *
 *   RV1  The same content is always welcome.
 *   RV2  Other content needs a higher revision, where both documents have one.
 *   RV3  Where `required` (a shared store), a document without a revision is refused.
 */

/** What tells one content of a document from another. */
export interface Edition {
  readonly version: string;
  readonly revision: number | undefined;
}

/** What speaks against `next`, as a problem at "revision"; `undefined`: it may be used. */
export function revisionFault(
  current: Edition | undefined,
  next: Edition,
  required: boolean,
): { readonly found: string; readonly allowed: string } | undefined {
  if (required && next.revision === undefined) {
    return { found: "nothing", allowed: "a whole number, higher with every change (required)" };
  }
  if (current?.revision === undefined || next.revision === undefined) return undefined;
  if (current.version === next.version || next.revision > current.revision) return undefined;
  const found =
    next.revision === current.revision
      ? `${next.revision}, as in the document in force, which has other content`
      : `${next.revision}, lower than in the document in force`;
  return { found, allowed: `a whole number above ${current.revision}` };
}
