import { describe, expect, test } from "vitest";
import { free, pay, unhold } from "../../../../src/engine/lease.ts";
import { BIRTH_MS } from "../../../../src/core/lease/message.ts";
import { resolve } from "../../../../src/core/lease/operate.ts";
import { birth, createShard } from "../../../../src/core/lease/shard.ts";
import { START, holderWith } from "../../../support/holder-harness.ts";

describe("messages", () => {
  test("EX1, WA3: after a fault the same message is sent again, and nothing else about its ledger", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a" });
    const waiting = h.wait(lease, 10);
    const [first] = h.sent;
    h.lose();
    h.pass(60);
    expect(h.sent).toHaveLength(2);
    expect(h.sent[1]).toBe(first);
    h.answer();
    expect([waiting.resumed, lease.reserved]).toEqual([1, 10]);
  });

  test("EX2, ST2: an answer that was lost and is heard the second time credits its grant once", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a", capacity: 10_000 });
    h.wait(lease, 10);
    h.lose();
    h.pass(5_000);
    h.answer();
    const ledger = h.shard.ledgers.get("u\0a");
    const [record] = ledger?.records.values() ?? [];
    expect(lease.granted).toBe(record?.granted);
    h.answerAll();
    expect(ledger?.out).toBe(free(lease) + lease.reserved);
  });

  test("EX2: what is not confirmed is not credited, and is asked for again", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a" });
    const waiting = h.wait(lease, 10);
    h.answer((reply) => ({ ...reply, confirmed: false }));
    expect([free(lease), waiting.resumed]).toEqual([0, 0]);
    expect(h.shard.ledgers.get("u\0a")?.out).toBeGreaterThanOrEqual(10);
    h.pass(30);
    h.answerAll();
    expect([lease.reserved, waiting.resumed]).toEqual([10, 1]);
  });

  test("HO3, EX2: units are debited before the message that returns them leaves", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a", capacity: 10_000 });
    h.wait(lease, 100);
    h.answerAll();
    unhold(lease, 100);
    h.holder.touch(lease);
    h.pass(20_000);
    const last = h.sent.at(-1)?.blocks[0];
    expect(last?.returned).toBe(lease.returned);
    expect(free(lease)).toBe(0);
  });

  test("HO3: no message leaves before the outbox lets it", () => {
    const tasks: (() => void)[] = [];
    const h = holderWith({ outbox: (task) => void tasks.push(task) });
    h.wait(h.lease({ key: "a" }), 10);
    expect(h.sent).toHaveLength(0);
    for (const task of tasks) task();
    expect(h.sent).toHaveLength(1);
  });

  test("EX3, ST3: a timed lease ends by when its request left first, however late the answer came", () => {
    const h = holderWith();
    const rate = h.lease({ key: "r", kind: "rate", capacity: 100, refill: PACE });
    h.wait(rate, 10);
    const left = h.now().mono;
    h.lose();
    h.pass(4_000);
    h.answer();
    expect(rate.stock?.expiresAt).toBeLessThan(left + 10_000 * 0.99);
    h.pass(5_900);
    expect([free(rate), h.take(rate, 1)]).toEqual([0, "wait"]);
  });

  test("EX4, CK2: after a pause nothing is spent before the store has answered again", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a", capacity: 100_000 });
    h.wait(lease, 1_000);
    h.answerAll();
    const spare = free(lease);
    expect(spare).toBeGreaterThan(0);
    h.pass(0, 3_000);
    expect([free(lease), h.take(lease, 1)]).toEqual([0, "wait"]);
    h.answerAll();
    expect(free(lease)).toBeGreaterThan(0);
  });

  test("CK2: what a reservation gives back after a pause is not spent before the store has answered", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a", capacity: 100_000 });
    h.wait(lease, 1_000);
    h.answerAll();
    h.take(lease, 600);
    h.pass(0, 3_000);
    unhold(lease, 600);
    expect([free(lease), h.take(lease, 1)]).toEqual([600, "wait"]);
    h.answerAll();
    expect(h.take(lease, 1)).toBe("granted");
  });

  test("EX4: an answer to what left before a pause makes nothing free, of a budget either", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a", capacity: 100_000 });
    h.wait(lease, 1_000);
    h.answerAll();
    h.take(lease, free(lease));
    h.wait(lease, 500);
    h.pass(0, 3_000);
    h.answer();
    expect([free(lease), h.take(lease, 1)]).toEqual([0, "wait"]);
    h.answerAll();
    expect(free(lease)).toBeGreaterThanOrEqual(500);
  });

  test("EX4: an answer from before a pause brings units, and renews nothing", () => {
    const h = holderWith();
    const rate = h.lease({ key: "r", kind: "rate", capacity: 100, refill: PACE });
    h.wait(rate, 10);
    h.pass(0, 3_000);
    h.answer();
    expect([h.take(rate, 1), free(rate)]).toEqual(["wait", 0]);
    h.answerAll();
    h.pass(50);
    h.answerAll();
    expect(h.take(rate, 1)).not.toBe("short");
  });

  test("S24: nothing is taken of a period that has ended by the store's clock", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a", capacity: 100_000, end: h.now().wall + 2_000 });
    h.wait(lease, 1_000);
    h.answerAll();
    expect([h.take(lease, 1), free(lease) > 1]).toEqual(["granted", true]);
    h.pass(1_500); // before upkeep gives back what idles
    const last = h.take(lease, 1);
    h.elapse(510);
    expect([last, h.take(lease, 1)]).toEqual(["granted", "wait"]);
  });

  test("what a rate is granted says nothing of budgets: a store that was born a moment ago is no loss", () => {
    const shard = createShard();
    birth(shard, BIRTH_MS, { now: START, historyId: "a" });
    const h = holderWith({ shard });
    const refill = { units: 10, everyMs: 1_000, burst: 10 };
    h.wait(h.lease({ key: "r", kind: "rate", capacity: 10, refill }), 1);
    h.answerAll();
    h.wait(h.lease({ key: "b" }), 10);
    h.answer();
    expect([h.shard.ledgers.get("u\0b")?.out, h.holder.isLost()]).toEqual([0, false]);
  });

  test("of a rate with other numbers all goes back that was granted by the old ones, booked units too", () => {
    const h = holderWith();
    const refill = { units: 100, everyMs: 1_000, burst: 100 };
    const rate = h.lease({ key: "r", kind: "rate", capacity: 100, refill });
    h.wait(rate, 10);
    h.answerAll();
    h.pass(20);
    h.answerAll();
    expect(free(rate)).toBeGreaterThan(5);
    const slower = { units: 1, everyMs: 1_000, burst: 1 };
    rate.spec = { ...rate.spec, version: 2, capacity: 1, refill: slower };
    h.holder.touch(rate);
    h.pump();
    h.answer();
    const { out, rate: bucket } = h.shard.ledgers.get("u\0r") ?? {};
    expect([free(rate), out]).toEqual([0, rate.reserved]);
    expect(bucket?.level).toBeLessThanOrEqual(1);
  });

  test("an answer from another data set: all that is known of the shard is told anew, at once", () => {
    const h = holderWith();
    const [asking, quiet] = [h.lease({ key: "a" }), h.lease({ key: "b" })];
    for (const lease of [asking, quiet]) h.wait(lease, 10);
    h.answerAll();
    const { meta, ledgers } = h.shard;
    if (meta) meta.historyId = "lost";
    ledgers.clear();
    unhold(asking, 10);
    h.holder.begin(h.now());
    h.holder.close(asking);
    h.holder.end();
    h.answerAll();
    expect(ledgers.get("u\0b")?.out).toBe(free(quiet) + 10);
  });

  test("nor has anybody to ask: the store itself may tell that its data is another", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a" });
    h.wait(lease, 10);
    h.answerAll();
    h.shard.ledgers.clear();
    h.listener.changed();
    h.answerAll();
    expect(h.shard.ledgers.get("u\0a")?.out).toBe(free(lease) + 10);
  });

  test("FM4: what a period leaves that is settled late is known here at once, and survives the store", () => {
    const h = holderWith();
    const family = { family: "u\0a", carryDebt: true };
    const last = h.lease({ ...family, key: "a\x000", end: START + 1_000 });
    h.wait(last, 50);
    h.answerAll();
    h.pass(1_500);
    h.answerAll();
    h.wait(h.lease({ ...family, key: "a\x001", start: START + 1_000 }), 10);
    h.answerAll();
    pay(last, { held: 50, covered: 0, beyond: 1_010, owed: true });
    h.holder.begin(h.now());
    h.holder.close(last);
    h.holder.end();
    h.answerAll();
    expect(h.shard.ledgers.get("u\0a\x001")?.carried).toBe(-60);
    h.shard.ledgers.clear();
    h.shard.families.clear();
    if (h.shard.meta) h.shard.meta = { ...h.shard.meta, historyId: "another" };
    h.listener.changed();
    h.answerAll();
    expect(h.shard.ledgers.get("u\0a\x000")).toBeUndefined();
    expect(h.shard.ledgers.get("u\0a\x001")?.carried).toBe(-60);
  });

  test("HO4: a ledger that is wanted again while it is closed is not forgotten", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a" });
    h.wait(lease, 10);
    h.answerAll();
    unhold(lease, 10);
    h.holder.begin(h.now());
    h.holder.close(lease);
    h.holder.end();
    expect(h.sent.at(-1)?.blocks[0]?.close).toBe(1);
    const waiting = h.wait(lease, 10);
    h.answerAll();
    expect([waiting.resumed, lease.reserved]).toEqual([1, 10]);
    expect(h.shard.ledgers.get("u\0a")?.out).toBe(free(lease) + lease.reserved);
  });

  test("a store that refuses to read a message is not asked again at once", () => {
    const h = holderWith();
    h.wait(h.lease({ key: "a" }), 10);
    h.answer((reply) => ({ ...reply, status: "bad", blocks: [] }));
    h.pass(100);
    expect(h.sent).toHaveLength(1);
  });

  test("another process on the same journal: all begins anew, under new names", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a" });
    h.wait(lease, 10);
    h.answerAll();
    const before = h.sent[0]?.blocks[0]?.holder;
    h.pass(5_000);
    h.answer((reply) => ({ ...reply, status: "stale", blocks: [] }));
    h.pump();
    const again = h.sent.at(-1)?.blocks[0];
    expect(again?.holder).not.toBe(before);
    expect([again?.beyond, again?.granted, free(lease)]).toEqual([10, 0, 0]);
  });

  test.each([
    ["no journal", undefined],
    ["a journal", { intact: true, why: "", of: () => new Map() }],
  ] as const)("SH3, OP1: with %s it says what may have become of its leases", (_, recovered) => {
    const h = holderWith(recovered && { recovered });
    const lease = h.lease({ key: "a" });
    h.wait(lease, 100);
    h.answerAll();
    // It is silent for so long that another one finds it dead, and an operator makes its units available again.
    const other = holderWith({ shard: h.shard });
    for (const one of [h, other]) one.elapse(60_000);
    other.wait(other.lease({ key: "a" }), 10);
    other.answerAll();
    const resolved = resolve(h.shard, "u\0a", undefined, h.now().wall);
    expect(resolved?.units).toBeGreaterThanOrEqual(100);
    h.pump();
    h.answerAll();
    const errors = h.lines.filter(({ level }) => level === "error");
    expect(errors).toMatchObject([{ fields: { ledgers: ["u/a"] } }]);
    expect(errors[0]?.message).toContain("resolved by an operator");
    expect(errors[0]?.message.includes("journal")).toBe(recovered !== undefined);
    expect([lease.reserved, lease.beyond]).toEqual([100, 100]);
  });

  test("EX1: an answer to what the process before it asked for credits nothing", () => {
    const h = holderWith();
    const [first, second] = [h.lease({ key: "a" }), h.lease({ key: "b" })];
    for (const lease of [first, second]) h.wait(lease, 10);
    h.answer((reply) => ({ ...reply, status: "stale", blocks: [] }));
    h.answer();
    expect([second.granted, second.reserved, free(second)]).toEqual([0, 0, 0]);
  });
});

const PACE = { units: 1, everyMs: 60_000, burst: 100 };
