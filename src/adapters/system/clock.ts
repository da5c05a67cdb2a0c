import type { Clock } from "../../ports/clock.ts";

/** The longest that setTimeout can wait, 2^31−1 ms (24.8 days); above it, it would fire at once. */
const LONGEST_TIMEOUT_MS = 0x7fff_ffff;

/** The machine's own time. */
export function createClock(): Clock {
  return {
    wall: () => Date.now(),
    mono: () => performance.now(),
    timer(after, task) {
      let left = after;
      let timeout: NodeJS.Timeout;
      const arm = (): void => {
        const wait = Math.min(left, LONGEST_TIMEOUT_MS);
        left -= wait;
        timeout = setTimeout(() => (left > 0 ? arm() : task()), wait);
        timeout.unref();
      };
      arm();
      return () => clearTimeout(timeout);
    },
    soon: (task) => void setImmediate(task),
  };
}
