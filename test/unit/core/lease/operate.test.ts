import { describe, expect, test } from "vitest";
import { list, read } from "../../../../src/core/lease/inspect.ts";
import { reset, resolve } from "../../../../src/core/lease/operate.ts";
import { aLedgerSpec, aRateSpec } from "../../../support/ledgers.ts";
import { leaseId, playShard } from "../../../support/shard-player.ts";

const spec = aLedgerSpec();
const other = { holder: leaseId(2) };
const third = { holder: leaseId(3) };

/** Two dead holders with 30 and 40 out, and a live one with 10. */
function playDeaths() {
  const player = playShard();
  player.say({ want: 30, need: 30 });
  player.say({ ...other, want: 40, need: 40 });
  player.now += 11_001;
  player.say({ ...third, want: 10, need: 10 });
  return player;
}

describe("what an operator resolves", () => {
  test("OP1: of one dead holder is available at once; another's stays in quarantine", () => {
    const { shard, say, now } = playDeaths();
    expect(resolve(shard, spec.key, leaseId(1), now)?.units).toBe(30);
    const { view } = say({ ...third, granted: 10 });
    expect(view).toMatchObject({ quarantined: 40, available: 50, out: 10 });
    expect(() => say({ granted: 30, spent: 5 })).toThrow("stale");
  });

  test("OP1: of all of them, and what only a lost history says was used", () => {
    const player = playDeaths();
    const { fence, version } = player.say({ ...third, granted: 10 });
    player.historyId = "h2";
    const witness = { fence, version: version + 1, used: 95, carried: 0 };
    player.say({ ...third, granted: 10, witness });
    expect(resolve(player.shard, spec.key, undefined, player.now)?.units).toBe(85);
    const { view } = player.say({ ...third, granted: 10 });
    expect(view).toMatchObject({ quarantined: 0, available: 90 });
  });

  test("OP1: of who is alive, or of a ledger that is not there, is nothing", () => {
    const { shard, now } = playDeaths();
    expect(resolve(shard, spec.key, leaseId(3), now)?.units).toBe(0);
    expect(resolve(shard, "nobody's", undefined, now)).toBeUndefined();
  });
});

describe("who has been silent with nothing out", () => {
  test("OP3: goes on under its name after a resolve and after a reset", () => {
    const player = playDeaths();
    const { shard, say } = player;
    say({ ...third, granted: 10, spent: 10 });
    player.now += 11_001;
    say({ holder: leaseId(4) });
    expect(list(shard, player.now)[0]?.holders.find(({ id }) => id === third.holder)).toMatchObject(
      { state: "expired", out: 0 },
    );
    expect(resolve(shard, spec.key, undefined, player.now)?.units).toBe(70);
    expect(say({ ...third, granted: 10, spent: 10, want: 5 })).toMatchObject({ grant: 5 });
    expect(reset(shard, spec.key, player.now)?.units).toBe(0);
    expect(say({ ...third, granted: 15, spent: 10 }).status).toBe("ok");
  });
});

describe("an operator's reset", () => {
  test("OP2: forgets what was used and owed; what is out stays out", () => {
    const { shard, say, now } = playDeaths();
    say({ ...third, granted: 10, spent: 60, beyond: 55, overage: 55 });
    expect(reset(shard, spec.key, now)?.units).toBe(70);
    const { view } = say({ ...third, granted: 10, spent: 60, beyond: 55, overage: 55 });
    expect(view).toMatchObject({ spent: 0, out: 5, quarantined: 0, debt: 0, available: 95 });
    expect(say({ ...third, granted: 10, spent: 63, beyond: 55 }).view.spent).toBe(3);
  });

  test("OP2: of a rate fills it", () => {
    const player = playShard(aRateSpec({ units: 1, everyMs: 1e9, burst: 100 }));
    player.say({ want: 40, need: 40 });
    player.say({ granted: 40, spent: 30, want: 10 });
    reset(player.shard, spec.key, player.now);
    expect(player.say({ granted: 40, spent: 30 }).view).toMatchObject({ available: 90, out: 10 });
  });

  test("OP2: forgives what was owed before, and nothing comes back from earlier periods", () => {
    const family = "acme\0tokens";
    const parts = { family, carryDebt: true };
    const first = aLedgerSpec({ ...parts, key: `${family}\x001`, start: 0, end: 20_000 });
    const next = aLedgerSpec({ ...parts, key: `${family}\x002`, start: 20_000, end: 40_000 });
    const player = playShard();
    const owe = (units: number) =>
      player.say({ spec: first, spent: units, beyond: units, overage: units });
    owe(150);
    player.now = 20_000;
    expect(player.say({ ...other, spec: next }).view.available).toBe(50);
    reset(player.shard, next.key, player.now);
    expect(player.say({ ...other, spec: next }).view).toMatchObject({ available: 100, spent: 0 });
    owe(170);
    expect(player.say({ ...other, spec: next }).view.available).toBe(100);
  });

  test("OP2: of a ledger that is not there does nothing", () => {
    const { shard, now } = playDeaths();
    const before = structuredClone(shard);
    expect(reset(shard, "nobody's", now)).toBeUndefined();
    expect(shard).toEqual(before);
  });
});

describe("what a shard shows", () => {
  test("views of ledgers as they are now, without changing anything", () => {
    const rate = aRateSpec({ units: 100, everyMs: 1_000, burst: 100 }, { key: "rate" });
    const player = playDeaths();
    player.say({ holder: leaseId(9), spec: rate, want: 100, need: 100 });
    player.say({ holder: leaseId(9), spec: rate, granted: 100, spent: 100 });
    const before = structuredClone(player.shard);
    const [budget, none, filled] = read(player.shard, [spec.key, "none", "rate"], player.now + 250);
    expect(budget).toMatchObject({ available: 20, out: 10, quarantined: 70 });
    expect(none).toBeUndefined();
    expect(filled).toMatchObject({ available: 25, rate: { level: 25, at: player.now + 250 } });
    expect(player.shard).toEqual(before);
  });

  test("nothing of a ledger whose life is over, or that a later version has written", () => {
    const { shard, now } = playDeaths();
    expect(read(shard, [spec.key], now + 1e9 + 1)).toEqual([undefined]);
    for (const ledger of shard.ledgers.values()) ledger.schema += 1;
    expect(read(shard, [spec.key], now)).toEqual([undefined]);
    expect(list(shard, now)).toEqual([]);
  });

  test("all ledgers with their holders, by label; those that closed are left out", () => {
    const player = playDeaths();
    const named = (label: string) => ({ holder: { nonce: "a1", epoch: 1, ancestors: [], label } });
    player.say({ holder: leaseId(4), want: 5, need: 5 }, named("a-pod"));
    player.say({ holder: leaseId(5), close: 1 });
    const [ledger] = list(player.shard, player.now);
    expect(ledger?.key).toBe(spec.key);
    expect(ledger?.holders.map(({ label, state, out }) => [label, state, out])).toEqual([
      ["a-pod", "live", 5],
      ["pod", "expired", 30],
      ["pod", "expired", 40],
      ["pod", "live", 10],
    ]);
  });
});
