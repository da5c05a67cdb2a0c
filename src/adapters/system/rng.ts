import { randomFillSync } from "node:crypto";
import type { Rng } from "../../ports/rng.ts";

/** 144 bits: whole characters, so that many ids can be written at once. */
const ID_BYTES = 18;
const ID_LENGTH = 24;

/** A call of the system's generator costs as much as several ids, so it fills this many at a time. */
const IDS_AT_ONCE = 256;
/** So does a call that writes them. An id keeps those that were written with it in memory, so these are few. */
const IDS_WRITTEN_AT_ONCE = 16;

/** The machine's own randomness: ids from its cryptographic generator, jitter from Math.random. */
export function createRng(): Rng {
  const pool = Buffer.alloc(ID_BYTES * IDS_AT_ONCE);
  let used = pool.length;
  let text = "";
  let told = 0;

  function write(): void {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const end = used + ID_BYTES * IDS_WRITTEN_AT_ONCE;
    text = pool.toString("base64url", used, end);
    used = end;
    told = 0;
  }

  return {
    next: () => Math.random(),
    id() {
      if (told === text.length) write();
      told += ID_LENGTH;
      return text.slice(told - ID_LENGTH, told);
    },
  };
}
