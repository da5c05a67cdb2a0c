/**
 * A clock that stands still until a test moves it.
 *
 * Wall and monotonic time move together under `advance`; `stepWall` moves the wall alone, as an operator's or
 * NTP's correction does. Timers are due by monotonic time and run in the order of their due time (then of
 * their making), each at its own moment, so that what a timer starts sees the time that it was promised.
 */
import type { DurationMs, EpochMs } from "../../src/core/time.ts";
import type { Clock } from "../../src/ports/clock.ts";
import { createTimerQueue, type Timer } from "./timer-queue.ts";

export interface ManualClock extends Clock {
  /** Moves both times forward and runs what falls due on the way. */
  advance(by: DurationMs): void;
  /** Moves both times without running a single timer: a decision must look at the clock, not at a timer. */
  advanceWithoutTimers(by: DurationMs): void;
  /** Moves wall time alone, backwards too. */
  stepWall(by: number): void;
  /** Timers that wait to run. */
  pending(): number;
  /** Runs what was to run soon; `advance` does so first. */
  settle(): void;
}

/**
 * Timers that one `advance` runs at their own moment. A timer that starts itself anew each 100 ms would run a million
 * times in a day; past this many, time has gone all the way and what is due runs late, as on a machine that slept.
 */
const PATIENCE = 200;

/** `patience`: Infinity where many do so much that none may run late. */
export function createManualClock(start: EpochMs, patience: number = PATIENCE): ManualClock {
  let wall = start;
  let mono = 1_000;
  let made = 0;
  let pending = 0;
  const timers = createTimerQueue();
  let next: (() => void)[] = [];

  const moveTo = (time: number): void => {
    const by = Math.max(0, time - mono);
    mono += by;
    wall += by;
  };

  const settle = (): void => {
    while (next.length > 0) {
      const tasks = next;
      next = [];
      for (const task of tasks) task();
    }
  };

  return {
    wall: () => Math.floor(wall),
    mono: () => mono,
    timer(after, task) {
      const timer: Timer = {
        due: mono + Math.max(0, after),
        order: made++,
        task,
        isCancelled: false,
      };
      timers.add(timer);
      pending++;
      return () => {
        if (!timer.isCancelled) pending--;
        timer.isCancelled = true;
      };
    },
    soon: (task) => void next.push(task),
    settle,
    advance(by) {
      settle();
      const until = mono + by;
      let ran = 0;
      for (let timer = timers.takeDue(until); timer; timer = timers.takeDue(until)) {
        timer.isCancelled = true; // too late to cancel it
        pending--;
        ran += 1;
        moveTo(ran < patience ? timer.due : until);
        timer.task();
        settle();
      }
      moveTo(until);
    },
    advanceWithoutTimers(by) {
      moveTo(mono + by);
    },
    stepWall(by) {
      wall += by;
    },
    pending: () => pending,
  };
}
