/** Holders that talk to one shard of the reference, so that a test states only what it is about. */
import type { LedgerSpec } from "../../src/core/lease/ledger.ts";
import {
  DEFAULT_TERMS,
  type BlockReply,
  type Hint,
  type SyncBlock,
  type SyncMessage,
  type SyncReply,
} from "../../src/core/lease/message.ts";
import { birth, createShard, sync, type Shard } from "../../src/core/lease/shard.ts";
import { aLedgerSpec } from "./ledgers.ts";

/** Of the n-th lease that was made at `mintedAt`. */
export const leaseId = (n: number, mintedAt = 1_000): string =>
  mintedAt.toString(16).padStart(12, "0") + n.toString(16).padStart(20, "0");

/** What a holder says first of a budget of 100: nothing, and asks for nothing. */
export const aSyncBlock = (parts: Partial<SyncBlock> = {}): SyncBlock => ({
  spec: aLedgerSpec(),
  holder: leaseId(1),
  seq: 1,
  granted: 0,
  spent: 0,
  returned: 0,
  beyond: 0,
  overage: 0,
  refunded: 0,
  want: 0,
  need: 0,
  demand: 0,
  mean: 0,
  witness: { fence: 0, version: 0, used: 0, carried: 0 },
  close: 0,
  openMs: 0,
  firstMs: 0,
  lifeMs: 1e9,
  ...parts,
});

export const aSyncMessage = (
  blocks: readonly SyncBlock[],
  parts: Partial<SyncMessage> = {},
): SyncMessage => ({
  holder: { nonce: "a1", epoch: 1, ancestors: [], label: "pod" },
  terms: DEFAULT_TERMS,
  uid: "uid",
  atomic: true,
  waitMs: 0,
  blocks,
  ...parts,
});

export interface ShardPlayer {
  readonly shard: Shard;
  now: number;
  historyId: string;
  /** What was hinted since it was last looked at. */
  hints(): Hint[];
  send(message: SyncMessage): SyncReply;
  /** One block of its own message; the sequence follows by itself where it is not said. */
  say(parts: Partial<SyncBlock>, message?: Partial<SyncMessage>): BlockReply;
}

/** A shard that grants at once. */
export function playShard(spec: LedgerSpec = aLedgerSpec()): ShardPlayer {
  const shard = createShard();
  const hints: Hint[] = [];
  const seqs = new Map<string, number>();
  const player: ShardPlayer = {
    shard,
    now: 10_000,
    historyId: "h1",
    hints: () => hints.splice(0),
    send(message) {
      const { now, historyId } = player;
      const { reply, hints: more } = sync(shard, message, { now, historyId });
      hints.push(...more);
      return reply;
    },
    say(parts, message) {
      const holder = parts.holder ?? leaseId(1);
      const seq = parts.seq ?? (seqs.get(holder) ?? 0) + 1;
      seqs.set(holder, seq);
      const reply = player.send(aSyncMessage([aSyncBlock({ spec, ...parts, seq })], message));
      const [block] = reply.blocks;
      if (!block) throw new Error(`the whole message is ${reply.status}`);
      return block;
    },
  };
  birth(shard, 0, { now: player.now, historyId: player.historyId });
  return player;
}
