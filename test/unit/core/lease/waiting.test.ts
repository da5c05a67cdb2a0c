import { describe, expect, test } from "vitest";
import type { LedgerSpec } from "../../../../src/core/lease/ledger.ts";
import { reset, resolve } from "../../../../src/core/lease/operate.ts";
import { aLedgerSpec, aRateSpec } from "../../../support/ledgers.ts";
import {
  aSyncBlock,
  aSyncMessage,
  leaseId,
  playShard,
  type ShardPlayer,
} from "../../../support/shard-player.ts";

const spec = aLedgerSpec();
const WAITER = { holder: leaseId(2) };
const THIRD = { holder: leaseId(3) };
const WAIT = { waitMs: 60_000 };

const woken = (holder: string, units: number, { key }: LedgerSpec = spec): unknown => ({
  kind: "wake",
  key,
  holder,
  units,
});

/** One holder has all of it; another is refused, and wants to be woken. */
function playRefusal(of: LedgerSpec, need = 30): ShardPlayer {
  const player = playShard(of);
  player.say({ want: of.capacity, need: of.capacity });
  expect(player.say({ ...WAITER, want: need, need }, WAIT).grant).toBe(0);
  player.hints();
  return player;
}

describe("WT4: units come back", () => {
  test("with a higher limit, whoever tells of it; once, and not with a lower one", () => {
    const { say, hints } = playRefusal(spec);
    const raised = { ...spec, version: 2, capacity: 140 };
    say({ granted: 100, spec: { ...spec, version: 1, capacity: 50 } });
    say({ ...THIRD, spec: raised });
    expect(hints()).toEqual([woken(WAITER.holder, 40)]);
    say({ ...THIRD, spec: raised });
    expect(hints()).toEqual([]);
  });

  test("with a larger overdraft; what the teller is granted of it is nobody else's", () => {
    const { say, hints } = playRefusal(spec);
    expect(
      say({ ...THIRD, spec: { ...spec, version: 2, overdraft: 40 }, want: 15, need: 15 }),
    ).toMatchObject({ grant: 15 });
    expect(hints()).toEqual([woken("", 25)]);
  });

  test("with a burst that is raised", () => {
    const rate = aRateSpec({ units: 1, everyMs: 1e9, burst: 100 });
    const { say, hints } = playRefusal(rate, 40);
    say({ ...THIRD, spec: { ...rate, version: 2, capacity: 150 } });
    expect(hints()).toEqual([woken(WAITER.holder, 50)]);
  });

  test("with what a rate's reservation did not use", () => {
    const rate = aRateSpec({ units: 1, everyMs: 1e9, burst: 100 });
    const { say, hints } = playRefusal(rate, 40);
    say({ granted: 100, spent: 100 });
    say({ granted: 100, spent: 100, refunded: 60 });
    expect(hints()).toEqual([woken(WAITER.holder, 60)]);
  });

  test("not with what a rate refills", () => {
    const player = playShard(aRateSpec({ units: 100, everyMs: 10_000, burst: 100 }));
    player.say({ want: 100, need: 100 });
    player.say({ granted: 100, spent: 100 });
    expect(player.say({ ...WAITER, want: 40, need: 40 }, WAIT).grant).toBe(0);
    player.hints();
    player.now += 9_000;
    expect(player.say({ ...THIRD }).view.available).toBe(90);
    expect(player.hints()).toEqual([]);
  });

  test("with the slots of the dead, when anybody speaks", () => {
    const slots = aLedgerSpec({ kind: "slots", capacity: 3 });
    const player = playRefusal(slots, 2);
    player.now += 11_001;
    player.say(THIRD);
    expect(player.hints()).toEqual([woken(WAITER.holder, 3, slots)]);
  });

  test("with what the period before has left since, though the message is a repetition", () => {
    const [before, after] = periods({ rollover: 50 });
    const player = playShard();
    player.say({ spec: before, want: 100, need: 100 });
    player.now = before.end;
    player.say({ ...THIRD, spec: after, seq: 1 });
    expect(player.say({ ...WAITER, spec: after, want: 120, need: 120 }, WAIT).grant).toBe(0);
    player.say({ spec: before, granted: 100, returned: 60, spent: 40 });
    player.hints();
    expect(player.say({ ...THIRD, spec: after, seq: 1 }).status).toBe("duplicate");
    expect(player.hints()).toEqual([woken(WAITER.holder, 150, after)]);
  });

  test("not with what only moves: spent, told late, or quarantined", () => {
    const player = playRefusal(spec);
    player.say({ granted: 100, spent: 60 });
    player.now += 11_001;
    player.say(THIRD);
    expect(player.say({ granted: 100, spent: 90 }).view).toMatchObject({ available: 0, out: 10 });
    expect(player.hints()).toEqual([]);
  });
});

describe("WT4: an operator wakes who waits", () => {
  /** Its holder with all of it is dead. */
  function playDeath(): ShardPlayer {
    const player = playRefusal(spec);
    player.now += 11_001;
    player.say(THIRD);
    expect(player.hints()).toEqual([]);
    return player;
  }

  test("with what is resolved, but nobody twice", () => {
    const { shard, now } = playDeath();
    expect(resolve(shard, spec.key, undefined, now)).toEqual({
      units: 100,
      hints: [woken(WAITER.holder, 100)],
    });
    expect(resolve(shard, spec.key, undefined, now)).toEqual({ units: 0, hints: [] });
    expect(reset(shard, spec.key, now)).toEqual({ units: 0, hints: [] });
  });

  test("with what a reset forgets", () => {
    const { shard, say, now } = playRefusal(spec);
    say({ granted: 100, spent: 80 });
    expect(reset(shard, spec.key, now)?.hints).toEqual([woken(WAITER.holder, 80)]);
  });

  test("and tells all where none of it is enough, but nobody who has stopped waiting", () => {
    const player = playRefusal(spec, 90);
    player.say({ granted: 100, spent: 80 });
    const later = structuredClone(player.shard);
    expect(reset(player.shard, spec.key, player.now)?.hints).toEqual([woken("", 80)]);
    expect(reset(later, spec.key, player.now + WAIT.waitMs)?.hints).toEqual([]);
  });
});

const FAMILY = "acme\0tokens";

function periods(parts: Partial<LedgerSpec>): readonly [LedgerSpec, LedgerSpec] {
  const of = (n: number): LedgerSpec =>
    aLedgerSpec({
      ...{ key: `${FAMILY}\0${n}`, family: FAMILY, start: n * 20_000, end: (n + 1) * 20_000 },
      ...parts,
    });
  return [of(0), of(1)];
}

describe("WT5: what an earlier period leaves to a later one", () => {
  /** All of the first is out; in the next one somebody waits for 20 more than there are. */
  function playPeriods(parts: Partial<LedgerSpec>) {
    const [before, after] = periods(parts);
    const player = playShard();
    player.say({ spec: before, want: 100, need: 100 });
    player.now = after.start;
    const ask = { ...WAITER, spec: after, want: 120, need: 120 };
    expect(player.say(ask, WAIT).grant).toBe(0);
    player.hints();
    return { ...player, player, before, after, ask };
  }

  test("is told to all by the message that brings it; who asks is served, and nobody is told twice", () => {
    const { player, before, after, ask } = playPeriods({ rollover: 50 });
    player.say({ spec: before, granted: 100, spent: 70, returned: 30 });
    expect(player.hints()).toEqual([woken("", 130, after)]);
    player.say({ spec: before, granted: 100, spent: 70, returned: 30 });
    expect(player.hints()).toEqual([]);
    expect(player.say(ask, WAIT).grant).toBe(120);
    player.say({ ...THIRD, spec: before });
    expect(player.hints()).toEqual([]);
  });

  test("is told to nobody where nobody waits, or none waits any longer", () => {
    const { player, before } = playPeriods({ rollover: 50 });
    const still = structuredClone(player.shard);
    player.now += WAIT.waitMs;
    player.say({ spec: before, granted: 100, spent: 70, returned: 30 });
    expect(player.hints()).toEqual([]);
    expect(reset(still, before.key, player.now)?.hints).toEqual([]);
  });

  test("is a debt that is paid, too; one that is not carried is nothing", () => {
    for (const carryDebt of [true, false]) {
      const { player, before, after } = playPeriods({ carryDebt });
      player.say({ spec: before, granted: 100, spent: 70, beyond: 10, overage: 10 });
      expect(player.say({ ...THIRD, spec: after }).view.available).toBe(carryDebt ? 90 : 100);
      player.hints();
      player.say({ spec: before, granted: 100, spent: 70, returned: 30, beyond: 10, overage: 10 });
      expect(player.hints()).toEqual(carryDebt ? [woken("", 100, after)] : []);
    }
  });

  test.for([true, false])("wakes by name where one message is about both, first: %s", (isFirst) => {
    const { player, before, after } = playPeriods({ rollover: 50 });
    const block = aSyncBlock({ spec: before, granted: 100, spent: 70, returned: 30, seq: 9 });
    const beside = aSyncBlock({ ...THIRD, spec: after });
    player.send(aSyncMessage(isFirst ? [block, beside] : [beside, block]));
    expect(player.hints()).toEqual([woken(WAITER.holder, 130, after)]);
  });

  test("an operator's reset of it tells, too", () => {
    const { player, before, after } = playPeriods({ rollover: 50 });
    player.say({ spec: before, granted: 100, spent: 100 });
    expect(reset(player.shard, before.key, player.now)?.hints).toEqual([woken("", 150, after)]);
  });
});
