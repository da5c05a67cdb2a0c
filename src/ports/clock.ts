/** Time. The core and the engine take `now` as an argument; only drivers and adapters read a clock. */
import type { DurationMs, EpochMs } from "../core/time.ts";

export interface Clock {
  /** Wall time, whole milliseconds since the Unix epoch. May step. */
  wall(): EpochMs;
  /** Milliseconds from an arbitrary start, never backwards. May have a fraction. */
  mono(): number;
  /** Runs `task` once, about `after` ms from now; returns what cancels it. Does not keep a process alive. */
  timer(after: DurationMs, task: () => void): () => void;
  /** Runs `task` once, when all that has arrived by now was dealt with. */
  soon(task: () => void): void;
}
