/**
 * The protections of the lease protocol, each switched off by a small patch, and the runs in which that has to be
 * noticed.
 */
import type { Patch } from "../proof/patch.ts";
import { STORE_MUTANTS } from "../proof/store-mutants.ts";
import type { Direction } from "./directed.ts";
import type { Environment, Load } from "./setting.ts";

export interface Mutant extends Patch {
  /** What is switched off. */
  readonly rule: string;
  readonly where?: Environment | Direction;
  readonly load?: Load;
  readonly stress?: true;
  /** Where no schedule is likely to meet it: the tests that do, separated by spaces. */
  readonly test?: string;
}

const HOLDER = "src/engine/holder/";
const STORE = "src/core/lease/";

const OWN: readonly Mutant[] = [
  {
    name: "noQuarantine",
    rule: "SL4: what a dead holder had out is not granted again",
    where: "E0",
    file: `${STORE}holder-record.ts`,
    find: "if (quarantines(ledger)) ledger.quarantined += outOf(record);",
    replace: "if (quarantines(ledger)) { record.granted -= outOf(record); }",
  },
  {
    name: "noReopen",
    rule: "SL7: a closed record is opened again by who has totals to tell",
    where: "E0",
    file: `${STORE}holder-record.ts`,
    find: 'if (record.state !== "live") {\n    record.state = "live"; // (SL7)',
    replace: 'if (record.state === "expired") {\n    record.state = "live";',
  },
  {
    name: "reclaimInLearning",
    rule: "SL6: nothing lapses while the store learns",
    where: "ahead",
    file: `${STORE}holder-record.ts`,
    find: "if (now < ledger.learningUntil) return; // (SL6)",
    replace: "",
  },
  {
    name: "forfeitBack",
    rule: "SL5: forfeited units of a rate are not revived",
    test: "test/unit/core/lease/shared-ledger.test.ts",
    file: `${STORE}holder-record.ts`,
    find: 'const isForfeited = record.state === "expired" && !quarantines(ledger);',
    replace: "const isForfeited = false;",
  },
  {
    name: "noSequence",
    rule: "SH5: a sequence number is settled once",
    where: "E0",
    file: `${STORE}shard.ts`,
    find: 'if (block.seq > record.seq) return "ok";',
    replace: 'if (block.seq > 0) return "ok";',
  },
  {
    name: "anybodyInherits",
    rule: "SH3: a record hears only its process and its heirs",
    test: "test/unit/core/lease/shard.test.ts",
    file: `${STORE}shard.ts`,
    find: "return epoch > record.epoch && ancestors.includes(record.nonce);",
    replace: "return epoch >= 0 && ancestors.length >= 0;",
  },
  {
    name: "noLearning",
    rule: "a new history listens before it grants",
    where: "newcomer",
    file: `${STORE}shard.ts`,
    find: "learningUntil: now + terms.learnMs,",
    replace: "learningUntil: now,",
  },
  {
    name: "earlyAlways",
    rule: "learning ends early only where every grant was confirmed",
    where: "newcomer",
    file: `${STORE}shard.ts`,
    find: "return begin(terms.strict);",
    replace: "return begin(true);",
  },
  {
    name: "noHistoryFence",
    rule: "another history id is another history",
    where: "newcomer",
    file: `${STORE}shard.ts`,
    find: "if (meta.historyId !== historyId) return begin(terms.strict);",
    replace: "",
  },
  {
    name: "repetitionUnwritten",
    rule: "a repetition writes, so that its confirmation means something",
    test: "test/unit/core/lease/shard.test.ts",
    file: `${STORE}shard.ts`,
    find: "if (isRenewed) record.expiresAt = expiryOf(message, block, now);",
    replace: "",
  },
  {
    name: "rateKept",
    rule: "a rate begins a new history with little",
    test: "test/unit/core/lease/shard.test.ts",
    file: `${STORE}shared-ledger.ts`,
    find: "rate.level = Math.min(rate.level, 0 - bookable(ledger.spec)); // leases that are not known here may be out",
    replace: "",
  },
  {
    name: "rateFull",
    rule: "a rate that is lost begins empty",
    test: "test/unit/core/lease/shard.test.ts",
    file: `${STORE}shared-ledger.ts`,
    find: "const level = isLost ? 0 - bookable(spec) : spec.capacity;",
    replace: "const level = spec.capacity;",
  },
  {
    name: "noKnower",
    rule: "who knows a ledger that is not there prolongs the learning",
    where: "knower",
    file: `${STORE}shared-ledger.ts`,
    find: "granted > 0 || witness.version > 0;",
    replace: "granted < 0 && witness.version < 0;",
  },
  {
    name: "bookedTwice",
    rule: "OF3: what is out of a rate never exceeds its capacity",
    test: "test/unit/core/lease/offer.test.ts",
    file: `${STORE}offer.ts`,
    find: "const room = rateCap(ledger, now) - ledger.out; // (OF3)",
    replace: "const room = Number.MAX_SAFE_INTEGER - ledger.out;",
  },
  {
    name: "grantsAdded",
    rule: "EX2: units are credited by totals",
    where: "E0",
    file: `${HOLDER}exchange.ts`,
    find: "const got = Math.max(0, said.granted - block.granted);",
    replace:
      "const got = Math.max(said.grant, said.granted - block.granted) + (sent.attempts > 1 ? said.granted - block.granted : 0);",
  },
  {
    name: "unconfirmedSpent",
    rule: "EX2: what is not confirmed is not credited",
    test: "test/unit/engine/holder/exchange.test.ts",
    file: `${HOLDER}exchange.ts`,
    find: "if (!confirmed) {",
    replace: "if (!confirmed && mono < 0) {",
  },
  {
    name: "oldAnswers",
    rule: "EX4: an answer from before a pause renews nothing",
    test: "test/unit/engine/holder/exchange.test.ts",
    file: `${HOLDER}exchange.ts`,
    find: "if (sent.isOld) freeze(stock);\n  else {",
    replace: "{",
  },
  {
    name: "fenceUnheard",
    rule: "another data set is told everything anew",
    test: "test/unit/engine/holder/exchange.test.ts",
    file: `${HOLDER}exchange.ts`,
    find: "if (isAnother) for (const stock of shard.stocks) register(state, stock);",
    replace: "",
  },
  {
    name: "shardUntouched",
    rule: "UK6: a shard that lost its data without any other sign is told everything anew",
    test: "test/unit/engine/holder/upkeep.test.ts",
    file: `${HOLDER}upkeep.ts`,
    find: "return part ?? (mono >= touchAt(state, stock) ? settle : undefined);",
    replace: "return part;",
  },
  {
    name: "forgottenWhileWanted",
    rule: "HO4: a ledger is forgotten when nobody needs it",
    test: "test/unit/engine/holder/exchange.test.ts",
    file: `${HOLDER}exchange.ts`,
    find: "const isWanted = !stock.closing || stock.waits > 0;",
    replace: "const isWanted = !stock.closing;",
  },
  {
    name: "neverLookedAtAgain",
    rule: "UK3: what is out is renewed",
    where: "E0",
    file: `${HOLDER}exchange.ts`,
    find: "    state.look(stock); // it was not to be looked at before there was an answer\n",
    replace: "",
  },
  {
    name: "noExpiryRate",
    rule: "ST3: a timed lease is spent only before its end (rates)",
    where: "burst",
    file: `${HOLDER}stock.ts`,
    find: "if (isTimed(stock) && mono >= stock.expiresAt) return lapse(stock);",
    replace: "",
  },
  {
    name: "retiredReturned",
    rule: "HS2: what a torn journal leaves open stays with the store",
    test: "test/unit/engine/holder/succession.test.ts",
    file: `${HOLDER}stock.ts`,
    find: "if (stock.retiring) return;",
    replace: "",
  },
  {
    name: "slicesAtOnce",
    rule: "ST1: units are usable as they accrue",
    test: "test/unit/engine/holder/upkeep.test.ts",
    file: `${HOLDER}stock.ts`,
    find: "if (to > 0 && units > 0) stock.slices.push({ units, from, to });\n  else ",
    replace: "",
  },
  {
    name: "deadlinesUntold",
    rule: "ST4: the store knows how long reservations may live",
    test: "test/unit/engine/holder/upkeep.test.ts",
    file: `${HOLDER}stock.ts`,
    find: "return Math.ceil((openMs + 5) / (1 - DRIFT)) + 1;",
    replace: "return openMs > 0 ? 1 : 0;",
  },
  {
    name: "periodNeverEnds",
    rule: "S24: nothing is spent after the period's end",
    test: "test/unit/engine/holder/exchange.test.ts",
    file: `${HOLDER}waiters.ts`,
    find: "return storeTime(state) < stock.lease.spec.end;",
    replace: "return storeTime(state) < Infinity;",
  },
  {
    name: "pauseUnseen",
    rule: "CK2: a paused machine is noticed",
    test: "test/unit/engine/holder/exchange.test.ts",
    file: `${HOLDER}store-clock.ts`,
    find: "const isJump = Math.abs(by) > JUMP;",
    replace: "const isJump = Math.abs(by) > 1e15;",
  },
  {
    name: "tornIsWhole",
    rule: "HS2: a torn journal is not taken for a whole one",
    where: "E0",
    file: `${HOLDER}succession.ts`,
    find: "if (recovered.intact && lease && !totals.retiring)",
    replace: "if (lease && !totals.retiring)",
  },
  {
    name: "freeAtOnce",
    rule: "HS1: an heir spends after the store's first answer",
    test: "test/unit/engine/holder/succession.test.ts",
    file: `${HOLDER}succession.ts`,
    find: "lease.granted = -free(lease); // nothing is free before the store has answered",
    replace:
      "lease.granted = totals.granted; stock.heard = true; stock.expiresAt = Infinity; stock.coveredUntil = Infinity;",
  },
  {
    name: "keepAll",
    rule: "UK2, UK5: what idles goes back, and what others lack at once (S17)",
    where: "calm",
    file: `${HOLDER}stock.ts`,
    find: "const units = Math.floor(free(lease) - keep);",
    replace: "const units = Math.min(0, free(lease) - keep);",
  },
  {
    name: "endFromResend",
    rule: "EX3: a timed lease is counted from when its message left first",
    test: "test/unit/engine/holder/exchange.test.ts",
    file: `${HOLDER}exchange.ts`,
    find: "endOfLease(sent.sentAt, terms.ttlMs)",
    replace: "endOfLease(mono, terms.ttlMs)",
  },
  {
    name: "slotOverdue",
    rule: "ST4: no slot is given for longer than the store knows of, though it is lost",
    test: "test/unit/engine/holder/looks.test.ts",
    file: "src/engine/absent.ts",
    find: "core.funds.isHere(lease, need, ttlMs) && ",
    replace: "",
  },
  {
    name: "drainAdmits",
    rule: "EN4: nothing new is admitted once it drains",
    test: "test/unit/engine/holder/looks.test.ts",
    file: "src/engine/admit.ts",
    find: "if (the.core.isDraining) return DRAINING; // (EN4)",
    replace: "",
  },
  {
    name: "refundTold",
    rule: "LE5: what is given back before it was told was never spent",
    test: "test/unit/engine/lease.test.ts",
    file: "src/engine/lease.ts",
    find: "const untold = Math.min(units, untoldSpent(lease));",
    replace: "const untold = Math.min(units, 0 * untoldSpent(lease));",
  },
  {
    name: "strayAnswer",
    rule: "EX1: an answer that nobody waits for any more is dropped",
    test: "test/unit/engine/holder/exchange.test.ts",
    file: `${HOLDER}exchange.ts`,
    find: "if (!state.sent.has(sent)) return; // it was given up: another process is this holder",
    replace: "",
  },
  {
    name: "debitedAfter",
    rule: "EX2: what goes back is debited before its message leaves",
    test: "test/unit/engine/holder/exchange.test.ts",
    file: `${HOLDER}stock.ts`,
    find: "returned: lease.returned,",
    replace: "returned: lease.returned + Math.max(0, Math.floor(free(lease))),",
  },
  {
    name: "changeUnheard",
    rule: "another data set is told everything anew, whoever notices it",
    test: "test/unit/engine/holder/exchange.test.ts",
    file: `${HOLDER}holder.ts`,
    find: "for (const stock of state.stocks.values()) register(state, stock);",
    replace: "",
  },
  {
    name: "driftForgotten",
    rule: "ST3: the end of a lease leaves room for clocks that run apart",
    test: "test/unit/engine/holder/exchange.test.ts",
    file: `${HOLDER}stock.ts`,
    find: "sent + lastsMs * (1 - DRIFT) - 5;",
    replace: "sent + lastsMs;",
  },
  {
    name: "lostJournalKept",
    rule: "HS3: leases in a journal that fails are retired at once",
    test: "test/unit/engine/holder/succession.test.ts",
    file: `${HOLDER}holder.ts`,
    find: "journalLost: (isMarked) => retireAll(state, isMarked),",
    replace: "journalLost: () => undefined,",
  },
  {
    name: "movedTooSoon",
    rule: "HS5: what moves to a new lease is known there before it goes back",
    test: "test/unit/engine/holder/succession.test.ts",
    file: `${HOLDER}upkeep.ts`,
    find: "if (heir && !heir.heard) {",
    replace: "if (heir && mono < 0) {",
  },
  {
    name: "slotsRetired",
    rule: "HS4: slots and rates are left to time",
    test: "test/unit/engine/holder/succession.test.ts",
    file: `${HOLDER}succession.ts`,
    find: 'if (spec.kind !== "budget") return undefined; // (HS4)',
    replace: "",
  },
  {
    name: "commitTwice",
    rule: "S19: a commit that is repeated is answered, not charged",
    test: "test/unit/engine/reservations.test.ts",
    file: "src/engine/settlement.ts",
    find: 'if (!isLive(found)) {\n    return found.state === "committed"',
    replace:
      'if (!isLive(found) && found.state !== "committed") {\n    return found.state === "committed"',
  },
];

/** Of the store's own rules, which these play through without a fleet. */
const STORE_TESTS = "test/unit/core/lease";

export const MUTANTS: readonly Mutant[] = [
  ...OWN,
  ...STORE_MUTANTS.map((one) => ({ ...one, test: STORE_TESTS })),
];
