/** What the simulator's nodes do beside the reference of the store's scripts, where it decides what a run may show. */
import { expect, test } from "vitest";
import { aLedgerSpec } from "../support/ledgers.ts";
import { aSyncBlock, aSyncMessage } from "../support/shard-player.ts";
import { runSync, shardIn } from "./reference.ts";

test("EX2: a repetition is there to be waited for, within a millisecond too; what is refused is not", () => {
  const spec = aLedgerSpec({});
  const shard = shardIn(new Map(), "acme");
  const message = aSyncMessage([aSyncBlock({ spec, lifeMs: 60_000, want: 5 })]);
  const env = { now: 5_000, historyId: "a" };
  runSync(shard, message, env);
  const again = runSync(shard, message, env);
  expect([again.reply.blocks[0]?.status, again.wrote]).toEqual(["duplicate", true]);
  const other = { ...message.holder, nonce: "b2" };
  const stale = runSync(shard, { ...message, holder: other }, env);
  expect([stale.reply.status, stale.wrote]).toEqual(["stale", false]);
});
