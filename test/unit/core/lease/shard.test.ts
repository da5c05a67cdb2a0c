import { describe, expect, test } from "vitest";
import { birth, createShard, sync } from "../../../../src/core/lease/shard.ts";
import { MAX_UNITS } from "../../../../src/core/units.ts";
import { aLedgerSpec, aRateSpec } from "../../../support/ledgers.ts";
import { aSyncBlock, aSyncMessage, leaseId, playShard } from "../../../support/shard-player.ts";

const other = aLedgerSpec({ key: "acme/other" });

describe("a message to a shard", () => {
  test("is settled, and answered with the totals granted, the figures and the next witness", () => {
    const { say } = playShard(aLedgerSpec({ capacity: 1_000 }));
    const first = say({ want: 100, need: 10, demand: 50, mean: 5 });
    expect(first).toMatchObject({ status: "ok", granted: 100, grant: 100, used: 100, holders: 1 });
    expect(first.view).toMatchObject({ limit: 1_000, spent: 0, out: 100, available: 900 });
    const second = say({ granted: 100, spent: 30, returned: 20, want: 50 });
    expect(second).toMatchObject({ grant: 0, used: 80, version: first.version + 1 });
    expect(second.view).toMatchObject({ spent: 30, out: 50, available: 920 });
  });

  test("SH1: that is malformed in one block is refused as a whole, and changes nothing", () => {
    const { send, shard } = playShard();
    const before = structuredClone(shard);
    const good = aSyncBlock({ want: 10 });
    const malformed = [
      { seq: 0 },
      { granted: 5, spent: 6 },
      { granted: MAX_UNITS, beyond: 1, spent: 1 },
      { overage: 1 },
      { refunded: 1 },
      { want: 0.5 },
      { need: -1 },
      { holder: "somebody" },
      { close: 2 as const, spec: { ...other, kind: "slots" as const } },
      { spec: { ...other, family: "another" } },
      { spec: good.spec },
    ];
    const heard = malformed.map((bad) => {
      return send(aSyncMessage([good, aSyncBlock({ spec: other, ...bad })])).status;
    });
    expect(heard).toEqual(malformed.map(() => "bad"));
    expect(send(aSyncMessage([])).status).toBe("bad");
    expect(shard).toEqual(before);
  });

  test("SH1: whose sums would leave the range of exact numbers is refused", () => {
    const { say, send } = playShard();
    say({ holder: leaseId(1), beyond: MAX_UNITS });
    const more = aSyncBlock({ holder: leaseId(2), beyond: 1 });
    expect(send(aSyncMessage([more])).status).toBe("bad");
    expect(say({ holder: leaseId(2), beyond: 1, spent: 1 }).status).toBe("ok");
  });

  test("SH1: to a ledger of another kind, or of a newer schema, is refused", () => {
    const { say, send, shard } = playShard();
    say({});
    const slots = aSyncBlock({ seq: 2, spec: aLedgerSpec({ kind: "slots" }) });
    expect(send(aSyncMessage([slots])).status).toBe("bad");
    for (const ledger of shard.ledgers.values()) ledger.schema += 1;
    expect(send(aSyncMessage([aSyncBlock({ seq: 2 })])).status).toBe("newer");
  });

  test("SH2: that is atomic is granted in all blocks or in none; another in each that it can", () => {
    const { send } = playShard();
    const plenty = aSyncBlock({ want: 10, need: 10 });
    const short = aSyncBlock({ spec: other, holder: leaseId(2), want: 101, need: 101 });
    const grants = (atomic: boolean, seq: number): number[] =>
      send(
        aSyncMessage(
          [
            { ...plenty, seq },
            { ...short, seq },
          ],
          { atomic },
        ),
      ).blocks.map(({ grant }) => grant);
    expect(grants(true, 1)).toEqual([0, 0]);
    expect(grants(false, 2)).toEqual([10, 0]);
  });

  test("SH2: a repeated block in an atomic message keeps the others from being granted", () => {
    const { send } = playShard();
    const block = aSyncBlock({ want: 10, need: 10 });
    send(aSyncMessage([block]));
    const more = aSyncBlock({ spec: other, holder: leaseId(2), want: 10, need: 10 });
    const { blocks } = send(aSyncMessage([block, more]));
    expect(blocks.map(({ status, grant }) => [status, grant])).toEqual([
      ["duplicate", 0],
      ["ok", 0],
    ]);
  });

  test("SH5: that is heard twice is settled once, and answered with what was granted", () => {
    const { say } = playShard();
    say({ want: 40 });
    const again = say({ seq: 1, want: 40 });
    expect(again).toMatchObject({ status: "duplicate", granted: 40, grant: 0 });
    say({ granted: 40, spent: 10 });
    expect(say({ seq: 1, want: 40 })).toMatchObject({ status: "stale", grant: 0 });
  });

  test("SH6: a ledger lives as long as it is said to, and as what is open on it may", () => {
    const player = playShard();
    player.say({ want: 40, lifeMs: 5_000, openMs: 20_000 });
    player.now += 30_999;
    expect(player.say({ holder: leaseId(2), lifeMs: 50_000 }).view.quarantined).toBe(40);
    player.now += 49_999;
    expect(player.say({ holder: leaseId(3), lifeMs: 1 }).view.quarantined).toBe(40);
    player.now += 11_001;
    expect(player.say({ holder: leaseId(4) }).view).toMatchObject({
      quarantined: 0,
      available: 100,
    });
  });

  test("SH5: its repetition renews the lease", () => {
    const player = playShard(aLedgerSpec({ kind: "slots" }));
    player.say({ want: 40 });
    player.now += 10_000;
    player.say({ seq: 1, want: 40 });
    player.now += 10_000;
    expect(player.say({ holder: leaseId(2) }).view.out).toBe(40);
  });
});

describe("who may speak for a lease", () => {
  const process = (nonce: string, epoch: number, ancestors: readonly string[] = []) => ({
    holder: { nonce, epoch, ancestors, label: "pod" },
  });
  const told = aSyncBlock({ granted: 40, seq: 2 });

  test.each([
    ["the same process", process("a1", 1), "ok"],
    ["the same with another epoch", process("a1", 2), "stale"],
    ["another process", process("b2", 1), "stale"],
    ["a later one of another journal", process("b2", 2, ["c3"]), "stale"],
    ["its heir", process("b2", 2, ["a1"]), "ok"],
    ["its heir's heir", process("c3", 3, ["b2", "a1"]), "ok"],
    ["an heir that is not later", process("b2", 1, ["a1"]), "stale"],
  ])("SH3: %s", (_, message, status) => {
    const { say, send } = playShard();
    say({ want: 40 });
    expect(send(aSyncMessage([told], message)).status).toBe(status);
  });

  test("SH3: an heir counts its messages from 1, and the process before it is not heard any more", () => {
    const { say, send } = playShard();
    say({ want: 40 });
    say({ granted: 40, spent: 1 });
    const first = aSyncBlock({ granted: 40, spent: 3, seq: 1 });
    const { blocks } = send(aSyncMessage([first], process("b2", 2, ["a1"])));
    expect(blocks.map(({ status }) => status)).toEqual(["ok"]);
    expect(send(aSyncMessage([aSyncBlock({ seq: 9 })])).status).toBe("stale");
  });

  test("SH3: a retired lease hears an heir only to be retired again", () => {
    const player = playShard();
    player.say({ want: 40 });
    player.say({ granted: 40, spent: 10, close: 2 });
    const heir = process("b2", 2, ["a1"]);
    const older = { granted: 40, spent: 5, seq: 1 };
    expect(player.send(aSyncMessage([aSyncBlock(older)], heir)).status).toBe("stale");
    expect(
      player.send(aSyncMessage([aSyncBlock({ ...older, close: 2 })], heir)).blocks,
    ).toMatchObject([{ status: "ok", view: { out: 0, quarantined: 30 } }]);
  });
});

describe("histories of a shard", () => {
  const witness = (fence: number, version: number, used: number) => {
    return { fence, version, used, carried: 0 };
  };

  test("a rate begins another history with as little as leases may be out of that nobody knows", () => {
    const spec = aRateSpec({ units: 100, everyMs: 1_000, burst: 100 });
    const player = playShard(spec);
    player.say({ want: 10 });
    player.historyId = "h2";
    expect(player.say({ granted: 10 }).view).toMatchObject({ available: -50, out: 10 });
    const lost = playShard(spec).say({ granted: 10, witness: witness(1, 1, 0) });
    expect(lost.view).toMatchObject({ available: -50, out: 10 });
  });

  test("SH4: another history has a higher fence, and grants nothing while it learns", () => {
    const player = playShard();
    const first = player.say({ want: 40 });
    player.historyId = "h2";
    player.now += 5;
    const next = player.say({ granted: 40, want: 60, need: 20 });
    expect(next.fence).toBeGreaterThan(first.fence);
    expect(next).toMatchObject({ grant: 0, learningMs: 12_000, horizonMs: -1 });
    player.now += 12_000;
    const last = player.say({ granted: 40, want: 60, need: 20 });
    expect(last).toMatchObject({ grant: 20, learningMs: 0, fence: next.fence });
  });

  test("SH4: a clock that went back, and even an older fence, never lower it", () => {
    const player = playShard();
    const { fence } = player.say({});
    player.now -= 1_000;
    expect(player.say({}).fence).toBe(fence);
    player.historyId = "h2";
    expect(player.say({}).fence).toBe(fence + 1);
  });

  test("learning ends as soon as all are back, where every grant was confirmed", () => {
    const player = playShard();
    const strict = { terms: { ttlMs: 10_000, graceMs: 1_000, learnMs: 12_000, strict: true } };
    const both = [leaseId(1), leaseId(2)] as const;
    for (const holder of both) player.say({ holder, want: 10 }, strict);
    player.historyId = "h2";
    const waits = both.map((holder) => player.say({ holder, granted: 10 }, strict).learningMs);
    expect(waits).toEqual([12_000, 0]);
  });

  test.each([
    ["a holder that knows a later history", witness(99_999, 1, 1)],
    ["a holder that knows a later version", undefined],
  ])("%s begins a new one: the data is older than that", (_, known) => {
    const player = playShard();
    const { fence, version } = player.say({ want: 40 });
    const later = known ?? witness(fence, version + 1, 50);
    const reply = player.say({ granted: 40, witness: later });
    expect(reply.fence).toBeGreaterThan(later.fence);
    expect(reply.learningMs).toBe(12_000);
  });

  test("a clock that goes back by more than a minute begins a new one; by less it stands still", () => {
    const player = playShard();
    const { fence } = player.say({});
    player.now -= 60_000;
    expect(player.say({}).fence).toBe(fence);
    player.now += 60_000;
    player.say({});
    player.now -= 60_001;
    expect(player.say({}).fence).toBeGreaterThan(fence);
  });

  test("what a lost history says was used is held back, until those who used it tell", () => {
    const player = playShard();
    const { fence } = player.say({ want: 40 });
    const lost = playShard();
    lost.now = player.now + 50;
    lost.historyId = "h2";
    const knower = { granted: 40, spent: 30, witness: witness(fence, 7, 90) };
    const back = lost.say(knower);
    expect(back.view).toMatchObject({ spent: 30, out: 10, quarantined: 50, available: 10 });
    const since = lost.say({ granted: 40, spent: 50, beyond: 20 });
    expect(since.view).toMatchObject({ spent: 50, out: 10, quarantined: 50 }); // that was not before
    const dead = { holder: leaseId(2), granted: 50, spent: 45, witness: witness(fence, 6, 80) };
    expect(lost.say(dead).view).toMatchObject({ spent: 95, out: 15, quarantined: 0 });
  });

  test("what is held back for a lost history stays so when the history changes again", () => {
    const player = playShard();
    const { fence } = player.say({ want: 40 });
    const lost = playShard();
    lost.now = player.now + 50;
    lost.historyId = "h2";
    lost.say({ granted: 40, spent: 40, witness: witness(fence, 7, 90) });
    lost.historyId = "h3";
    lost.now += 1;
    expect(lost.say({ granted: 40, spent: 40 }).view).toMatchObject({
      quarantined: 50,
      available: 10,
    });
  });

  test("a ledger that is new after a failover grants at once, where every grant was confirmed", () => {
    const player = playShard();
    const terms = { ttlMs: 10_000, graceMs: 1_000, learnMs: 12_000, strict: true };
    player.say({ want: 10 }, { terms });
    player.historyId = "h2";
    player.say({ granted: 10 }, { terms });
    const fresh = { spec: other, holder: leaseId(9), want: 10, need: 10 };
    expect(player.say(fresh, { terms }).grant).toBe(10);
    const known = { spec: aLedgerSpec({ key: "acme/known" }), holder: leaseId(8), granted: 5 };
    expect(player.say(known, { terms }).learningMs).toBe(12_000);
  });

  test("a ledger that nobody claims to know is new, however long the shard has been learning", () => {
    const shard = createShard();
    birth(shard, 2_000, { now: 10_000, historyId: "h1" });
    const env = { now: 11_000, historyId: "h1" };
    const wait = (parts: Parameters<typeof aSyncBlock>[0]): number | undefined =>
      sync(shard, aSyncMessage([aSyncBlock(parts)]), env).reply.blocks[0]?.learningMs;
    expect(wait({})).toBe(1_000);
    const lost = { spec: other, granted: 10, witness: witness(5, 1, 10) };
    expect(wait(lost)).toBe(12_000);
  });

  test("who knew a ledger that others have opened anew makes it learn: it was lost, not new", () => {
    const shard = createShard();
    birth(shard, 2_000, { now: 10_000, historyId: "h1" });
    const env = { now: 11_000, historyId: "h1" };
    sync(shard, aSyncMessage([aSyncBlock()]), env);
    const knower = aSyncBlock({ holder: leaseId(2), granted: 10, witness: witness(5, 1, 10) });
    const { reply } = sync(shard, aSyncMessage([knower]), env);
    expect(reply.blocks[0]?.learningMs).toBe(12_000);
  });

  test("a shard that is not there has been lost: it learns for as long as holders may need", () => {
    const env = { now: 11_000, historyId: "h1" };
    const { reply } = sync(createShard(), aSyncMessage([aSyncBlock()]), env);
    expect(reply.blocks[0]?.learningMs).toBe(12_000);
  });

  test("a shard that is born again stays as it is", () => {
    const player = playShard();
    const before = structuredClone(player.shard);
    birth(player.shard, 99, { now: 77_777, historyId: "h9" });
    expect(player.shard).toEqual(before);
  });
});
