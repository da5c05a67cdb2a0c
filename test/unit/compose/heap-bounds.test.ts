import { describe, expect, test } from "vitest";
import { heapBounds } from "../../../src/compose/heap-bounds.ts";

const MIB = 2 ** 20;

describe("bounds that follow from the heap", () => {
  test("S29: a large heap keeps as many answers as were asked for", () => {
    expect(heapBounds(100_000, 4_096 * MIB).idempotencyKeys).toBe(100_000);
  });

  test("S29: a small heap keeps fewer", () => {
    expect(heapBounds(100_000, 48 * MIB).idempotencyKeys).toBe(5_033);
  });

  test("no bound grows past what one tenant or a sidecar needs", () => {
    const { bucketsMax, bucketsPerTenant, bounds } = heapBounds(1, 65_536 * MIB);
    expect({ bucketsMax, bucketsPerTenant, ...bounds }).toEqual({
      bucketsMax: 2_000_000,
      bucketsPerTenant: 100_000,
      reservationsMax: 1_000_000,
      reservationsPerTenant: 100_000,
    });
  });

  test("one tenant never gets more than half of a small sidecar", () => {
    const { bucketsMax, bucketsPerTenant, bounds } = heapBounds(1, 48 * MIB);
    expect(bucketsPerTenant).toBe(Math.ceil(bucketsMax / 2));
    expect(bounds.reservationsPerTenant).toBe(Math.ceil(bounds.reservationsMax / 2));
  });
});
