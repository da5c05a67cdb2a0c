/**
 * What a fleet could say to one shard of its store, and what it should not: totals that follow the answers, messages
 * heard twice, late and out of order, processes that go on from a journal or from a wrong one, leases closed and made
 * anew, malformed messages; all kinds, families of periods, amounts from 0 to 2^53−1. The same seed, the same fleet.
 */
import type { LedgerSpec } from "../../src/core/lease/ledger.ts";
import type {
  BlockReply,
  Closing,
  Holder,
  SyncBlock,
  SyncMessage,
  SyncReply,
} from "../../src/core/lease/message.ts";
import { MAX_UNITS } from "../../src/core/units.ts";
import { aLedgerSpec, aRateSpec } from "./ledgers.ts";
import type { SeededRng } from "./seeded-rng.ts";

export interface RandomFleet {
  /** The next message; `now`: the store's clock. */
  message(now: number): SyncMessage;
  hear(message: SyncMessage, reply: SyncReply): void;
  /** All ledgers that there may be. */
  readonly keys: readonly string[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Totals = Mutable<
  Pick<SyncBlock, "granted" | "spent" | "returned" | "beyond" | "overage" | "refunded">
>;

interface Lease extends Totals {
  holder: string;
  seq: number;
  witness: SyncBlock["witness"];
}

interface Process extends Mutable<Holder> {
  readonly leases: Map<string, Lease>;
}

const PERIOD_MS = 100_000;
const PROCESSES = 6;
const SCALES = [1, 1, 1, 1e5, 1e9, 2 ** 43] as const;
const NOTHING = { fence: 0, version: 0, used: 0, carried: 0 };

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");

export function createRandomFleet(rng: SeededRng): RandomFleet {
  let serial = 0;
  let version = 1;
  let scale = 1;
  let specs = specsOf(rng, version, scale, 0);
  const said: SyncMessage[] = [];
  const units = (below: number): number => Math.min(rng.below(below) * scale, MAX_UNITS);

  const mint = (now: number): string => hex(now, 12) + hex((serial += 1), 20);
  const start = (): Process => ({
    nonce: hex(rng.below(2 ** 48), 16),
    epoch: 1,
    ancestors: [],
    label: rng.pick(["pod-a", "pod b|c", ""]),
    leases: new Map(),
  });
  const processes = Array.from({ length: PROCESSES }, start);

  /** Another process on the same journal, or on one that is not that of the record. */
  function restart(process: Process): void {
    const isHeir = rng.chance(0.8);
    process.ancestors = isHeir ? [process.nonce, ...process.ancestors].slice(0, 8) : ["dead"];
    process.nonce = hex(rng.below(2 ** 48), 16);
    process.epoch += rng.chance(0.9) ? 1 : 0;
    for (const lease of process.leases.values()) lease.seq = 0;
  }

  function leaseOf(process: Process, { key }: LedgerSpec, now: number): Lease {
    const known = process.leases.get(key);
    if (known) return known;
    const totals = { granted: 0, spent: 0, returned: 0, beyond: 0, overage: 0, refunded: 0 };
    const lease = { holder: mint(now), seq: 0, witness: NOTHING, ...totals };
    process.leases.set(key, lease);
    return lease;
  }

  /** Some of what is free is spent, returned, refunded; some is used beyond it. */
  function use(lease: Lease, { kind }: LedgerSpec): void {
    const out = (): number => lease.granted - lease.returned + (lease.beyond - lease.spent);
    const part = (most: number): number => (rng.chance(0.1) ? most : rng.below(most + 1));
    if (kind !== "slots" && rng.chance(0.5)) lease.spent += part(out());
    if (rng.chance(kind === "rate" ? 0.02 : 0.1)) {
      const beyond = rng.chance(0.003) ? MAX_UNITS : units(20);
      const most = MAX_UNITS - lease.granted - lease.beyond;
      const counted = Math.max(0, Math.min(beyond, most));
      lease.beyond += counted;
      if (kind !== "slots" && rng.chance(0.8)) lease.spent += counted;
      if (rng.chance(0.6)) lease.overage += part(counted);
    }
    if (kind === "rate" && rng.chance(0.3)) lease.refunded += part(lease.spent - lease.refunded);
    if (rng.chance(0.25)) lease.returned += part(out());
  }

  function blockOf(process: Process, spec: LedgerSpec, now: number): SyncBlock {
    const lease = leaseOf(process, spec, now);
    use(lease, spec);
    lease.seq += 1;
    const { holder, seq, witness, ...totals } = lease;
    const isSlots = spec.kind === "slots";
    const wanted = rng.chance(0.02) ? MAX_UNITS : isSlots ? rng.below(8) : units(200);
    const small = isSlots || rng.chance(0.1);
    const need = rng.chance(0.5) ? 0 : small ? rng.below(4) : units(60);
    return {
      ...totals,
      spec,
      holder,
      seq: rng.chance(0.003) ? 0 : seq,
      granted: rng.chance(0.002) ? 0 : totals.granted,
      want: wanted,
      need,
      demand: rng.chance(0.1) ? 0 : units(100),
      mean: units(30),
      witness,
      close: closing(spec),
      openMs: rng.below(2_000),
      firstMs: rng.below(3_000),
      lifeMs: rng.chance(0.1) ? rng.below(20_000) : 1e6,
    };
  }

  function closing({ kind }: LedgerSpec): Closing {
    if (!rng.chance(0.03)) return 0;
    return kind === "budget" && rng.chance(0.4) ? 2 : 1;
  }

  function fresh(now: number): SyncMessage {
    if (rng.chance(0.004)) scale = rng.pick(SCALES);
    if (rng.chance(0.02)) specs = specsOf(rng, rng.chance(0.8) ? (version += 1) : 1, scale, now);
    if (rng.chance(0.005)) processes[rng.below(PROCESSES)] = start();
    const process = rng.pick(processes);
    if (rng.chance(0.008)) restart(process);
    const some = specs.filter(() => rng.chance(0.35)).slice(0, 4);
    const asked = some.length > 0 ? some : [rng.pick(specs)];
    const { nonce, epoch, ancestors, label } = process;
    return {
      holder: { nonce, epoch, ancestors, label },
      terms: {
        ttlMs: 3_000,
        graceMs: 500,
        learnMs: rng.chance(0.1) ? 0 : 1_000,
        strict: rng.chance(0.3),
      },
      uid: "uid",
      atomic: rng.chance(0.5),
      waitMs: rng.chance(0.3) ? 0 : rng.below(4_000),
      blocks: asked.map((spec) => blockOf(process, spec, now)),
    };
  }

  function learn(process: Process, block: SyncBlock, reply: BlockReply): void {
    const lease = process.leases.get(block.spec.key);
    if (!lease || lease.holder !== block.holder || reply.status === "stale") return;
    lease.granted = Math.max(lease.granted, reply.granted);
    const { fence, version: at, used, carried } = reply;
    if (fence > lease.witness.fence || at > lease.witness.version) {
      lease.witness = { fence, version: at, used, carried };
    }
    if (block.close === 2 || (block.close === 1 && rng.chance(0.7))) {
      process.leases.delete(block.spec.key);
    }
  }

  return {
    keys: specsOf(rng, 1, 1, 0).map(({ key }) => key),
    message(now) {
      const isRepeated = said.length > 0 && rng.chance(0.1);
      const message = isRepeated ? rng.pick(said) : fresh(now);
      if (!isRepeated) said.push(message);
      if (said.length > 200) said.shift();
      return message;
    },
    hear(message, reply) {
      const process = processes.find(({ nonce }) => nonce === message.holder.nonce);
      if (!process) return;
      if (reply.status === "stale") process.leases.clear();
      for (const [i, block] of reply.blocks.entries()) {
        const sent = message.blocks[i];
        if (sent) learn(process, sent, block);
      }
    },
  };
}

/** One bucket of each kind, and families of three periods that follow each other. */
function specsOf(rng: SeededRng, version: number, scale: number, now: number): LedgerSpec[] {
  const big = (units: number): number =>
    rng.chance(0.02) ? MAX_UNITS : Math.min(units * scale, MAX_UNITS);
  const budget = (parts: Partial<LedgerSpec>): LedgerSpec =>
    aLedgerSpec({ version, capacity: big(900 + rng.below(3) * 100 + version * 300), ...parts });
  const first = Math.floor(now / PERIOD_MS) * PERIOD_MS;
  const family = (id: string, parts: Partial<LedgerSpec>): LedgerSpec[] =>
    [0, 1, 2].map((n) => {
      const start = first + (n - 1) * PERIOD_MS;
      const key = `${id}\0${n}`;
      const span = { start: Math.max(0, start), end: Math.max(0, start) + PERIOD_MS };
      return budget({ key, family: id, capacity: big(300 + version * 20), ...span, ...parts });
    });
  const everyMs = rng.pick([1_000, 1_000, 7_777, 86_400_000, 2 ** 39]);
  const units = rng.chance(0.05) ? 0 : big(rng.pick([20, 400]));
  const refill = { units, everyMs, burst: big(50 + rng.below(20)) };
  return [
    budget({ key: "uid\0plain\0\0-" }),
    budget({ key: "uid\0over/draft\0é{x}\0-", overdraft: big(50) }),
    ...family("uid\0rollover\0", { rollover: big(rng.pick([0, 40, 400])) }),
    ...family("uid\0debt\0", {
      carryDebt: true,
      rollover: big(rng.pick([0, 100])),
      overdraft: big(rng.pick([0, 30])),
    }),
    aRateSpec(refill, { key: "uid\0rate\0\0-", version }),
    aLedgerSpec({ key: "uid\0slots\0\0-", kind: "slots", version, capacity: 5 + rng.below(3) }),
  ];
}
