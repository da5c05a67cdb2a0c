/** Whether a message says what it may say. Nothing of one that is not well formed is looked at further. */
import type { DurationMs } from "../time.ts";
import { MAX_UNITS, isUnits } from "../units.ts";
import { familyOf } from "./family.ts";
import type { SyncBlock, SyncMessage } from "./message.ts";

/** Most blocks of one message. */
export const BLOCKS_MAX = 16;

/** 17 years: sums with a time stay exact, and so do products of two parts of it. */
const DURATION_MS_MAX: DurationMs = 2 ** 39;

const isDuration = (value: number): boolean => isUnits(value) && value <= DURATION_MS_MAX;

export function isWellFormed({ holder, terms, waitMs, blocks }: SyncMessage): boolean {
  const keys = new Set(blocks.map(({ spec }) => spec.key));
  return (
    blocks.length >= 1 &&
    blocks.length <= BLOCKS_MAX &&
    keys.size === blocks.length &&
    isHex(holder.nonce) &&
    holder.ancestors.every(isHex) &&
    isUnits(holder.epoch) &&
    [terms.ttlMs, terms.graceMs, terms.learnMs, waitMs].every(isDuration) &&
    blocks.every(isBlock)
  );
}

const isHex = (text: string): boolean => /^[0-9a-f]{1,32}$/.test(text);
const isLeaseId = (text: string): boolean => /^[0-9a-f]{13,32}$/.test(text);

function isBlock(block: SyncBlock): boolean {
  const { spec, witness, close, granted, spent, returned, beyond, overage, refunded } = block;
  const numbers = [
    ...[spec.version, spec.capacity, spec.overdraft, spec.rollover, spec.start, spec.end],
    ...[spec.refill.units, spec.refill.everyMs, block.seq, granted, spent, returned, beyond],
    ...[overage, refunded, block.want, block.need, block.demand, block.mean],
    ...[witness.fence, witness.version, witness.used, close, block.openMs, block.firstMs],
    block.lifeMs,
  ];
  return (
    numbers.every(isUnits) &&
    isUnits(Math.abs(witness.carried)) &&
    isLeaseId(block.holder) &&
    block.seq >= 1 &&
    spec.end > spec.start &&
    (spec.family === "" || (spec.kind === "budget" && spec.family === familyOf(spec.key))) &&
    witness.fence < MAX_UNITS &&
    spec.refill.everyMs >= 1 &&
    isDuration(spec.refill.everyMs) &&
    granted + beyond <= MAX_UNITS &&
    granted + beyond >= spent + returned &&
    overage <= beyond &&
    refunded <= spent &&
    isOfKind(block)
  );
}

function isOfKind({ spec, close, spent, refunded }: SyncBlock): boolean {
  if (close > 2 || (close === 2 && spec.kind !== "budget")) return false;
  if (spec.kind === "slots") return spent === 0;
  return spec.kind === "rate" || refunded === 0;
}
