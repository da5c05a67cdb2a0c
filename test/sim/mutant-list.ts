/**
 * The protections of the lease protocol, each switched off by a small patch, and the runs in which that has to be
 * noticed.
 */
import type { Patch } from "../proof/patch.ts";
import { STORE_MUTANTS } from "../proof/store-mutants.ts";
import type { Direction } from "./directed.ts";
import type { Environment, Load } from "./setting.ts";
import { TESTED_MUTANTS } from "./tested-mutants.ts";

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
    name: "noSequence",
    rule: "SH5: a sequence number is settled once",
    where: "E0",
    file: `${STORE}shard.ts`,
    find: 'if (block.seq > record.seq) return "ok";',
    replace: 'if (block.seq > 0) return "ok";',
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
    name: "noKnower",
    rule: "who knows a ledger that is not there prolongs the learning",
    where: "knower",
    file: `${STORE}shared-ledger.ts`,
    find: "granted > 0 || witness.version > 0;",
    replace: "granted < 0 && witness.version < 0;",
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
    name: "tornIsWhole",
    rule: "HS2: a torn journal is not taken for a whole one",
    where: "E0",
    file: `${HOLDER}succession.ts`,
    find: "if (recovered.intact && lease && !totals.retiring)",
    replace: "if (lease && !totals.retiring)",
  },
  {
    name: "keepAll",
    rule: "UK2, UK5: what idles goes back, and what others lack at once (S17)",
    where: "calm",
    file: `${HOLDER}stock.ts`,
    find: "const units = Math.floor(free(lease) - keep);",
    replace: "const units = Math.min(0, free(lease) - keep);",
  },
];

/** Of the store's own rules, which these play through without a fleet. */
const STORE_TESTS = "test/unit/core/lease";

export const MUTANTS: readonly Mutant[] = [
  ...OWN,
  ...TESTED_MUTANTS,
  ...STORE_MUTANTS.map((one) => ({ ...one, test: STORE_TESTS })),
];
