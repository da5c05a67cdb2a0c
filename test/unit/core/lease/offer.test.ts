import { describe, expect, test } from "vitest";
import { MAX_UNITS } from "../../../../src/core/units.ts";
import { aLedgerSpec, aRateSpec } from "../../../support/ledgers.ts";
import { aSyncBlock, aSyncMessage, leaseId, playShard } from "../../../support/shard-player.ts";

const other = { holder: leaseId(2) };

describe("what is offered of a budget", () => {
  const spec = aLedgerSpec({ capacity: 10_000 });

  test("in plenty: all that is wanted, and a horizon until one percent of what is left is used", () => {
    const { say } = playShard(spec);
    expect(say({ want: 200, demand: 20, mean: 1 })).toMatchObject({ grant: 200, horizonMs: 5_000 });
    expect(say({ ...other, want: 20, demand: 0 })).toMatchObject({ grant: 20 });
    expect(say({ granted: 200, demand: 1, mean: 1 }).horizonMs).toBe(60_000);
  });

  test("near the end: a share, by demand, of half of what is left", () => {
    const { say } = playShard(spec);
    say({ ...other, demand: 3_000, mean: 1 });
    const mine = say({ want: 8_000, demand: 9_000, mean: 1 });
    expect(mine).toMatchObject({ horizonMs: 416, grant: 3_750 });
  });

  test("at the very end: exactly what waits, and the rest where it fits", () => {
    const { say } = playShard(aLedgerSpec({ capacity: 10 }));
    expect(say({ want: 9, need: 0, demand: 5, mean: 4 })).toMatchObject({ grant: 0, horizonMs: 0 });
    expect(say({ want: 9, need: 4, demand: 5, mean: 4 }).grant).toBe(9);
    expect(say({ ...other, want: 9, need: 1, demand: 5, mean: 4 }).grant).toBe(1);
  });

  test("OF1: all of a need or nothing", () => {
    const { say } = playShard(aLedgerSpec({ capacity: 10 }));
    expect(say({ want: 11, need: 11 }).grant).toBe(0);
    expect(say({ want: 11, need: 10 }).grant).toBe(10);
    expect(say({ ...other, want: 1, need: 1 }).grant).toBe(0);
  });

  test("asks are by level: what is out already is not granted again", () => {
    const { say } = playShard(spec);
    say({ want: 50, need: 50 });
    expect(say({ want: 50, need: 50 })).toMatchObject({ grant: 0, granted: 50 });
  });

  test("OF1: who has no room left in its totals is refused, with all that it asks for together", () => {
    const { send } = playShard(spec);
    const plenty = aLedgerSpec({ key: "acme/other", capacity: MAX_UNITS });
    const full = { spec: aLedgerSpec({ kind: "slots", capacity: MAX_UNITS }), beyond: MAX_UNITS };
    const asks = { want: MAX_UNITS, need: 5 };
    const grants = send(
      aSyncMessage([
        aSyncBlock({ ...full, returned: MAX_UNITS, ...asks }),
        aSyncBlock({ spec: plenty, ...other, want: 5, need: 5 }),
      ]),
    ).blocks.map(({ grant }) => grant);
    expect(grants).toEqual([0, 0]);
  });

  test("the overdraft is there like units of the limit", () => {
    const { say } = playShard(aLedgerSpec({ capacity: 10, overdraft: 5 }));
    expect(say({ want: 16, need: 16 }).grant).toBe(0);
    expect(say({ want: 15, need: 15 }).grant).toBe(15);
  });

  test("OF2: who closes is granted nothing", () => {
    const { say } = playShard(spec);
    expect(say({ want: 50, close: 1 })).toMatchObject({ grant: 0, horizonMs: -1 });
  });

  test("OF2: what may be carried into the next period is not granted after the end", () => {
    const family = "acme\0tokens";
    const parts = { family, start: 0, end: 20_000, capacity: 100 };
    const of = (rollover: number) =>
      aLedgerSpec({ ...parts, key: `${family}\0${rollover}`, rollover, carryDebt: true });
    const player = playShard();
    player.say({ spec: of(10) });
    player.say({ ...other, spec: of(0) });
    player.now = 20_000;
    expect(player.say({ spec: of(10), want: 10, need: 10 }).grant).toBe(0);
    expect(player.say({ ...other, spec: of(0), want: 10, need: 10 }).grant).toBe(10);
  });

  test("OF2: what the period before leaves is granted from the start on, and not before", () => {
    const family = "acme\0tokens";
    const parts = { family, capacity: 100, rollover: 50 };
    const first = aLedgerSpec({ ...parts, key: `${family}\x001`, start: 0, end: 20_000 });
    const next = aLedgerSpec({ ...parts, key: `${family}\x002`, start: 20_000, end: 40_000 });
    const player = playShard();
    player.say({ spec: first });
    expect(player.say({ ...other, spec: next, want: 120, need: 120 }).grant).toBe(0);
    player.now = 20_000;
    expect(player.say({ ...other, spec: next, want: 120, need: 120 }).grant).toBe(120);
  });
});

describe("what is offered of a rate", () => {
  const spec = aRateSpec({ units: 100, everyMs: 1_000, burst: 100 });

  test("what is there is granted at once", () => {
    const { say } = playShard(spec);
    expect(say({ want: 100, need: 1 })).toMatchObject({ grant: 100, fromMs: 0, toMs: 0 });
  });

  test("OF3: what is not there yet is booked, half a second ahead at most, for when it accrues", () => {
    const player = playShard(spec);
    player.say({ want: 60, need: 60 });
    player.say({ granted: 60, spent: 60, want: 40, need: 40 });
    player.say({ granted: 100, spent: 100, demand: 10 });
    const booked = player.say({ granted: 100, spent: 100, want: 30, need: 30, demand: 10 });
    expect(booked).toMatchObject({ grant: 30, fromMs: 0, toMs: 300 });
    const after = player.say({ ...other, want: 30, need: 21, demand: 10 });
    expect(after.grant).toBe(0);
    const rest = player.say({ ...other, want: 20, need: 20, demand: 10 });
    expect(rest).toMatchObject({ grant: 20, fromMs: 300, toMs: 500 });
  });

  test("OF3: what is out never exceeds the burst, so that refill goes on under a booking", () => {
    const player = playShard(aRateSpec({ units: 100, everyMs: 1_000, burst: 40 }));
    player.say({ want: 30, need: 30 });
    player.now += 1_000;
    expect(player.say({ ...other, want: 50, need: 11 }).grant).toBe(0);
    expect(player.say({ ...other, want: 10, need: 10 }).grant).toBe(10);
  });

  test("nothing is refilled under what is out idle, nor for a clock that went back", () => {
    const player = playShard(spec);
    player.say({ want: 100, need: 100 });
    player.now += 10_000;
    expect(player.say({ granted: 100 }).view.available).toBe(0);
    player.say({ granted: 100, spent: 100 });
    player.now += 100;
    expect(player.say({ granted: 100, spent: 100 }).view.available).toBe(10);
    player.now -= 1_000;
    expect(player.say({ granted: 100, spent: 100 }).view.available).toBe(10);
    player.now += 100;
    expect(player.say({ granted: 100, spent: 100 }).view.available).toBe(20);
  });

  test("a rate that never refills books nothing", () => {
    const { say } = playShard(aRateSpec({ units: 0, everyMs: 1_000, burst: 10 }));
    expect(say({ want: 10, need: 10 }).grant).toBe(10);
    expect(say({ granted: 10, spent: 10, want: 1, need: 1 })).toMatchObject({ grant: 0, toMs: 0 });
  });
});

describe("waiting", () => {
  const spec = aLedgerSpec({ capacity: 100 });
  const wait = { waitMs: 5_000 };

  test("WT1, WT2: units that come back wake in order as many as they serve, each once, and say what is there", () => {
    const { say, hints } = playShard(spec);
    say({ want: 100, need: 100 });
    for (const [n, need] of [
      [2, 30],
      [3, 80],
      [4, 20],
    ] as const) {
      say({ holder: leaseId(n), want: need, need }, wait);
    }
    hints();
    say({ granted: 100, spent: 40, returned: 60 });
    expect(hints()).toEqual([
      { kind: "wake", key: spec.key, holder: leaseId(2), units: 60 },
      { kind: "wake", key: spec.key, holder: leaseId(4), units: 30 },
    ]);
    expect(say({ ...other, want: 60, need: 60 }).grant).toBe(60);
    expect(hints()).toEqual([]);
  });

  test("WT3: units that serve nobody who waits are told to all, but for crumbs and to who brings them", () => {
    const { say, hints } = playShard(aLedgerSpec({ capacity: 10_000 }));
    say({ want: 10_000, need: 10_000 });
    say({ ...other, want: 300, need: 300 }, wait);
    hints();
    say({ granted: 10_000, returned: 4 });
    expect(hints()).toEqual([]);
    say({ granted: 10_000, returned: 104 });
    expect(hints()).toEqual([{ kind: "wake", key: spec.key, holder: "", units: 104 }]);
    expect(say({ ...other, want: 104, need: 104 }, wait).grant).toBe(104);
    say({ want: 10_000, need: 200, granted: 10_000, returned: 104 }, wait);
    hints();
    say({ granted: 10_000, returned: 150 });
    expect(hints()).toEqual([]);
  });

  test("WT1: who stopped waiting, or never wanted to be woken, is not", () => {
    const player = playShard(spec);
    player.say({ want: 100, need: 100 });
    player.say({ ...other, want: 10, need: 10 }, wait);
    player.say({ holder: leaseId(3), want: 10, need: 10 });
    player.hints();
    player.now += 5_000;
    player.say({ granted: 100, returned: 100 });
    expect(player.hints()).toEqual([]);
  });

  test("who has units is asked for what idles, and for all that is free when asked again soon", () => {
    const player = playShard(spec);
    player.say({ want: 100, need: 100 });
    const ask = (): unknown => {
      player.say({ ...other, want: 10, need: 10 });
      return player.hints().map((hint) => (hint.kind === "recall" ? hint.level : hint.kind));
    };
    expect(ask()).toEqual([1]);
    expect(ask()).toEqual([2]);
    expect(ask()).toEqual([]);
    player.now += 25;
    expect(ask()).toEqual([2]);
    player.now += 200;
    expect(ask()).toEqual([1]);
  });

  test("nobody is asked where nothing is out", () => {
    const { say, hints } = playShard(spec);
    say({ want: 101, need: 101 });
    expect(hints()).toEqual([]);
  });
});
