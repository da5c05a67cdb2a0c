/** The reference of the lease protocol as the store of one engine, no time away from it. */
import { read } from "../../src/core/lease/inspect.ts";
import { birth, createShard, sync, type Shard } from "../../src/core/lease/shard.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { SharedStore } from "../../src/ports/shared-store.ts";

export function createReferenceStore(clock: Clock): SharedStore {
  const shards = new Map<string, Shard>();
  const env = () => ({ now: clock.wall(), historyId: "a" });
  const shardOf = (uid: string): Shard => {
    let shard = shards.get(uid);
    if (!shard) shards.set(uid, (shard = createShard()));
    birth(shard, 0, env());
    return shard;
  };
  return {
    name: "reference",
    sync(message, done) {
      clock.timer(0, () => {
        const { reply } = sync(shardOf(message.uid), message, env());
        done({ ...reply, confirmed: true });
      });
    },
    read: (uid, keys, done) =>
      void clock.timer(0, () => done(read(shardOf(uid), keys, clock.wall()))),
    listen: (listener) => void clock.timer(0, () => listener.up(true)),
    roundTripMs: () => 1,
    close: () => Promise.resolve(),
  };
}
