/**
 * What holds for every shard under everything that a fleet may say to it: messages repeated, late and malformed,
 * processes that go on from a journal or from a wrong one, clocks that step, data that is lost or rolled back.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  available,
  createLedger,
  grant,
  lacks,
  outOf,
  settle,
  viewOf,
  type Ledger,
  type LedgerSpec,
} from "../../src/core/lease/ledger.ts";
import { read } from "../../src/core/lease/inspect.ts";
import { createShard, sync, type Shard } from "../../src/core/lease/shard.ts";
import type { Hint, SyncMessage, SyncReply } from "../../src/core/lease/message.ts";
import { accountOf } from "../../src/core/lease/shared-ledger.ts";
import { counterexample } from "../support/counterexample.ts";
import { aBlock, aLedgerSpec } from "../support/ledgers.ts";
import { createRandomFleet } from "../support/random-fleet.ts";
import { createSeededRng, type SeededRng } from "../support/seeded-rng.ts";
import { checkShard } from "../support/shard-check.ts";
import { leaseId, playShard } from "../support/shard-player.ts";

const MESSAGES = 80;
const seeds = fc.integer({ min: 1, max: 1e9 });
const RUNS = { numRuns: Number(process.env["PROPERTY_RUNS"] ?? 12) };

interface Heard {
  readonly shard: Shard;
  /** As it was before. */
  readonly before: Shard;
  readonly message: SyncMessage;
  readonly reply: SyncReply;
  readonly hints: readonly Hint[];
  readonly now: number;
  readonly historyId: string;
}

/** Plays a fleet; with `faults` the store loses and rolls back what it has. */
function play(seed: number, faults: boolean, look: (heard: Heard, rng: SeededRng) => void): void {
  const rng = createSeededRng(seed);
  const fleet = createRandomFleet(rng);
  let shard = createShard();
  let saved = structuredClone(shard);
  let historyId = "h0";
  let now = 1e6;
  for (let i = 0; i < MESSAGES; i++) {
    now += rng.chance(0.05) ? rng.below(8_000) : rng.below(150);
    if (faults) {
      if (rng.chance(0.02)) now -= rng.below(70_000);
      if (rng.chance(0.03)) historyId = `h${i}`;
      if (rng.chance(0.05)) saved = structuredClone(shard);
      if (rng.chance(0.02)) shard = structuredClone(saved);
      if (rng.chance(0.005)) shard = createShard();
    }
    now = Math.max(now, 1);
    const said = fleet.message(now);
    // A ledger that has been forgotten hears an old message as a new one.
    const message = faults
      ? said
      : { ...said, blocks: said.blocks.map((block) => ({ ...block, lifeMs: 1e9 })) };
    const before = structuredClone(shard);
    const { reply, hints } = sync(shard, message, { now, historyId });
    look({ shard, before, message, reply, hints, now, historyId }, rng);
    fleet.hear(message, reply);
  }
}

/** Of ledgers whose units come only by what is said. Returns how often some came for others that wait. */
function checkHints({ shard, before, message, reply, hints }: Heard): number {
  let came = 0;
  for (const [i, { grant: granted, view }] of reply.blocks.entries()) {
    const { spec, holder } = message.blocks[i] ?? { spec: aLedgerSpec(), holder: "" };
    const [old, ledger] = [before.ledgers.get(spec.key), shard.ledgers.get(spec.key)];
    if (!old || !ledger || spec.kind === "rate" || old.fence !== ledger.fence) continue;
    if (old.since !== ledger.since || view.available + view.spent > 2 ** 50) continue; // else sums may have stopped
    const named = hints.flatMap((hint) =>
      hint.kind === "wake" && hint.key === spec.key ? [hint.holder] : [],
    );
    const was = available(accountOf(old, shard.meta?.latest ?? 0));
    const isCrumb = view.available < ledger.spec.capacity / 2_000;
    if (view.available + granted <= was || isCrumb) {
      assert.deepEqual(named, [], "WT4");
      continue;
    }
    const others = ledger.waiters.filter((one) => one.holder !== holder);
    const needs = old.waiters.filter((one) => named.includes(one.holder)).map(({ need }) => need);
    const left = needs.reduce((rest, need) => rest - need, view.available);
    assert.ok(left >= 0, "WT2: more are woken than can be served");
    for (const { need } of others) assert.ok(need > left, "WT2, WT4: not woken");
    if (needs.length === 0) assert.deepEqual(named, others.length > 0 ? [""] : [], "WT3, WT4");
    came += named.length;
  }
  return came;
}

describe("for every shard and every fleet", () => {
  test("SL1, SL2, SL7, SL8, LG6: the sums are those of the records, whatever was lost", () => {
    const found = counterexample(
      seeds,
      (seed) => play(seed, true, ({ shard }) => checkShard(shard)),
      RUNS,
    );
    expect(found).toBe("");
  });

  test("SH4: fences never fall, and a ledger's version grows with what changes it", () => {
    const found = counterexample(
      seeds,
      (seed) =>
        play(seed, true, ({ before, shard, reply, message }) => {
          if (before.meta && reply.status === "ok") {
            assert.ok(reply.fence >= before.meta.fence, "SH4");
          }
          for (const [i, { status }] of reply.blocks.entries()) {
            const key = message.blocks[i]?.spec.key ?? "";
            const [old, now] = [before.ledgers.get(key), shard.ledgers.get(key)];
            if (!old || !now || old.lifeEnd <= reply.now) continue;
            assert.equal(now.version, old.version + (status === "ok" ? 1 : 0), "SH4");
            assert.ok(now.fence >= old.fence, "SH4");
          }
        }),
      RUNS,
    );
    expect(found).toBe("");
  });

  test("SH1, SH2: what is refused changes nothing; an atomic message is granted in all or in none", () => {
    const found = counterexample(
      seeds,
      (seed) =>
        play(seed, true, ({ before, shard, reply, message }) => {
          if (reply.status !== "ok") {
            for (const [key, ledger] of shard.ledgers) {
              assert.deepEqual(ledger, before.ledgers.get(key), "SH1");
            }
            assert.deepEqual(shard.meta, before.meta, "SH1");
          }
          if (!message.atomic || !reply.blocks.some(({ grant: units }) => units > 0)) return;
          for (const [i, { status, grant: units }] of reply.blocks.entries()) {
            const block = message.blocks[i];
            const record = block && shard.ledgers.get(block.spec.key)?.records.get(block.holder);
            assert.ok(block && record && status === "ok", "SH2");
            const lacking = Math.max(0, block.want - (outOf(record) - units));
            assert.ok(units >= Math.min(block.need, lacking), "SH2");
          }
        }),
      RUNS,
    );
    expect(found).toBe("");
  });

  test("WT2, WT3, WT4: whoever could be served by what came is woken, and nobody where nothing came", () => {
    let came = 0;
    const found = counterexample(
      seeds,
      (seed) => play(seed, true, (heard) => void (came += checkHints(heard))),
      RUNS,
    );
    expect(found).toBe("");
    expect(came).toBeGreaterThan(0);
  });

  test("OF1: a grant never makes a balance negative", () => {
    const found = counterexample(
      seeds,
      (seed) =>
        play(seed, true, ({ reply, message }) => {
          for (const [i, { grant: units, view, toMs }] of reply.blocks.entries()) {
            const { spec } = message.blocks[i] ?? { spec: aLedgerSpec() };
            if (units === 0) continue;
            if (toMs === 0) assert.ok(view.available >= 0, "OF1");
            if (spec.kind === "rate") assert.ok(toMs <= 501, "OF3: booked too far ahead");
          }
        }),
      RUNS,
    );
    expect(found).toBe("");
  });

  test("SL3, SH5: any message heard again charges nothing, and grants nothing", () => {
    const found = counterexample(
      seeds,
      (seed) => {
        const said: SyncMessage[] = [];
        play(seed, false, ({ shard, message, reply, now, historyId }, rng) => {
          if (reply.status === "ok") said.push(message);
          const old = said.length > 0 ? rng.pick(said.slice(-6)) : message;
          const views = read(shard, Array.from(shard.ledgers.keys()), now);
          const again = sync(shard, old, { now, historyId }).reply;
          assert.deepEqual(read(shard, Array.from(shard.ledgers.keys()), now), views, "SL3");
          assert.ok(
            again.blocks.every(({ grant: units, status }) => units === 0 && status !== "ok"),
            "SH5",
          );
        });
      },
      RUNS,
    );
    expect(found).toBe("");
  });
});

describe("for every family of periods", () => {
  const step = fc.record({
    period: fc.nat({ max: 3 }),
    do: fc.constantFrom("ask" as const, "spend" as const, "return" as const, "beyond" as const),
    units: fc.nat({ max: 90 }),
  });
  const aFamily = fc.record({
    capacity: fc.nat({ max: 130 }),
    overdraft: fc.constantFrom(0, 30),
    rollover: fc.constantFrom(0, 25, 400),
    carryDebt: fc.boolean(),
  });
  const PERIOD_MS = 100_000;

  test("FM1: a shard carries what ledgers that know each other do", () => {
    const steps = fc.array(step, { minLength: 1, maxLength: 40 });
    const found = counterexample(
      fc.tuple(aFamily, steps),
      ([parts, play2]) => {
        const specs = [0, 1, 2, 3].map((n): LedgerSpec => {
          const span = { start: (n + 1) * PERIOD_MS, end: (n + 2) * PERIOD_MS };
          return aLedgerSpec({ ...parts, ...span, key: `f\0${n}`, family: "f" });
        });
        const player = playShard();
        player.now = 9 * PERIOD_MS; // all have begun, so that what is carried counts
        const ledgers: Ledger[] = [];
        const totals = specs.map((spec) => ({ ...aBlock(spec) }));
        for (const [n, spec] of specs.entries()) {
          ledgers.push(createLedger(spec, ledgers[n - 1], 0));
          player.say({ spec, holder: leaseId(n + 1) });
        }
        for (const { period, do: what, units } of play2) {
          const [ledger, total, spec] = [ledgers[period], totals[period], specs[period]];
          if (!ledger || !total || !spec) throw new Error("a period");
          const out = total.granted + total.beyond - total.spent - total.returned;
          const some = Math.min(units, out);
          if (what === "spend") Object.assign(total, { spent: total.spent + some });
          if (what === "return") Object.assign(total, { returned: total.returned + some });
          if (what === "beyond") {
            const [spent, beyond] = [total.spent + units, total.beyond + units];
            Object.assign(total, { spent, beyond, overage: total.overage + units });
          }
          settle(ledger, { ...total, need: 0 }, 0);
          const mayAsk = what === "ask" && parts.rollover === 0; // (OF2)
          const need = mayAsk && !lacks(ledger, units) ? units : 0;
          grant(ledger, need);
          const { spec: _, need: __, close: ___, ...said } = total;
          const stillOut = total.granted + total.beyond - total.spent - total.returned;
          const reply = player.say({
            ...said,
            spec,
            holder: leaseId(period + 1),
            want: stillOut + need,
            need,
          });
          assert.equal(reply.grant, need);
          total.granted += need;
          for (const [n, { spec: one }] of ledgers.entries()) {
            const again = player.say({
              ...said,
              ...totals[n],
              close: 0,
              need: 0,
              spec: one,
              holder: leaseId(n + 1),
            });
            assert.deepEqual(again.view, viewOf(ledgers[n] ?? ledger), `FM1: period ${n}`);
          }
        }
      },
      { numRuns: 5 * RUNS.numRuns },
    );
    expect(found).toBe("");
  });
});
