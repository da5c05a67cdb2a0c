import { describe, expect, test } from "vitest";
import type { LedgerSpec } from "../../../../src/core/lease/ledger.ts";
import type { BlockReply, SyncBlock } from "../../../../src/core/lease/message.ts";
import { reset } from "../../../../src/core/lease/operate.ts";
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
  const reply = (n: number, said: Partial<SyncBlock> = {}): BlockReply => {
    player.now = Math.max(player.now, n * PERIOD_MS);
    return player.say({ holder: leaseId(n + 1), spec: period(n, parts), ...said });
  };
  return {
    player,
    family: () => player.shard.families.get(FAMILY),
    reply,
    at: (n: number, said?: Partial<SyncBlock>) => reply(n, said).view,
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

  describe("after a loss", () => {
    const debtor = { spent: 260, beyond: 260, overage: 260 };
    type Periods = ReturnType<typeof playPeriods>;
    type Heard = Pick<BlockReply, "fence" | "version" | "used" | "carried">;
    const witnessOf = ({ fence, version, used, carried }: Heard) => ({
      witness: { fence, version, used, carried },
    });
    const lose = ({ player }: Periods): void => {
      player.shard.ledgers.clear();
      player.shard.families.clear();
      player.shard.meta = undefined;
      player.now += 1;
    };

    test.each([
      ["FM4: debt that was carried into the period is owed again", { carryDebt: true }, 260, -60],
      ["FM4: so is what was left over there again", { rollover: 500 }, 10, 190],
      ["FM4: nothing comes of what had left nothing", { rollover: 500 }, 100, 100],
    ])("%s", (_, parts, spent, available) => {
      const periods = playPeriods(parts);
      periods.at(0, { spent, beyond: spent, overage: spent });
      const heard = periods.reply(1);
      expect(heard.view.available).toBe(available);
      lose(periods);
      expect(periods.at(1, witnessOf(heard))).toEqual(heard.view);
      expect(periods.at(1)).toEqual(heard.view);
      // And so do the periods that follow, which hear of it from this one.
      expect(periods.at(2)).toMatchObject({ available: available + 100 });
    });

    test("FM4: of several witnesses the one heard latest by the store's own order holds", () => {
      const periods = playPeriods({ carryDebt: true });
      periods.at(0, debtor);
      const first = periods.reply(1);
      periods.at(0, { ...debtor, spent: 300, beyond: 300, overage: 300 });
      const second = periods.reply(1);
      expect([first.carried, second.carried]).toEqual([-160, -200]);
      const later = { ...witnessOf(second), holder: leaseId(9) };
      lose(periods);
      periods.at(1, later);
      expect(periods.at(1, witnessOf(first)).available).toBe(-100);
      const owedMore = witnessOf({ ...first, carried: -300 }); // and has been paid since
      expect(periods.at(1, { ...owedMore, holder: leaseId(7) }).available).toBe(-100);
      lose(periods);
      periods.at(1, witnessOf(first));
      expect(periods.at(1, { ...later, holder: leaseId(8) }).available).toBe(-100);
    });

    test("FM4: where two heard the same version the less holds", () => {
      const periods = playPeriods({ carryDebt: true });
      periods.at(0, debtor);
      const heard = witnessOf(periods.reply(1));
      const more = { witness: { ...heard.witness, carried: -170 }, holder: leaseId(9) };
      lose(periods);
      periods.at(1, heard);
      expect(periods.at(1, more).available).toBe(-70);
      expect(periods.at(1, { ...heard, holder: leaseId(8) }).available).toBe(-70);
    });

    test("FM4: a period before that comes back without its debtor makes the debt no less, and may make it more", () => {
      const periods = playPeriods({ carryDebt: true });
      periods.at(0, debtor);
      const before = witnessOf(periods.reply(0, { holder: leaseId(7) }));
      const heard = witnessOf(periods.reply(1));
      lose(periods);
      periods.at(1, heard);
      periods.at(0, { ...before, holder: leaseId(7) });
      expect(periods.at(1).available).toBe(-60);
      periods.at(0, { holder: leaseId(7), spent: 300, beyond: 300, overage: 300 });
      expect(periods.at(1).available).toBe(-200);
    });

    test("FM4: a period before that was rolled back to when it was unused leaves no more than was heard", () => {
      const periods = playPeriods({ rollover: 500 });
      periods.at(0);
      const { ledgers, families } = structuredClone(periods.player.shard);
      periods.at(0, { spent: 70, beyond: 70 });
      const heard = witnessOf(periods.reply(1));
      periods.player.shard.ledgers.clear();
      periods.player.shard.families.clear();
      for (const [key, ledger] of ledgers) periods.player.shard.ledgers.set(key, ledger);
      for (const [key, family] of families) periods.player.shard.families.set(key, family);
      periods.player.historyId = "h2";
      expect(periods.at(1, { ...heard, holder: leaseId(9) }).available).toBe(130);
    });

    test("FM4: a failover that lost nothing changes nothing, and what settles late still counts", () => {
      const periods = playPeriods({ rollover: 500 });
      periods.at(0, { want: 100, need: 100 });
      const heard = witnessOf(periods.reply(1));
      periods.player.historyId = "h2";
      expect(periods.at(1, heard).available).toBe(100);
      periods.at(0, { granted: 100, returned: 60, spent: 40 });
      expect(periods.at(1, heard).available).toBe(160);
    });

    test("FM4, LG5: what may not be carried any more by the numbers of today is not", () => {
      const periods = playPeriods({ carryDebt: true });
      periods.at(0, debtor);
      const heard = witnessOf(periods.reply(1));
      lose(periods);
      const spec = period(1, { rollover: 1, version: 2 });
      expect(periods.at(1, { ...heard, spec }).available).toBe(100);
    });

    test("FM4, OP2: a reset forgives what a lost history says was owed, too", () => {
      const periods = playPeriods({ carryDebt: true });
      periods.at(0, debtor);
      const heard = witnessOf(periods.reply(1));
      lose(periods);
      periods.at(1, heard);
      reset(periods.player.shard, period(1).key, periods.player.now);
      expect(periods.at(1).available).toBe(100);
    });
  });

  test("a bucket that nobody has used for 64 periods begins anew", () => {
    const { at } = playPeriods({ rollover: 50 });
    at(0, { lifeMs: 1 });
    expect(at(64, { lifeMs: 1 }).available).toBe(150);
    expect(at(64 + 66).available).toBe(100);
  });
});
