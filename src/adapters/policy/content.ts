/** A document as bytes. Apart from the parser, which the main thread of a sidecar never loads. */

import type { PolicyProblem } from "../../ports/policy-source.ts";

/** Largest document, in bytes. */
export const LARGEST_POLICY = 4 * 1024 * 1024;

/** What is told of a larger one. */
export const tooLarge = (
  bytes: number,
): { readonly ok: false; readonly problems: readonly PolicyProblem[] } => ({
  ok: false,
  problems: [{ path: "", found: `${bytes} bytes`, allowed: `at most ${LARGEST_POLICY} bytes` }],
});

/** How many hexadecimal digits of the content's SHA-256 make its version. */
export const VERSION_DIGITS = 12;

/** Read in some 20 ms; another thread would take 0.1 s and leave the process 20 MB larger for good. */
const SMALL_POLICY = 16 * 1024;
const AMPERSAND = 0x26;

/** A document that a start reads on the spot. Not one with anchors: aliases can make much of little. */
export const isSmall = (bytes: Uint8Array): boolean =>
  bytes.length <= SMALL_POLICY && !bytes.includes(AMPERSAND);
