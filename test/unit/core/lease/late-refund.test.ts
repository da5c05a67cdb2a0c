import { describe, expect, test } from "vitest";
import { aRateSpec } from "../../../support/ledgers.ts";
import { leaseId, playShard } from "../../../support/shard-player.ts";

/** 100 units, and one more every 10 ms. */
const SPEC = aRateSpec({ units: 100, everyMs: 1_000, burst: 100 });
const other = { holder: leaseId(2) };

describe("a refund of which the store hears late", () => {
  test("S13: it goes back whole while the bucket has lacked as much all the time", () => {
    const player = playShard(SPEC);
    player.say({ want: 60 });
    player.say({ granted: 60, spent: 60 });
    player.now += 100;
    expect(player.say({ ...other, want: 5 }).view.available).toBe(45);
    const { view } = player.say({ granted: 60, spent: 60, refunded: 30 });
    expect(view).toMatchObject({ available: 75, out: 5 });
  });

  test("LR1: it overflows where the bucket was full since, whatever was taken after that", () => {
    const player = playShard(SPEC);
    player.say({ want: 60 });
    player.say({ granted: 60, spent: 60 });
    player.now += 1_000;
    expect(player.say({ ...other, want: 100 }).grant).toBe(100);
    player.say({ ...other, granted: 100, spent: 100 });
    const { view } = player.say({ granted: 60, spent: 60, refunded: 60 });
    expect(view.available).toBe(0);
  });

  test("LR1: of a bucket that was nearly full as much goes back as fitted", () => {
    const player = playShard(SPEC);
    player.say({ want: 60 });
    player.say({ granted: 60, spent: 60 });
    player.now += 500; // it lacks 10
    expect(player.say({ ...other, want: 90 }).grant).toBe(90);
    player.say({ ...other, granted: 90, spent: 90 });
    expect(player.say({ granted: 60, spent: 60, refunded: 60 }).view.available).toBe(10);
  });

  test("LR2: it may have happened while the message before was under way", () => {
    const player = playShard(SPEC);
    player.say({ want: 60 });
    player.say({ granted: 60, spent: 60 });
    player.now += 1_000;
    // Full. The second message of the first holder has left, and comes after all this.
    player.say({ ...other, want: 100 });
    player.say({ ...other, granted: 100, spent: 100 });
    player.say({ granted: 60, spent: 60 });
    expect(player.say({ granted: 60, spent: 60, refunded: 60 }).view.available).toBe(0);
  });

  test("LR2: until a message tells what was spent the bucket lacked that, too", () => {
    const player = playShard(SPEC);
    player.say({ want: 60 });
    player.now += 1_000; // full, with what is out
    player.say({ granted: 60, spent: 60 });
    expect(player.say({ granted: 60, spent: 60, refunded: 50 }).view.available).toBe(90);
  });

  test("LR3: what one refund has filled no other one fills again", () => {
    const player = playShard(SPEC);
    player.say({ want: 40 });
    player.say({ ...other, want: 40 });
    player.say({ granted: 40, spent: 40 });
    player.say({ ...other, granted: 40, spent: 40 });
    player.now += 500; // it lacks 30
    const third = { holder: leaseId(3) };
    expect(player.say({ ...third, want: 70 }).grant).toBe(70);
    player.say({ ...third, granted: 70, spent: 70 });
    expect(player.say({ granted: 40, spent: 40, refunded: 20 }).view.available).toBe(20);
    expect(player.say({ ...other, granted: 40, spent: 40, refunded: 20 }).view.available).toBe(30);
  });

  test("few lows are kept, however often the slack grows", () => {
    const player = playShard(SPEC);
    for (let spent = 1; spent <= 100; spent++)
      player.say({ want: 1, granted: spent - 1, spent: spent - 1 });
    const [ledger] = player.shard.ledgers.values();
    expect(ledger?.lows.map(({ slack }) => slack)).toEqual([0, 1, 2, 4, 8, 16, 32, 64]);
  });
});
