/** The reference of the store's scripts, as the simulator's nodes use it. */
import { available, outOf, type LedgerSpec } from "../../src/core/lease/ledger.ts";
import type { Hint, SyncMessage, SyncReply } from "../../src/core/lease/message.ts";
import { birth, createShard, sync, type Shard, type StoreEnv } from "../../src/core/lease/shard.ts";
import { accountOf, type SharedLedger } from "../../src/core/lease/shared-ledger.ts";

export type { Shard };

export interface LedgerFacts {
  readonly key: string;
  readonly kind: "budget" | "rate" | "slots";
  readonly end: number;
  readonly capacity: number;
  readonly settled: number;
  readonly out: number;
  /** Held back for the dead, those of lost histories included. */
  readonly quarantined: number;
  readonly available: number;
  readonly records: readonly RecordFacts[];
}

export interface RecordFacts {
  readonly id: string;
  readonly state: "live" | "expired" | "closed" | "retired";
  readonly out: number;
  readonly expiresAt: number;
}

export interface Ran {
  readonly reply: SyncReply;
  readonly hints: readonly Hint[];
  /** There is something to wait for. */
  readonly wrote: boolean;
}

/** Makes the shard where it is missing. */
export function shardIn(data: Map<string, Shard>, uid: string): Shard {
  let shard = data.get(uid);
  if (!shard) data.set(uid, (shard = createShard()));
  return shard;
}

/** The scripts write with whatever they do not refuse, a repetition too, and so does WAIT wait for it. */
export function runSync(shard: Shard, message: SyncMessage, env: StoreEnv): Ran {
  const { reply, hints } = sync(shard, message, env);
  return { reply, hints, wrote: reply.status === "ok" };
}

export function bear(shard: Shard, learnMs: number, env: StoreEnv): void {
  birth(shard, learnMs, env);
}

/** What is wrong with the sums of the message's ledgers (SL1, SL2, SL7, SL8); "": nothing. */
export function faultIn({ ledgers }: Shard, { blocks }: SyncMessage): string {
  for (const { spec } of blocks) {
    const { key } = spec;
    const ledger = ledgers.get(key);
    const found = ledger ? faultOf(ledger) : "";
    if (found !== "") return `${key.replaceAll("\0", "/")}: ${found}`;
  }
  return "";
}

const SUMS = ["out", "quarantined", "settled", "demand", "askers", "live", "missing"] as const;

function faultOf(ledger: SharedLedger): string {
  const sums = {
    out: 0,
    quarantined: 0,
    settled: ledger.folded,
    demand: 0,
    askers: 0,
    live: 0,
    missing: 0,
  };
  for (const record of ledger.records.values()) {
    const out = outOf(record);
    if (out < 0) return `SL1 a record has ${out} out`;
    if (record.state === "live") sums.out += out;
    if (record.state !== "live" && ledger.spec.kind === "budget") sums.quarantined += out;
    if (record.state === "closed" && out > 0) return `SL7 closed with ${out} out`;
    sums.settled += record.spent;
    sums.demand += record.demand;
    if (record.demand > 0) sums.askers++;
    if (record.state !== "live") continue;
    sums.live++;
    if (record.fence !== ledger.fence) sums.missing++;
  }
  for (const name of SUMS) {
    if (ledger[name] !== sums[name]) {
      return `SL8 ${name} is ${ledger[name]}, the records say ${sums[name]}`;
    }
  }
  const { rate, out, spec } = ledger;
  if (rate && rate.level > 0 && rate.level + out > spec.capacity && out <= spec.capacity) {
    return `OF3 level ${rate.level} and ${out} out of ${spec.capacity}`;
  }
  return "";
}

export const copyOf = (shard: Shard): Shard => structuredClone(shard);

export function factsOf(shard: Shard | undefined, now: number): readonly LedgerFacts[] {
  if (!shard) return [];
  return Array.from(shard.ledgers, ([key, ledger]) => {
    const account = accountOf(ledger, now);
    return {
      key,
      kind: ledger.spec.kind,
      end: ledger.spec.end,
      capacity: ledger.spec.capacity,
      settled: ledger.settled,
      out: ledger.out,
      quarantined: account.quarantined,
      available: available(account),
      records: Array.from(ledger.records, ([id, record]) => ({
        id,
        state: record.state,
        out: outOf(record),
        expiresAt: record.expiresAt,
      })),
    };
  });
}

/** What the pools of the message's budgets have, and what their holder has been granted there so far. */
export const stocksIn = ({ ledgers }: Shard, { blocks }: SyncMessage, now: number) =>
  blocks.flatMap(({ spec, holder: lease }) => {
    const ledger = ledgers.get(spec.key);
    const record = ledger?.records.get(lease);
    if (!ledger || !record || spec.kind !== "budget") return [];
    const { granted, beyond, returned } = record;
    const pool = available(accountOf(ledger, now));
    return [{ spec, lease, pool, granted: granted + beyond - returned }];
  });

/** Of the message's ledgers: those whose life is over, and that are gone when it is executed. */
export const deadIn = (shard: Shard, { blocks }: SyncMessage, now: number): readonly LedgerSpec[] =>
  blocks.flatMap(({ spec }) => {
    const ledger = shard.ledgers.get(spec.key);
    return ledger && ledger.lifeEnd <= now ? [ledger.spec] : [];
  });

/** A message and its answer in a line, for people. */
export function lineOf({ blocks, atomic }: SyncMessage, reply: SyncReply): string {
  const lines = blocks.map((block, i) => {
    const { granted, spent, returned, beyond, refunded, want, need, close } = block;
    const said = reply.blocks[i];
    const name = block.spec.key.split("\0").slice(1).join(" ");
    const asks = `${name} ${block.holder.slice(-4)} #${block.seq} A${granted} U${spent} R${returned} V${beyond} F${refunded} want ${want} need ${need}${close ? ` close ${close}` : ""}`;
    if (!said) return `${asks} -> ${reply.status}`;
    const { view } = said;
    return `${asks} -> ${said.status} A${said.granted} avail ${view.available} out ${view.out} learn ${said.learningMs} hz ${said.horizonMs} slice ${said.fromMs}-${said.toMs}`;
  });
  return `${atomic ? "atomic " : ""}${lines.join(" | ")}`;
}
