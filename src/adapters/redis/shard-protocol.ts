import type { LedgerView } from "../../core/lease/ledger.ts";
import type { Hint, SyncMessage, SyncReply } from "../../core/lease/message.ts";
import type { DurationMs } from "../../core/time.ts";
import type { Call } from "./router.ts";

/** How shards are named, and what is said to them in which words. */
export interface ShardProtocol {
  /** As many as there are, from 0. */
  readonly shards: number;
  shardOf(uid: string): number;
  /** "{q17}": what the names of all keys of a shard begin with, and its channel. */
  tagOf(shard: number): string;
  sync(message: SyncMessage): Call;
  readSync(reply: unknown, message: SyncMessage): Omit<SyncReply, "confirmed">;
  birth(shard: number, learnMs: DurationMs): Call;
  views(uid: string, keys: readonly string[]): Call;
  readViews(reply: unknown): readonly (LedgerView | undefined)[];
  readHint(text: string): Hint | undefined;
}
