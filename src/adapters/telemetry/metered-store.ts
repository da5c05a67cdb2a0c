import type { LeaseStore } from "../../ports/lease-store.ts";
import type { SharedStore } from "../../ports/shared-store.ts";
import type { Timings } from "../../ports/telemetry.ts";

/** The same store, each message to it counted and timed. */
export function meterStore(store: LeaseStore, timings: Timings): LeaseStore {
  return {
    sync: (blocks, done) => store.sync(blocks, timed(timings, "sync", done)),
    read: (keys, done) => store.read(keys, timed(timings, "read", done)),
    close: () => store.close(),
  };
}

export function meterSharedStore(store: SharedStore, timings: Timings): SharedStore {
  return {
    name: store.name,
    sync: (message, done) => store.sync(message, timed(timings, "sync", done)),
    read: (uid, keys, done) => store.read(uid, keys, timed(timings, "read", done)),
    listen: (listener) => store.listen(listener),
    roundTripMs: () => store.roundTripMs(),
    close: () => store.close(),
  };
}

function timed<T extends object>(timings: Timings, op: "sync" | "read", done: (answer: T) => void) {
  const started = performance.now();
  return (answer: T): void => {
    const status = "fault" in answer ? "fault" : "ok";
    timings.stored(op, status, performance.now() - started);
    done(answer);
  };
}
