/** The moment of a decision. Read once a turn by the driver, and an argument everywhere else. */
import type { EpochMs } from "../core/time.ts";

export interface Now {
  /** Decides periods, and is shown to callers. */
  readonly wall: EpochMs;
  /** Whole milliseconds, never backwards: deadlines, refills, windows. */
  readonly mono: number;
}
