/**
 * What the scripts are told, and what they answer. A script answers a ledger's raw sums; the figures are made of them
 * here, by the code that makes them everywhere.
 */
import { createHash } from "node:crypto";
import { familyOf } from "../../core/lease/family.ts";
import { readingOf, viewOf, type LedgerSpec, type Sight } from "../../core/lease/ledger.ts";
import type {
  BlockReply,
  Hint,
  SyncBlock,
  SyncMessage,
  SyncReply,
  SyncStatus,
} from "../../core/lease/message.ts";
import { usedOf } from "../../core/lease/shared-ledger.ts";
import type { DurationMs } from "../../core/time.ts";
import { isUnits } from "../../core/units.ts";
import { decodeKey, encodeText, keyOf, metaKey } from "./keys.ts";
import { BIRTH } from "./scripts/birth.ts";
import { OPERATE } from "./scripts/operate.ts";
import { SYNC } from "./scripts/sync.ts";
import { VIEWS } from "./scripts/views.ts";
import { createReader, readAccount, type Reader } from "./written-ledger.ts";

export interface Script {
  readonly source: string;
  readonly sha: string;
}

const scriptOf = (source: string): Script => ({
  source,
  sha: createHash("sha1").update(source).digest("hex"),
});

export const SCRIPTS = {
  sync: scriptOf(SYNC),
  birth: scriptOf(BIRTH),
  views: scriptOf(VIEWS),
  operate: scriptOf(OPERATE),
} as const;

/** One call of a script. */
export interface ScriptWords {
  readonly script: Script;
  readonly keys: readonly string[];
  readonly args: (string | number)[];
}

/** Where and when a script runs; "" where it finds that out by itself. */
export interface Hooks {
  /** ms since 1970: for tests. */
  readonly clock: string;
  /** What stands for the replication id, where a server does not show it. */
  readonly historyId: string;
}

/** Where it writes, and where it tells of it. */
export interface WriteOptions extends Hooks {
  /** `{q17}` */
  readonly tag: string;
  /** PUBLISH, or SPUBLISH in a Cluster; "": no hints. */
  readonly publish: "PUBLISH" | "SPUBLISH" | "";
}

export function encodeSync(message: SyncMessage, options: WriteOptions): ScriptWords {
  const { holder, terms, atomic, waitMs, blocks } = message;
  const { tag, publish, clock, historyId } = options;
  return {
    script: SCRIPTS.sync,
    keys: [metaKey(tag), ...blocks.flatMap(({ spec }) => keysOf(tag, spec))],
    args: [
      encodeText(holder.nonce),
      holder.epoch,
      holder.ancestors.map((nonce) => `${encodeText(nonce)},`).join(""),
      `=${encodeText(holder.label)}`, // never an empty word
      terms.ttlMs,
      terms.graceMs,
      terms.learnMs,
      flag(terms.strict),
      flag(atomic),
      waitMs,
      publish === "" ? "" : tag,
      publish,
      clock,
      historyId,
      ...blocks.map(lineOf),
    ],
  };
}

const flag = (value: boolean): number => (value ? 1 : 0);

/** A ledger of no family names itself: a key that is never there would hold up the move of a slot. */
const keysOf = (tag: string, { key, family }: LedgerSpec): string[] => [
  keyOf(tag, "L", key),
  keyOf(tag, "X", key),
  family === "" ? keyOf(tag, "L", key) : keyOf(tag, "F", family),
];

/** In the order that the script reads it. */
function lineOf(block: SyncBlock): string {
  const { spec, witness } = block;
  return [
    ...[encodeText(block.holder), spec.kind, block.seq, block.granted, block.spent],
    ...[block.returned, block.beyond, block.overage, block.refunded, block.want, block.need],
    ...[block.demand, block.mean, witness.fence, witness.version, witness.used],
    ...[
      witness.carried,
      block.close,
      block.openMs,
      block.firstMs,
      block.lifeMs,
      spec.version,
      spec.capacity,
      spec.overdraft,
    ],
    ...[spec.refill.units, spec.refill.everyMs, spec.rollover, flag(spec.carryDebt)],
    ...[spec.start, spec.end],
  ].join("|");
}

/** The script and this program agree on what they say, so a reply of another form is our mistake. */
export function decodeSync(message: SyncMessage, reply: unknown, confirmed: boolean): SyncReply {
  const [status = "", now, fence, ...lines] = linesOf(reply);
  if (!isStatus(status)) throw new Error(`the store answers "${status}"`);
  const blocks = message.blocks.slice(0, lines.length).map(({ spec }, i) => {
    return decodeBlock(spec, createReader(lines[i] ?? ""));
  });
  return { status, now: Number(now), fence: Number(fence), confirmed, blocks };
}

const isStatus = (word: string): word is SyncStatus => /^(ok|stale|bad|newer)$/.test(word);
const isBlockStatus = (word: string): word is BlockReply["status"] =>
  /^(ok|duplicate|stale)$/.test(word);

function linesOf(reply: unknown): string[] {
  if (!Array.isArray(reply)) throw new Error("the store answers in no form that is known");
  return reply.map(String);
}

function decodeBlock({ key }: LedgerSpec, { text, number }: Reader): BlockReply {
  const status = text();
  if (!isBlockStatus(status)) throw new Error(`the store answers "${status}" for a ledger`);
  const head = {
    status,
    fence: number(),
    version: number(),
    granted: number(),
    grant: number(),
    learningMs: number(),
    horizonMs: number(),
    fromMs: number(),
    toMs: number(),
    holders: number(),
    lifeMs: number(),
    freesMs: number(),
  };
  const account = readAccount(key, { text, number });
  const { start, end } = account.spec;
  return {
    ...head,
    view: viewOf(account),
    used: usedOf(account),
    carried: account.carried,
    start,
    end,
  };
}

export function encodeBirth(tag: string, learnMs: DurationMs, hooks: Hooks): ScriptWords {
  const args = [learnMs, hooks.clock, hooks.historyId];
  return { script: SCRIPTS.birth, keys: [metaKey(tag)], args };
}

export function encodeViews(tag: string, keys: readonly string[], clock: string): ScriptWords {
  const both = keys.flatMap((key) => [keyOf(tag, "L", key), keyOf(tag, "F", familyOf(key))]);
  return { script: SCRIPTS.views, keys: both, args: [clock] };
}

/** In the order of the keys. */
export const decodeViews = (keys: readonly string[], reply: unknown): Sight[] =>
  linesOf(reply).map((line, i) => {
    if (line === "") return undefined;
    if (line.startsWith("<")) return { before: readAccount("", createReader(line.slice(1))) };
    return readingOf(readAccount(keys[i] ?? "", createReader(line)));
  });

/** `holder`: of a lease; "": all that are dead. */
export function encodeOperation(
  key: string,
  operation: { readonly op: "resolve" | "reset"; readonly holder: string },
  { tag, publish, clock }: Omit<WriteOptions, "historyId">,
): ScriptWords {
  const channel = publish === "" ? "" : tag;
  return {
    script: SCRIPTS.operate,
    keys: [keyOf(tag, "L", key), keyOf(tag, "X", key), keyOf(tag, "F", familyOf(key))],
    args: [operation.op, encodeText(operation.holder), channel, publish, clock],
  };
}

/** Units that are out of quarantine; undefined: there is no such ledger. */
export const decodeOperation = (reply: unknown): number | undefined =>
  Number(reply) < 0 ? undefined : Number(reply);

/** What is published on a shard's channel; undefined: by another program, or a later version of this one. */
export function decodeHint(text: string): Hint | undefined {
  const [kind, name = "", which = "", amount = ""] = text.split(" ");
  const units = Number(amount);
  if (amount === "" || !isUnits(units)) return undefined;
  const key = decodeKey(name);
  if (kind === "W") return { kind: "wake", key, holder: which, units };
  if (kind !== "R" || (which !== "1" && which !== "2")) return undefined;
  return { kind: "recall", key, level: which === "1" ? 1 : 2, units };
}
