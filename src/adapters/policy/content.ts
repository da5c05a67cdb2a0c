/** A document as bytes. Apart from the parser, which the main thread of a sidecar never loads. */

/** Largest document, in bytes. */
export const LARGEST_POLICY = 4 * 1024 * 1024;

/** How many hexadecimal digits of the content's SHA-256 make its version. */
export const VERSION_DIGITS = 12;
