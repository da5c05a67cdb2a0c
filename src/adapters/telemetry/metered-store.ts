import type { LeaseStore } from "../../ports/lease-store.ts";
import type { Timings } from "../../ports/telemetry.ts";

/** The same store, each message to it counted and timed. */
export function meterStore(store: LeaseStore, timings: Timings): LeaseStore {
  const timed = <T extends object>(op: "sync" | "read", done: (answer: T) => void) => {
    const started = performance.now();
    return (answer: T): void => {
      const status = "fault" in answer ? "fault" : "ok";
      timings.stored(op, status, performance.now() - started);
      done(answer);
    };
  };
  return {
    sync: (blocks, done) => store.sync(blocks, timed("sync", done)),
    read: (keys, done) => store.read(keys, timed("read", done)),
    close: () => store.close(),
  };
}
