import { randomFillSync } from "node:crypto";
import type { Rng } from "../../ports/rng.ts";

/** 144 bits: whole characters. */
const ID_BYTES = 18;

/** A call of the system's generator costs as much as several ids, so it fills this many at a time. */
const IDS_AT_ONCE = 256;

/** The machine's own randomness: ids from its cryptographic generator, jitter from Math.random. */
export function createRng(): Rng {
  const pool = Buffer.alloc(ID_BYTES * IDS_AT_ONCE);
  let used = pool.length;
  return {
    next: () => Math.random(),
    id() {
      if (used === pool.length) {
        randomFillSync(pool);
        used = 0;
      }
      used += ID_BYTES;
      // Each by itself: ids cut out of one text would keep all of it in memory.
      return pool.toString("base64url", used - ID_BYTES, used);
    },
  };
}
