/**
 * The store's clock as seen from here, which decides periods for the whole fleet, and whether this machine stood
 * still without noticing.
 *
 *   CK1  store time = mono + offset; the sample with the smallest error wins, until drift or a contradiction
 *        (somebody's clock stepped) unseats it.
 *   CK2  A paused virtual machine stops the monotonic clock, not the wall clock. A jump between the two above
 *        a quarter of a second makes everything that was timed here worthless.
 */
import type { EpochMs } from "../../core/time.ts";

/** Clocks run this much apart at most. */
export const DRIFT = 0.01;
const JUMP = 250;

export interface StoreClock {
  /** The store said `now` in answer to what left at `sent` and came back at `received` (mono). */
  hear(now: EpochMs, sent: number, received: number): void;
  /** Store time at `mono`; undefined: never heard. */
  at(mono: number): EpochMs | undefined;
  /** By how much the wall clock has run ahead of the monotonic one since last asked, where it is a jump; else 0. */
  jumped(wall: EpochMs, mono: number): number;
}

export function createStoreClock(): StoreClock {
  let offset: number | undefined;
  let error = 0;
  let heardAt = 0;
  let skew: number | undefined;
  return {
    hear(now, sent, received) {
      const found = now - (sent + received) / 2;
      const foundError = (received - sent) / 2 + 1;
      const knownError = error + 2 * DRIFT * (received - heardAt);
      const isBetter = offset === undefined || foundError <= knownError;
      if (isBetter || Math.abs(found - (offset ?? 0)) > foundError + knownError) {
        offset = found;
        error = foundError;
        heardAt = received;
      }
    },
    at: (mono) => (offset === undefined ? undefined : Math.floor(mono + offset)),
    jumped(wall, mono) {
      const before = skew ?? wall - mono;
      const by = wall - mono - before;
      const isJump = Math.abs(by) > JUMP;
      if (isJump) offset = undefined;
      skew = wall - mono;
      return isJump ? by : 0;
    },
  };
}
