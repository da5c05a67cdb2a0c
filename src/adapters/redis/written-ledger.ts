/** A ledger as the scripts write it down: words separated by |, in the order of scripts/prelude.ts. */
import type { Low } from "../../core/lease/late-refund.ts";
import type { Account, LedgerSpec } from "../../core/lease/ledger.ts";
import type {
  HolderRecord,
  RecordState,
  SharedLedger,
  Waiter,
} from "../../core/lease/shared-ledger.ts";
import { decodeText } from "./keys.ts";

/** Takes the words of a line one after the other. */
export interface Reader {
  readonly text: () => string;
  readonly number: () => number;
}

export function createReader(line: string): Reader {
  const words = line.split("|");
  let next = 0;
  const text = (): string => {
    const word = words[next];
    if (word === undefined) throw new Error(`the store has written "${line}"`);
    next += 1;
    return word;
  };
  return {
    text,
    number() {
      const value = Number(text());
      if (!Number.isSafeInteger(value)) throw new Error(`the store has written "${line}"`);
      return value;
    },
  };
}

const isKind = (word: string): word is LedgerSpec["kind"] => /^(budget|rate|slots)$/.test(word);

function readSpec(key: string, { text, number }: Reader): LedgerSpec {
  const kind = text();
  if (!isKind(kind)) throw new Error(`the store has a ledger of kind "${kind}"`);
  const head = { key, kind, version: number(), capacity: number(), overdraft: number() };
  const refill = { units: number(), everyMs: number(), burst: kind === "rate" ? head.capacity : 0 };
  const carried = { family: "", rollover: number(), carryDebt: number() === 1 };
  return { ...head, refill, ...carried, start: number(), end: number() };
}

/** The sums of which a ledger's figures are made. */
export function readAccount(key: string, reader: Reader): Account {
  const spec = readSpec(key, reader);
  const { number } = reader;
  const sums = { out: number(), settled: number(), quarantined: number() };
  const past = { owed: number(), carried: number() };
  return { spec, ...sums, ...past, rate: readRate(spec, reader) };
}

function readRate({ kind }: LedgerSpec, { number }: Reader): Account["rate"] {
  const rate = { level: number(), remainder: number(), at: number() };
  return kind === "rate" ? rate : undefined;
}

/**
 * A ledger with all its holders, from the fields of its hash. Not among them: what has been carried into it since it
 * was written, and which family it is of.
 */
export function readLedger(key: string, fields: ReadonlyMap<string, string>): SharedLedger {
  const reader = createReader(fields.get("ledger") ?? "");
  const { text, number } = reader;
  const schema = number();
  const spec = readSpec(key, reader);
  return {
    schema,
    spec,
    out: number(),
    settled: number(),
    folded: number(),
    quarantined: number(),
    owed: number(),
    carried: number(),
    rate: readRate(spec, reader),
    cautiousUntil: number(),
    version: number(),
    fence: number(),
    since: number(),
    learningUntil: number(),
    mayEndEarly: number() === 1,
    lostFence: number(),
    lostVersion: number(),
    lostUsed: number(),
    lostCarried: number(),
    explained: number(),
    demand: number(),
    askers: number(),
    mean: number(),
    live: number(),
    missing: number(),
    recalledAt: number(),
    recallLevel: number() as 0 | 1 | 2,
    foldedMint: number(),
    lifeEnd: number(),
    waiters: readWaiters(text()),
    lows: readLows(text()),
    records: readRecords(fields),
  };
}

const readWaiters = (word: string): Waiter[] =>
  (word === "-" ? [] : word.split(",")).map((one) => {
    const [holder = "", need, until] = one.split(":");
    return { holder, need: Number(need), until: Number(until) };
  });

const readLows = (word: string): Low[] =>
  (word === "-" ? [] : word.split(",")).map((one) => {
    const [version, slack] = one.split(":");
    return { version: Number(version), slack: Number(slack) };
  });

function readRecords(fields: ReadonlyMap<string, string>): Map<string, HolderRecord> {
  const records = new Map<string, HolderRecord>();
  for (const [field, line] of fields) {
    if (field.startsWith("h:")) records.set(field.slice(2), readRecord(createReader(line)));
  }
  return records;
}

const isState = (word: string): word is RecordState => /^(live|expired|closed|retired)$/.test(word);

function readRecord({ text, number }: Reader): HolderRecord {
  const epoch = number();
  const nonce = text();
  const seq = number();
  const totals = {
    granted: number(),
    spent: number(),
    returned: number(),
    beyond: number(),
    overage: number(),
    refunded: number(),
  };
  const expiresAt = number();
  const state = text();
  if (!isState(state)) throw new Error(`the store has a record that is "${state}"`);
  const rest = { demand: number(), fence: number(), version: number(), room: number() };
  const freesAt = number();
  const label = decodeText(text().slice(1));
  return { label, epoch, nonce, seq, ...totals, expiresAt, state, ...rest, freesAt };
}
