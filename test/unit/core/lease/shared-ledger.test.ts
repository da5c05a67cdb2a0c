import { describe, expect, test } from "vitest";
import { MAX_UNITS } from "../../../../src/core/units.ts";
import { aLedgerSpec, aRateSpec } from "../../../support/ledgers.ts";
import { leaseId, playShard, type ShardPlayer } from "../../../support/shard-player.ts";

const other = { holder: leaseId(2) };
/** Longer than a lease that is not renewed. */
const LAPSED = 11_001;
const HOUR = 3_600_000;
const recordOf = ({ shard }: ShardPlayer, holder = leaseId(1)) =>
  Array.from(shard.ledgers.values())[0]?.records.get(holder);

describe("the totals of a lease", () => {
  test("SL3: an older message than was heard lowers nothing", () => {
    const { say } = playShard();
    say({ want: 50 });
    say({ granted: 50, spent: 30, returned: 10 });
    const late = say({ granted: 50, spent: 20, returned: 5 });
    expect(late.view).toMatchObject({ spent: 30, out: 10, available: 60 });
  });

  test("SL1, SL2: what a holder spends beyond its grants is out of nobody's", () => {
    const { say } = playShard();
    say({ want: 50 });
    const { view } = say({ granted: 50, spent: 70, beyond: 20, overage: 20 });
    expect(view).toMatchObject({ spent: 70, out: 0, available: 30, debt: 0 });
  });

  test("LG4: overage is debt until units come free, from whomever", () => {
    const { say } = playShard();
    say({ want: 60 });
    say({ ...other, want: 40 });
    const owing = say({ granted: 60, spent: 80, beyond: 20, overage: 20 });
    expect(owing.view).toMatchObject({ available: -20, debt: 20 });
    const paid = say({ ...other, granted: 40, returned: 40 });
    expect(paid.view).toMatchObject({ available: 20, debt: 0 });
  });

  test("a slot is out while it is held, also one beyond the maximum", () => {
    const { say } = playShard(aLedgerSpec({ kind: "slots", capacity: 2 }));
    say({ want: 2, need: 2 });
    expect(say({ granted: 2, beyond: 3 }).view).toMatchObject({ out: 5, available: -3, spent: 0 });
    expect(say({ granted: 2, beyond: 3, returned: 4 }).view).toMatchObject({ available: 1 });
  });

  test("S13: what a rate refunds raises its level, up to the burst, and never what is out", () => {
    const { say } = playShard(aRateSpec({ units: 1, everyMs: 1e9, burst: 100 }));
    say({ want: 60 });
    expect(say({ granted: 60, spent: 60 }).view).toMatchObject({ available: 40, out: 0 });
    const some = say({ granted: 60, spent: 60, refunded: 25 });
    expect(some.view).toMatchObject({ available: 65, out: 0 });
    const more = say({ granted: 60, spent: 70, beyond: 10, refunded: 60 });
    expect(more.view).toMatchObject({ available: 90, out: 0 });
  });

  test("a higher version's numbers hold, a lower one's do not", () => {
    const { say } = playShard();
    say({ want: 50 });
    const raised = aLedgerSpec({ version: 3, capacity: 200 });
    expect(say({ granted: 50, spec: raised }).view).toMatchObject({ limit: 200, available: 150 });
    const lagging = aLedgerSpec({ version: 2, capacity: 10 });
    expect(say({ granted: 50, spec: lagging }).view.limit).toBe(200);
  });
});

describe("a holder that is silent for too long", () => {
  test("SL4: of a budget: what it had out is in quarantine, however much time passes", () => {
    const player = playShard();
    player.say({ want: 60 });
    player.now += LAPSED;
    const { view } = player.say({ ...other, want: 100 });
    expect(view).toMatchObject({ out: 40, quarantined: 60, available: 0 });
    player.now += 100 * HOUR;
    expect(player.say({ ...other, granted: 40 }).view.quarantined).toBe(60);
  });

  test("SL4: until it is heard of again", () => {
    const player = playShard();
    player.say({ want: 60 });
    player.now += LAPSED;
    player.say(other);
    const { view } = player.say({ granted: 60, spent: 50 });
    expect(view).toMatchObject({ out: 10, quarantined: 0, spent: 50, available: 40 });
  });

  test("SL5: of slots: they are free, and what it returns later adds nothing", () => {
    const player = playShard(aLedgerSpec({ kind: "slots", capacity: 3 }));
    player.say({ want: 3, need: 3 });
    player.now += LAPSED;
    expect(player.say({ ...other, want: 3, need: 3 })).toMatchObject({ grant: 3 });
    const back = player.say({ granted: 3, returned: 3 });
    expect(back.view).toMatchObject({ out: 3, available: 0 });
  });

  test("SL5: of a rate: what it returns later has been refilled since", () => {
    const player = playShard(aRateSpec({ units: 1, everyMs: 1e9, burst: 100 }));
    player.say({ want: 60, need: 60 });
    player.now += LAPSED;
    expect(player.say(other).view).toMatchObject({ out: 0, available: 40 });
    expect(player.say({ granted: 60, returned: 60 }).view.available).toBe(40);
  });

  test("SL5: a grant that never reached it is not revived", () => {
    const player = playShard(aLedgerSpec({ kind: "slots", capacity: 3 }));
    player.say({ want: 3, need: 3 });
    player.now += LAPSED;
    player.say(other);
    expect(player.say({ granted: 0, want: 0 })).toMatchObject({ granted: 0, view: { out: 0 } });
  });

  test("slots stay taken until the reservations that are open may have ended", () => {
    const player = playShard(aLedgerSpec({ kind: "slots", capacity: 3 }));
    player.say({ want: 3, need: 3, openMs: 60_000 });
    player.now += LAPSED;
    expect(player.say({ ...other, want: 1, need: 1 }).grant).toBe(0);
    player.now += 60_000 + 1_000 - LAPSED;
    expect(player.say({ ...other, want: 1, need: 1 }).grant).toBe(1);
  });

  test("a lease renewed while the store's clock was set back is no shorter for that", () => {
    const player = playShard(aLedgerSpec({ kind: "slots", capacity: 3 }));
    player.now += 100_000;
    player.say({ want: 3, need: 3 });
    player.now -= 40_000;
    player.say({ granted: 3, want: 3 });
    player.now += 40_000 + 10_999;
    expect(player.say(other).view.out).toBe(3);
    player.now += 1;
    expect(player.say(other).view.out).toBe(0);
  });

  test("SL6: lapses only after learning: the clock may be another one", () => {
    const player = playShard(aLedgerSpec({ kind: "slots", capacity: 3 }));
    player.say({ want: 3, need: 3 });
    player.historyId = "h2";
    player.now += LAPSED;
    expect(player.say(other).view.out).toBe(3);
    player.now += 12_000;
    expect(player.say(other).view.out).toBe(0);
  });

  test("at most eight are cleared away by one message, the oldest first", () => {
    const player = playShard(aLedgerSpec({ kind: "slots", capacity: 20 }));
    for (let n = 1; n <= 10; n++) {
      player.now += 1;
      player.say({ holder: leaseId(n), want: 1, need: 1 });
    }
    player.now += LAPSED;
    expect(player.say({ holder: leaseId(99) }).view.out).toBe(2);
    expect(recordOf(player, leaseId(9))?.state).toBe("live");
    expect(player.say({ holder: leaseId(99) }).view.out).toBe(0);
  });
});

describe("a lease that is closed", () => {
  test("SL7: stays open while anything is out", () => {
    const player = playShard();
    player.say({ want: 60 });
    player.say({ granted: 60, close: 1 });
    expect(recordOf(player)?.state).toBe("live");
    player.say({ granted: 60, spent: 10, returned: 50, close: 1 });
    expect(recordOf(player)?.state).toBe("closed");
  });

  test("SL7: is opened again by who still has totals to tell", () => {
    const player = playShard();
    player.say({ want: 60 });
    player.say({ granted: 60, returned: 60, close: 1 });
    const { view } = player.say({ granted: 60, returned: 60, beyond: 5, spent: 5 });
    expect(view).toMatchObject({ spent: 5, out: 0 });
    expect(recordOf(player)?.state).toBe("live");
  });

  test("SL4: as retired, has what its totals do not prove in quarantine", () => {
    const { say } = playShard();
    say({ want: 60 });
    const { view } = say({ granted: 60, spent: 15, close: 2 });
    expect(view).toMatchObject({ spent: 15, out: 0, quarantined: 45, available: 40 });
  });

  test("SL2: is folded after an hour: its spend stays, and its repetition is refused", () => {
    const player = playShard();
    player.say({ want: 60 });
    player.say({ granted: 60, spent: 60, close: 1 });
    player.now += HOUR;
    expect(player.say({ holder: leaseId(3, 5_000) }).view.spent).toBe(60);
    expect(recordOf(player)).toBeUndefined();
    expect(() => player.say({ granted: 60, spent: 60 })).toThrow("stale");
    expect(player.say({ ...other, beyond: 1, spent: 1 }).status).toBe("ok");
  });

  test("an old lease that a loss has taken is heard while the store learns, though a younger one is folded", () => {
    const player = playShard();
    player.say({ holder: leaseId(7, 9_000), want: 10 });
    player.say({ holder: leaseId(7, 9_000), granted: 10, returned: 10, close: 1 });
    player.now += HOUR;
    const { fence, version } = player.say(other);
    player.historyId = "h2";
    const lost = { holder: leaseId(1), granted: 30, spent: 30 };
    const witness = { fence, version, used: 30, carried: 0 };
    const { view } = player.say({ ...lost, witness });
    expect(view.spent).toBe(30);
  });

  test("SL8: does not count among those who ask, nor among the holders", () => {
    const { say } = playShard(aLedgerSpec({ capacity: 1e6 }));
    say({ want: 10, demand: 50, mean: 4 });
    expect(say({ ...other, demand: 10 }).holders).toBe(2);
    say({ granted: 10, returned: 10, demand: 50, close: 1 });
    expect(say({ ...other, demand: 10 }).holders).toBe(1);
  });
});

describe("a rate after a loss", () => {
  test("begins with a debt of half a second, and little out at once until learning would have ended", () => {
    const player = playShard(aRateSpec({ units: 100, everyMs: 1_000, burst: 500 }));
    player.say({ want: 10 });
    player.historyId = "h2";
    const cautious = player.say({ granted: 10, want: 500 });
    expect(cautious).toMatchObject({ learningMs: 0, grant: 0 });
    expect(cautious.view.available).toBe(-50);
    player.now += 11_999;
    expect(player.say({ granted: 10, want: 500 }).view.out).toBe(50);
    player.now += 100_000;
    expect(player.say({ granted: 50, want: 500 }).view.out).toBe(500);
  });

  test("what a lost record tells of the past neither raises nor lowers the level", () => {
    const player = playShard(aRateSpec({ units: 100, everyMs: 1_000, burst: 500 }));
    const past = { granted: 10_000, returned: 4_000, spent: 8_000, beyond: 2_000 };
    const witness = { fence: 1, version: 9, used: 0, carried: 0 };
    const { view } = player.say({ ...past, witness });
    expect(view).toMatchObject({ available: -50, out: 0 });
  });

  test("of the largest amounts stays exact", () => {
    const player = playShard(aRateSpec({ units: MAX_UNITS, everyMs: 2 ** 39, burst: MAX_UNITS }));
    player.say({ want: MAX_UNITS, need: MAX_UNITS });
    player.now += 3;
    const { view } = player.say({ granted: MAX_UNITS, spent: MAX_UNITS });
    player.now += 10;
    const later = player.say({ granted: MAX_UNITS, spent: MAX_UNITS });
    const exact = (BigInt(MAX_UNITS) * 10n) / 2n ** 39n;
    expect(later.view.available - view.available).toBe(Number(exact));
  });
});
