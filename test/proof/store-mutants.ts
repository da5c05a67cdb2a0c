/**
 * Ways to break a rule of a fleet's store, each one patch of the reference (core/lease) that its scripts agree with.
 * Those that the simulator's runs notice stand in test/sim/mutant-list.ts.
 */
import type { Mutant } from "./mutant-list.ts";

const SHARD = "src/core/lease/shard.ts";
const LEDGER = "src/core/lease/shared-ledger.ts";
const RECORD = "src/core/lease/holder-record.ts";
const LATE = "src/core/lease/late-refund.ts";
const OFFER = "src/core/lease/offer.ts";

export const STORE_MUTANTS: readonly Mutant[] = [
  {
    name: "noBeyond",
    rule: "SL1: what goes beyond a lease is counted apart",
    file: RECORD,
    find: "beyond: Math.max(beyond, block.beyond),",
    replace: "beyond,",
  },
  {
    name: "noEpoch",
    rule: "SH3: a process that began anew is another one",
    file: SHARD,
    find: "if (record.nonce === nonce) return record.epoch === epoch;",
    replace: "if (record.nonce !== undefined) return true;",
  },
  {
    name: "noNonce",
    rule: "SH3: of two processes with one journal one is heard",
    file: SHARD,
    find: "if (record.nonce === nonce) return record.epoch === epoch;",
    replace: "if (record.nonce !== undefined) return epoch >= record.epoch;",
  },
  {
    name: "noHeir",
    rule: "SH3: a later epoch of another journal is no heir",
    file: SHARD,
    find: "return epoch > record.epoch && ancestors.includes(record.nonce);",
    replace: "return epoch > record.epoch && ancestors.length >= 0;",
  },
  {
    name: "retiredInherited",
    rule: "SH3: what a failed journal did not write is not spent again",
    file: SHARD,
    find: 'if (record.state === "retired" && close !== 2) return false;',
    replace: "if (close > 2) return false;",
  },
  {
    name: "noPurgeLife",
    rule: "SH6: no ledger is forgotten under an open reservation",
    file: SHARD,
    find: "Math.max(lifeMs, openMs + terms.ttlMs + terms.graceMs)",
    replace: "lifeMs",
  },
  {
    name: "forfeitRefilled",
    rule: "SL5: what a forfeited holder returns has been refilled",
    file: RECORD,
    find: "(wasExpired ? 0 : returned)",
    replace: "returned",
  },
  {
    name: "rateKeep",
    rule: "I5: a rate begins a new history with little",
    file: LEDGER,
    find: "const { rate } = ledger;\n  if (!rate) return;",
    replace: "const { rate } = ledger;\n  if (!rate || rate.at >= 0) return;",
  },
  {
    name: "rateHistory",
    rule: "I5: what a lost record tells does not move the level",
    file: RECORD,
    find: "if (!isHistory) settleRate(",
    replace: "settleRate(",
  },
  {
    name: "noRegister",
    rule: "SL3: grants that the store has lost are merged",
    file: RECORD,
    find: "granted: Math.max(granted, block.granted),",
    replace: "granted: Math.max(granted, block.spent + block.returned - block.beyond),",
  },
  {
    name: "shortLoss",
    rule: "A1: a lost shard listens for as long as holders may need",
    file: SHARD,
    find: "if (!meta) return begin(false);",
    replace: "if (!meta) return { ...begin(false), learningUntil: now + 400 };",
  },
  {
    name: "noWitness",
    rule: "I1: what a lost history says was used is held back",
    file: LEDGER,
    find: "if (witness.fence === ledger.lostFence && witness.version > ledger.lostVersion) {",
    replace: "if (witness.fence < 0) {",
  },
  {
    name: "noRollBackCheck",
    rule: "SH4: who knows a later version begins a new history",
    file: SHARD,
    find: "if (isOlder || isAnotherClock || isRolledBack) return begin(false);",
    replace: "if (isOlder || isAnotherClock) return begin(false);",
  },
  {
    name: "partial",
    rule: "SH2: an atomic message is granted whole or not at all",
    file: SHARD,
    find: "message.atomic && (offers.some(isShort)",
    replace: "message.blocks.length < 0 && message.atomic && (offers.some(isShort)",
  },
  {
    name: "foldedWhileLearning",
    rule: "A1: while it learns, a holder that was lost is heard",
    file: SHARD,
    find: "!isYoung && history.now >= learningUntil",
    replace: "!isYoung && learningUntil >= 0",
  },
  {
    name: "carriedTooSoon",
    rule: "OF2: what is carried over is there from the start on",
    file: LEDGER,
    find: "now < ledger.spec.start ? Math.min(ledger.carried, 0) : ledger.carried",
    replace: "now < 0 ? Math.min(ledger.carried, 0) : ledger.carried",
  },
  {
    name: "grantedTwice",
    rule: "OF2: what has been carried over is not granted again",
    file: OFFER,
    find: "spec.rollover > 0 && now >= spec.end;",
    replace: "spec.rollover > 0 && now < 0;",
  },
  {
    name: "explainedTwice",
    rule: "I1: what is told twice explains a lost history once",
    file: RECORD,
    find: "const isFirst = isHistory || record.fence !== ledger.fence;",
    replace: "const isFirst = true;",
  },
  {
    name: "lateRefundWhole",
    rule: "LR1: a late refund fills no more than it could have",
    file: LATE,
    find: "const units = Math.min(refunded, least, record.room);",
    replace: "const units = Math.min(refunded, record.room);",
  },
  {
    name: "refundUnderWay",
    rule: "LR2: a refund may have happened while the message before was under way",
    file: LATE,
    find: "const units = Math.min(refunded, least, record.room);",
    replace: "const units = Math.min(refunded, least);",
  },
  {
    name: "refundsFillTwice",
    rule: "LR3: what one refund has filled no other fills again",
    file: LATE,
    find: "low.slack = Math.max(0, low.slack - units); // (LR3)",
    replace: "low.slack = Math.max(0, low.slack);",
  },
  {
    name: "bornWise",
    rule: "a store that is born listens before it grants",
    file: SHARD,
    find: "learningUntil: now + learnMs,",
    replace: "learningUntil: now,",
  },
  {
    name: "noGrace",
    rule: "a lease ends at the store later than at its holder",
    file: SHARD,
    find: "return atMost(now + silence + terms.graceMs);",
    replace: "return atMost(now + silence);",
  },
  {
    name: "fenceFalls",
    rule: "SH4: fences never fall",
    file: SHARD,
    find: "fence: Math.max((meta?.fence ?? -1) + 1, now, known + 1), // (SH4)",
    replace: "fence: now,",
  },
  {
    name: "knowerUnheard",
    rule: "a caller that knows a later history than the store begins a new one",
    file: SHARD,
    find: "if (isOlder || isAnotherClock || isRolledBack) return begin(false);",
    replace: "if (isAnotherClock || isRolledBack) return begin(false);",
  },
  {
    name: "clockBack",
    rule: "the store's time never goes back within a history",
    file: SHARD,
    find: "return { ...meta, latest: Math.max(meta.latest, now) };",
    replace: "return { ...meta, latest: now };",
  },
  {
    name: "foldedAgain",
    rule: "SL2: what is folded is not counted again",
    file: SHARD,
    find: "return knows(block) && !isYoung && history.now >= learningUntil;",
    replace: "return knows(block) && !isYoung && history.now < 0;",
  },
  {
    name: "closedWhileOut",
    rule: "SL7: a record stays open while anything is out",
    file: RECORD,
    find: "else if (block.close === 1 && outOf(record) === 0) {",
    replace: "else if (block.close === 1) {",
  },
  {
    name: "overgranted",
    rule: "OF1: no grant exceeds what is there",
    file: OFFER,
    find: "grant: grant > free || grant < need ? 0 : grant };",
    replace: "grant: grant < need ? 0 : grant };",
  },
  {
    name: "clockCredited",
    rule: "a rate is refilled by no clock that went back",
    file: LEDGER,
    find: "rate.at = Math.min(rate.at, clock);",
    replace: "",
  },
];
