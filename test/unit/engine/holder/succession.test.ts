import { describe, expect, test } from "vitest";
import { birth, createShard } from "../../../../src/core/lease/shard.ts";
import { free, outHere, unhold } from "../../../../src/engine/lease.ts";
import { createLeaseIds, heirOf, newHolder } from "../../../../src/engine/holder/identity.ts";
import { createStoreClock } from "../../../../src/engine/holder/store-clock.ts";
import type { JournalKind, Recovered } from "../../../../src/ports/journal.ts";
import { holderWith, START, type HolderHarness } from "../../../support/holder-harness.ts";
import { createSeededRng } from "../../../support/seeded-rng.ts";

/** What a journal would have kept of this holder now. */
function journalOf(h: HolderHarness, intact = true): Recovered {
  const kept = new Map<JournalKind, Map<string, unknown>>();
  for (const { kind, name, state } of h.holder.keeper?.live() ?? []) {
    const states = kept.get(kind) ?? new Map<string, unknown>();
    kept.set(kind, states.set(name, structuredClone(state)));
  }
  return { of: (kind) => kept.get(kind) ?? new Map(), intact, why: intact ? "" : "torn" };
}

const EMPTY: Recovered = { of: () => new Map(), intact: true, why: "" };

/** A process with 30 of a budget held, and a rest free. */
function before() {
  const h = holderWith({ recovered: EMPTY, shard: createShard() });
  const lease = h.lease({ key: "a", capacity: 100_000 });
  h.wait(lease, 30);
  h.answerAll();
  return { h, lease };
}

describe("going on from a journal", () => {
  test("HS1: an heir has the same leases one epoch on, and spends them after the first answer", () => {
    const { h, lease } = before();
    const next = holderWith({ recovered: journalOf(h), shard: h.shard });
    const again = next.lease({ key: "a", capacity: 100_000 });
    again.reserved = 30;
    next.holder.restore(journalOf(h), new Map([["u\0a", again]]));
    next.pump();
    expect([free(again), next.take(again, 1)]).toEqual([0, "wait"]);
    const [message] = next.sent;
    expect([message?.holder.epoch, message?.blocks[0]?.holder]).toEqual([2, lease.stock?.id]);
    next.answerAll();
    expect(free(again)).toBeGreaterThan(0);
    expect(h.shard.ledgers.get("u\0a")?.out).toBe(free(again) + 30);
  });

  test("FM4: what was carried into a period is told to a store that has lost it, by an heir too", () => {
    const family = { family: "u\0a", rollover: 500 };
    const last = { ...family, key: "a\x000", start: START - 2e6, end: START - 1_000 };
    const now = { ...family, key: "a\x001", start: START - 1_000, end: START + 1e9 };
    const h = holderWith({ recovered: EMPTY, shard: createShard() });
    const unused = h.lease(last);
    unused.dirty = true;
    h.holder.begin(h.now());
    h.holder.touch(unused);
    h.holder.end();
    h.answerAll();
    h.wait(h.lease(now), 30);
    h.answerAll();
    expect(h.shard.ledgers.get("u\0a\x001")?.carried).toBe(500);
    const shard = createShard();
    birth(shard, 0, { now: START + 1, historyId: "a" });
    const next = holderWith({ recovered: journalOf(h), shard });
    const again = next.lease(now);
    again.reserved = 30;
    next.holder.restore(journalOf(h), new Map([["u\0a\x001", again]]));
    next.pump();
    next.answerAll();
    expect(shard.ledgers.get("u\0a\x001")?.carried).toBe(500);
  });

  test("HS2: a torn journal settles what it proves, and the rest is quarantined", () => {
    const { h } = before();
    const out = h.shard.ledgers.get("u\0a")?.out ?? 0;
    const torn = journalOf(h, false);
    const next = holderWith({ recovered: torn, shard: h.shard });
    const again = next.lease({ key: "a", capacity: 100_000 });
    again.reserved = 30;
    next.holder.restore(torn, new Map([["u\0a", again]]));
    next.pump();
    next.answerAll();
    expect(next.sent.some(({ blocks }) => blocks.some(({ close }) => close === 2))).toBe(true);
    const ledger = h.shard.ledgers.get("u\0a");
    expect([ledger?.quarantined, again.beyond]).toEqual([out, 30]);
  });

  test("LE6: what comes free of a hold that a torn journal kept is not spent again", () => {
    const { h } = before();
    const torn = journalOf(h, false);
    const next = holderWith({ recovered: torn, shard: h.shard });
    const again = next.lease({ key: "a", capacity: 100_000 });
    again.reserved = 30;
    next.holder.restore(torn, new Map([["u\0a", again]]));
    unhold(again, 10);
    expect([free(again), next.holder.cover(again, 10)]).toEqual([0, 0]);
    const heir = holderWith({ recovered: journalOf(next), shard: h.shard });
    const third = heir.lease({ key: "a", capacity: 100_000 });
    third.reserved = 20;
    heir.holder.restore(journalOf(next), new Map([["u\0a", third]]));
    unhold(third, 20);
    heir.pump();
    heir.answerAll();
    expect([third.beyond, third.returned]).toEqual([30, 30]);
  });

  test("HS2: nor does time give back what a torn journal leaves open of a budget that is there once", () => {
    const once = { key: "o", capacity: 100_000, idleMs: 60_000 };
    const h = holderWith({ recovered: EMPTY, shard: createShard() });
    h.wait(h.lease(once), 30);
    h.answerAll();
    const out = h.shard.ledgers.get("u\0o")?.out ?? 0;
    const torn = journalOf(h, false);
    const next = holderWith({ recovered: torn, shard: h.shard });
    next.holder.restore(torn, new Map([["u\0o", next.lease(once)]]));
    next.pump();
    next.answerAll();
    expect([out > 30, h.shard.ledgers.get("u\0o")?.quarantined]).toEqual([true, out]);
  });

  test("HS3: when the journal fails and cannot be marked its leases are retired at once, and new ones begin", () => {
    const { h, lease } = before();
    const old = lease.stock?.id;
    h.holder.journalLost(false);
    h.pump();
    h.answerAll();
    const retired = h.sent.flatMap(({ blocks }) => blocks).find(({ close }) => close === 2);
    expect([retired?.holder, lease.stock?.id === old]).toEqual([old, false]);
    const known = h.shard.ledgers.get("u\0a")?.records.get(old ?? "");
    expect(known?.state ?? "gone").not.toBe("live");
    const reader = holderWith({ recovered: journalOf(h), shard: h.shard });
    const stale = reader.lease({ key: "a", capacity: 100_000 });
    expect(free(stale)).toBe(0);
  });

  test("HS3: what a failed journal did not write is not told, either", () => {
    const tasks: (() => void)[] = [];
    const h = holderWith({ outbox: (task) => void tasks.push(task) });
    const lease = h.lease({ key: "r", kind: "rate", capacity: 100 });
    h.wait(lease, 10);
    const id = lease.stock?.id;
    h.holder.journalLost(false);
    h.pump();
    for (const task of tasks) task();
    const told = h.sent.flatMap(({ blocks }) => blocks).map(({ holder }) => holder);
    expect([told.length > 0, told.includes(id ?? "")]).toEqual([true, false]);
  });

  test("HS5: of a journal that is marked as failed all that was out moves, and nothing is lost", () => {
    const { h, lease } = before();
    const slots = h.lease({ key: "s", kind: "slots", capacity: 2 });
    for (let i = 0; i < 2; i++) h.wait(slots, 1);
    h.answerAll();
    h.wait(lease, 99_000); // it asks, and its message is given up
    const said = () => ["a", "s"].map((key) => h.shard.ledgers.get(`u\0${key}`));
    const held = [lease.reserved, slots.reserved];
    h.holder.journalLost(true);
    for (let i = 0; i < 5; i++) {
      h.pass(20);
      h.pump();
      while (h.open.length > 0) {
        h.answer();
        const out = said().map((ledger) => ledger?.out ?? 0);
        expect(out.map((units, at) => units >= (held[at] ?? 0))).toEqual([true, true]);
      }
    }
    expect(said().map((ledger) => ledger?.out)).toEqual([outHere(lease), outHere(slots)]);
    expect(said().map((ledger) => ledger?.quarantined)).toEqual([0, 0]);
    expect([lease.reserved, slots.reserved]).toEqual([30, 2]);
    const old = said().map((ledger) => Array.from(ledger?.records.values() ?? [])[0]?.state);
    expect(old).toEqual(["retired", "closed"]);
  });

  test("HS4: of rates and slots nothing is retired: time brings both back", () => {
    const h = holderWith({ recovered: EMPTY, shard: createShard() });
    const slots = h.lease({ key: "s", kind: "slots", capacity: 5 });
    h.wait(slots, 1);
    h.answerAll();
    const torn = journalOf(h, false);
    const next = holderWith({ recovered: torn, shard: h.shard });
    next.holder.restore(
      torn,
      new Map([["u\0s", next.lease({ key: "s", kind: "slots", capacity: 5 })]]),
    );
    next.pump();
    expect(next.sent.flatMap(({ blocks }) => blocks).filter(({ close }) => close === 2)).toEqual(
      [],
    );
  });
});

describe("names", () => {
  test("an heir names at most eight of those before it, the latest first", () => {
    const rng = createSeededRng(1);
    let holder = newHolder(rng, "a");
    const nonces: string[] = [];
    for (let i = 0; i < 12; i++) {
      nonces.unshift(holder.nonce);
      holder = heirOf(holder, rng, "a");
    }
    expect([holder.epoch, holder.ancestors]).toEqual([13, nonces.slice(0, 8)]);
  });

  test("names of leases are UUIDv7 in order, and no two are equal in one millisecond", () => {
    const mint = createLeaseIds(createSeededRng(2));
    const ids = Array.from({ length: 100 }, () => mint(START));
    expect(new Set(ids).size).toBe(100);
    expect(ids.toSorted()).toEqual(ids);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
    expect(Number.parseInt(ids[0]?.slice(0, 12) ?? "", 16)).toBe(START);
  });
});

describe("the store's clock", () => {
  test("CK1: the sample with the smallest error counts, until another contradicts it", () => {
    const clock = createStoreClock();
    expect(clock.at(0)).toBeUndefined();
    clock.hear(10_000, 0, 100);
    clock.hear(10_110, 100, 102);
    expect(clock.at(102)).toBe(10_111);
    clock.hear(10_300, 110, 310); // ± 101 ms says nothing better
    expect(clock.at(102)).toBe(10_111);
    clock.hear(50_000, 400, 402); // the store has another clock now
    expect(clock.at(402)).toBe(50_001);
  });

  test("CK2: a wall clock that ran on while the monotonic one stood is a pause, and drift is none", () => {
    const clock = createStoreClock();
    expect(clock.jumped(1_000, 0)).toBe(0);
    for (let mono = 1_000; mono < 100_000; mono += 1_000) {
      expect(clock.jumped(Math.floor(1_000 + mono * 1.01), mono)).toBe(0);
    }
    clock.hear(5, 99_000, 99_001);
    expect(clock.jumped(Math.floor(1_000 + 100_000 * 1.01) + 600, 100_000)).toBeGreaterThan(500);
    expect(clock.at(100_000)).toBeUndefined();
  });
});
