/**
 * How much may be kept in memory: bounds that follow from the heap that the process was given, so that a busy
 * hour ends in refusals of one tenant, or in shorter memories, and never in a crash.
 *
 * The shares leave a third of the heap to everything else; the sizes were measured on heap snapshots and
 * rounded up. Halving a size would let a full sidecar run out of memory before its bound is reached.
 */
import { getHeapStatistics } from "node:v8";
import type { EngineOptions } from "../engine/driver.ts";

/** Bytes kept for one settled reservation or keyed answer; for an open reservation; for a live bucket. */
const BYTES_REMEMBERED = 2_000;
const BYTES_RESERVATION = 2_500;
const BYTES_BUCKET = 1_800;

export type HeapBounds = Required<
  Pick<EngineOptions, "idempotencyKeys" | "bucketsPerTenant" | "bucketsMax" | "bounds">
>;

/** `wanted`: `--idempotency-keys`; fewer are kept where the heap does not allow so many. */
export function heapBounds(
  wanted: number,
  heapBytes: number = getHeapStatistics().heap_size_limit,
): HeapBounds {
  const fit = (share: number, bytes: number): number => Math.floor((heapBytes * share) / bytes);
  const bucketsMax = Math.min(2_000_000, fit(0.25, BYTES_BUCKET));
  const reservationsMax = Math.min(1_000_000, fit(0.2, BYTES_RESERVATION));
  return {
    idempotencyKeys: Math.min(wanted, fit(0.2, BYTES_REMEMBERED)),
    bucketsMax,
    bucketsPerTenant: Math.min(100_000, Math.ceil(bucketsMax / 2)),
    bounds: {
      reservationsMax,
      reservationsPerTenant: Math.min(100_000, Math.ceil(reservationsMax / 2)),
    },
  };
}
