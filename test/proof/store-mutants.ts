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
    rule: "SL1",
    file: RECORD,
    find: "beyond: Math.max(beyond, block.beyond),",
    replace: "beyond,",
  },
  {
    name: "noEpoch",
    rule: "SH3",
    file: SHARD,
    find: "if (record.nonce === nonce) return record.epoch === epoch;",
    replace: "if (record.nonce !== undefined) return true;",
  },
  {
    name: "noNonce",
    rule: "SH3",
    file: SHARD,
    find: "if (record.nonce === nonce) return record.epoch === epoch;",
    replace: "if (record.nonce !== undefined) return epoch >= record.epoch;",
  },
  {
    name: "noHeir",
    rule: "SH3",
    file: SHARD,
    find: "return epoch > record.epoch && ancestors.includes(record.nonce);",
    replace: "return epoch > record.epoch && ancestors.length >= 0;",
  },
  {
    name: "noPurgeLife",
    rule: "SH6",
    file: SHARD,
    find: "Math.max(lifeMs, openMs + terms.ttlMs + terms.graceMs)",
    replace: "lifeMs",
  },
  {
    name: "forfeitRefilled",
    rule: "SL5",
    file: RECORD,
    find: "(wasExpired ? 0 : returned)",
    replace: "returned",
  },
  {
    name: "rateKeep",
    rule: "I5",
    file: LEDGER,
    find: "const { rate } = ledger;\n  if (!rate) return;",
    replace: "const { rate } = ledger;\n  if (!rate || rate.at >= 0) return;",
  },
  {
    name: "rateHistory",
    rule: "I5",
    file: RECORD,
    find: "if (!isHistory) settleRate(",
    replace: "settleRate(",
  },
  {
    name: "noRegister",
    rule: "SL3",
    file: RECORD,
    find: "granted: Math.max(granted, block.granted),",
    replace: "granted: Math.max(granted, block.spent + block.returned - block.beyond),",
  },
  {
    name: "shortLoss",
    rule: "A1",
    file: SHARD,
    find: "if (!meta) return begin(false);",
    replace: "if (!meta) return { ...begin(false), learningUntil: now + 400 };",
  },
  {
    name: "noWitness",
    rule: "I1",
    file: LEDGER,
    find: "if (witness.fence === ledger.lostFence && witness.version > ledger.lostVersion) {",
    replace: "if (witness.fence < 0) {",
  },
  {
    name: "noRollBackCheck",
    rule: "SH4",
    file: SHARD,
    find: "if (isOlder || isAnotherClock || isRolledBack) return begin(false);",
    replace: "if (isOlder || isAnotherClock) return begin(false);",
  },
  {
    name: "partial",
    rule: "SH2",
    file: SHARD,
    find: "message.atomic && (offers.some(isShort)",
    replace: "message.blocks.length < 0 && message.atomic && (offers.some(isShort)",
  },
  {
    name: "foldedWhileLearning",
    rule: "A1",
    file: SHARD,
    find: "!isYoung && history.now >= learningUntil",
    replace: "!isYoung && learningUntil >= 0",
  },
  {
    name: "carriedTooSoon",
    rule: "OF2",
    file: LEDGER,
    find: "now < ledger.spec.start ? Math.min(ledger.carried, 0) : ledger.carried",
    replace: "now < 0 ? Math.min(ledger.carried, 0) : ledger.carried",
  },
  {
    name: "grantedTwice",
    rule: "OF2",
    file: OFFER,
    find: "spec.rollover > 0 && now >= spec.end;",
    replace: "spec.rollover > 0 && now < 0;",
  },
  {
    name: "explainedTwice",
    rule: "I1",
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
];
