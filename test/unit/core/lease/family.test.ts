import { describe, expect, test } from "vitest";
import type { LedgerSpec } from "../../../../src/core/lease/ledger.ts";
import type { SyncBlock } from "../../../../src/core/lease/message.ts";
import { aLedgerSpec } from "../../../support/ledgers.ts";
import { aSyncBlock, aSyncMessage, leaseId, playShard } from "../../../support/shard-player.ts";

const PERIOD_MS = 20_000;
const FAMILY = "acme\0tokens";

/** The n-th period of a budget of 100. */
const period = (n: number, parts: Partial<LedgerSpec> = {}): LedgerSpec =>
  aLedgerSpec({
    key: `${FAMILY}\0${n}`,
    family: FAMILY,
    start: n * PERIOD_MS,
    end: (n + 1) * PERIOD_MS,
    ...parts,
  });

/** One holder that has a lease of each period. */
function playPeriods(parts: Partial<LedgerSpec>) {
  const player = playShard();
  return {
    player,
    family: () => player.shard.families.get(FAMILY),
    at(n: number, said: Partial<SyncBlock> = {}) {
      player.now = Math.max(player.now, n * PERIOD_MS);
      return player.say({ holder: leaseId(n + 1), spec: period(n, parts), ...said }).view;
    },
  };
}

describe("what passes into the next period", () => {
  test("FM1: unused units up to the rollover, while they are out they are not", () => {
    const { at } = playPeriods({ rollover: 30 });
    at(0, { want: 90, need: 90 });
    expect(at(1)).toMatchObject({ limit: 110, available: 110 });
    at(0, { granted: 90, spent: 50, returned: 40 });
    expect(at(1)).toMatchObject({ limit: 130, available: 130 });
  });

  test("FM1: debt, where it is carried; what comes free in the period before pays it", () => {
    const { at } = playPeriods({ carryDebt: true });
    at(0, { want: 100, need: 100 });
    at(0, { granted: 100, spent: 90, beyond: 20, overage: 20 });
    expect(at(1)).toMatchObject({ available: 80, spent: 20, debt: 0 });
    at(0, { granted: 100, spent: 90, returned: 30, beyond: 20, overage: 20 });
    expect(at(1)).toMatchObject({ available: 100, spent: 0 });
  });

  test("S23: debt ends with its period where it is not carried", () => {
    const { at } = playPeriods({ rollover: 10 });
    at(0, { spent: 150, beyond: 150, overage: 150 });
    expect(at(1)).toMatchObject({ available: 100, debt: 0 });
  });

  test("FM1: a late settlement is felt through the periods in between", () => {
    const { at } = playPeriods({ rollover: 500 });
    at(0, { want: 100, need: 100 });
    at(1);
    expect(at(2).available).toBe(200);
    at(0, { granted: 100, returned: 60, spent: 40 });
    expect(at(2).available).toBe(260);
    expect(at(1).available).toBe(160);
  });

  test("FM1: of periods in which nobody came their units are left, and pay debt", () => {
    const { at } = playPeriods({ carryDebt: true, rollover: 50 });
    at(0, { spent: 350, beyond: 350, overage: 350 });
    expect(at(2).available).toBe(-50);
    expect(at(5).available).toBe(150);
  });

  test("FM1: a period that was lost and comes back late takes its place between the others", () => {
    const { at, player } = playPeriods({ rollover: 500 });
    at(0, { want: 40, need: 40 });
    at(2);
    player.say({ holder: leaseId(2), spec: period(1, { rollover: 500 }), spent: 20, beyond: 20 });
    expect(at(2).available).toBe(100 + 60 + 80);
  });

  test("FM1: periods that are opened by one message know each other", () => {
    const { player } = playPeriods({});
    const blocks = [0, 1, 2].map((n) => {
      return aSyncBlock({ holder: leaseId(n + 1), spec: period(n, { rollover: 500 }) });
    });
    player.now = 3 * PERIOD_MS;
    const { blocks: answers } = player.send(aSyncMessage(blocks));
    expect(answers.map(({ view }) => view.available)).toEqual([100, 200, 300]);
    expect(player.shard.families.get(FAMILY)?.members).toHaveLength(3);
  });

  test("FM1: an edit of the rollover holds for what is carried already", () => {
    const { at, player } = playPeriods({ rollover: 10 });
    at(0);
    expect(at(1).available).toBe(110);
    const spec = period(1, { rollover: 60, version: 2 });
    expect(player.say({ holder: leaseId(2), spec }).view.available).toBe(160);
  });

  test("FM2: who can be settled no more is dropped when another period begins; what it left stays", () => {
    const { at, player, family } = playPeriods({ rollover: 500 });
    at(0, { lifeMs: 1 });
    at(1, { lifeMs: 1 });
    player.now += PERIOD_MS;
    expect(at(2).available).toBe(300);
    expect(family()?.members.map(({ spec }) => spec.key)).toEqual([period(1).key, period(2).key]);
    expect(at(2).available).toBe(300);
  });

  test("FM3: of more than twelve the oldest goes on alone", () => {
    const { at, family } = playPeriods({ rollover: 5_000 });
    at(0, { want: 100, need: 100 });
    for (let n = 1; n <= 12; n++) at(n);
    expect(family()?.members).toHaveLength(12);
    expect(at(12).available).toBe(1_300 - 100);
    expect(at(0, { granted: 100, returned: 100 }).available).toBe(100);
    expect(at(12).available).toBe(1_300 - 100);
  });

  test("a bucket that nobody has used for 64 periods begins anew", () => {
    const { at } = playPeriods({ rollover: 50 });
    at(0, { lifeMs: 1 });
    expect(at(64, { lifeMs: 1 }).available).toBe(150);
    expect(at(64 + 66).available).toBe(100);
  });
});
