/** How much memory a sidecar gets, and how much of that its heap. */

const SIZES = new Map([
  ["", 1],
  ["k", 1_000],
  ["M", 1_000_000],
  ["G", 1_000_000_000],
  ["Ki", 1_024],
  ["Mi", 1_048_576],
  ["Gi", 1_073_741_824],
]);

const MEBIBYTE = 1_048_576;

/**
 * Below this a sidecar is ended by the kernel under load: code, buffers and threads take some 70 MiB, the
 * journal, which lies in memory too, 32 MiB, and a heap of less than 48 MiB holds too little.
 */
export const LEAST_MEBIBYTES = 160;
/** A sidecar that needs more is one that should be two. */
export const MOST_MEBIBYTES = 8_192;

export const MEMORY_ALLOWED = `a size from ${LEAST_MEBIBYTES}Mi to ${MOST_MEBIBYTES / 1_024}Gi, such as 192Mi`;

/** Bytes of "192Mi"; `undefined` for what is no size, or has units that memory does not come in. */
export function bytesOf(quantity: string): number | undefined {
  const [, digits, unit] = /^(\d{1,15}(?:\.\d{1,3})?)(|k|M|G|Ki|Mi|Gi)$/.exec(quantity) ?? [];
  const size = SIZES.get(unit ?? "");
  return digits === undefined || size === undefined ? undefined : Number(digits) * size;
}

/** The same as a limit of a sidecar; `undefined` where it is out of bounds, too. */
export function limitOf(quantity: string): number | undefined {
  const bytes = bytesOf(quantity);
  if (bytes === undefined) return undefined;
  const isWithin = bytes >= LEAST_MEBIBYTES * MEBIBYTE && bytes <= MOST_MEBIBYTES * MEBIBYTE;
  return isWithin ? bytes : undefined;
}

/**
 * The old generation's share, in MiB: what is left beside code and journal, less a quarter for what is young or
 * being moved. Node by itself would take half of the *machine's* memory, or of the limit, and be killed.
 */
export const heapMebibytes = (limitBytes: number): number =>
  Math.floor((limitBytes / MEBIBYTE - 96) * 0.75);
