/** The moment of a decision. Read once a turn by the driver, and an argument everywhere else. */
import type { EpochMs } from "../core/time.ts";

export interface Now {
  /** Shown to callers, and what they wait by. */
  readonly wall: EpochMs;
  /** The latest wall time that was ever seen: decides periods, which never go back. */
  readonly latest: EpochMs;
  /** Whole milliseconds, never backwards: deadlines, refills, windows. */
  readonly mono: number;
}
