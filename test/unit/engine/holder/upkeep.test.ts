import { describe, expect, test } from "vitest";
import { list } from "../../../../src/core/lease/inspect.ts";
import { free, hold, pay, unhold } from "../../../../src/engine/lease.ts";
import { aConsume, aReserve } from "../../../support/builders.ts";
import { fleetOf } from "../../../support/fleet-harness.ts";
import { holderWith, type HolderHarness } from "../../../support/holder-harness.ts";

/** Ten operations a second for two seconds. */
function busy(h: HolderHarness, key = "a", capacity = 1_000_000) {
  const lease = h.lease({ key, capacity });
  h.wait(lease, 10);
  h.answerAll();
  for (let i = 0; i < 20; i++) {
    h.pass(100);
    if (h.take(lease, 10) === "wait") h.answerAll();
    h.answerAll();
  }
  return lease;
}

describe("upkeep", () => {
  test("UK1: more is asked before it runs out, so that a steady flow never waits", () => {
    const h = holderWith();
    const lease = busy(h);
    const outcomes = new Set<string>();
    for (let i = 0; i < 100; i++) {
      h.pass(100);
      outcomes.add(h.take(lease, 10));
      h.answerAll();
    }
    expect([...outcomes]).toEqual(["granted"]);
  });

  test("UK2: an idle lease goes back whole, and one that is larger than its horizon in part", () => {
    const h = holderWith();
    const lease = busy(h);
    expect(free(lease)).toBeGreaterThan(0);
    for (let i = 0; i < 70; i++) {
      h.pass(1_000);
      h.answerAll();
    }
    expect(free(lease)).toBe(0);
    expect(h.shard.ledgers.get("u\0a")?.out).toBe(lease.reserved);
  });

  test("UK2: nothing is kept past the end of the period", () => {
    const h = holderWith();
    const lease = busy(h);
    h.pass(2_000_000_000);
    h.answerAll();
    h.pass(3_000);
    h.answerAll();
    expect([free(lease), h.shard.ledgers.get("u\0a")?.out ?? lease.reserved]).toEqual([
      0,
      lease.reserved,
    ]);
  });

  test("UK7: what idles while the store is away is kept, so that an empty one hears of all that was out", () => {
    const h = holderWith();
    const lease = busy(h);
    const [had, told] = [free(lease), h.sent.length];
    h.listener.up(false);
    h.pass(8_000);
    expect([had > 0, free(lease), h.sent.length]).toEqual([true, had, told]);
    const { meta, ledgers } = h.shard;
    if (meta) meta.historyId = "lost";
    ledgers.clear();
    h.listener.up(true);
    for (let i = 0; i < 240; i++) {
      h.answerAll();
      h.pass(500);
    }
    const [listed] = list(h.shard, h.now().wall);
    expect([free(lease), listed?.view]).toMatchObject([0, { out: lease.reserved, quarantined: 0 }]);
  });

  /** The store is away for a while, and comes back with nothing. */
  const loseAll = (h: HolderHarness, meanwhile: () => void = () => undefined): void => {
    h.listener.up(false);
    h.pass(300);
    meanwhile();
    if (h.shard.meta) h.shard.meta.historyId = "lost";
    h.shard.ledgers.clear();
    h.listener.up(true);
  };

  test("UK7: nor is it given back with the first word when it is closed: an empty store would hold it back", () => {
    const h = holderWith();
    const lease = busy(h);
    const { reserved } = lease;
    unhold(lease, reserved);
    const had = free(lease);
    loseAll(h, () => h.holder.close(lease));
    for (let i = 0; i < 20; i++) {
      h.answerAll();
      h.pass(500);
    }
    const [listed] = list(h.shard, h.now().wall);
    expect([had > 0, listed?.view]).toMatchObject([true, { out: 0, quarantined: 0 }]);
  });

  test("UK7: nor what is free of scarce units, with the first word of who waits for more", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a", capacity: 1_000 });
    h.wait(lease, 400);
    h.answerAll();
    unhold(lease, 100);
    const had = free(lease);
    loseAll(h);
    h.wait(lease, had + 100);
    expect([h.sent.length, lease.stock?.horizon]).toEqual([2, 0]);
    for (let i = 0; i < 40; i++) {
      h.answerAll();
      h.pass(500);
    }
    const [listed] = list(h.shard, h.now().wall);
    expect(listed?.view).toMatchObject({ out: lease.reserved + free(lease), quarantined: 0 });
  });

  test("S27: what a process could take with it is bounded by its demand, and by half of what is left", () => {
    for (const [capacity, units] of [
      [25_000_000, 5_000_000],
      [500_000_000, 5_000_000],
      [1_000, 400],
    ] as const) {
      const h = holderWith();
      const lease = h.lease({ key: "a", capacity });
      h.wait(lease, units);
      h.answerAll();
      const demand = units * Math.LN2 * 3;
      const left = capacity - units;
      const most = Math.max(demand, capacity / 100);
      expect(lease.reserved).toBe(units);
      expect(free(lease)).toBeLessThanOrEqual(
        Math.min(most, Math.max(left / 2, capacity / 2 - units)),
      );
    }
  });

  test("UK3: what was settled is told within the horizon, and what is out is renewed", () => {
    const h = holderWith();
    const lease = busy(h);
    unhold(lease, 10);
    h.holder.touch(lease);
    const before = h.sent.length;
    for (let i = 0; i < 3; i++) {
      h.pass(1_000);
      h.answerAll();
    }
    expect(h.sent.length).toBeGreaterThan(before);
    const quiet = h.lease({ key: "s", kind: "slots", capacity: 5 });
    h.wait(quiet, 1);
    h.answerAll();
    for (let i = 0; i < 30; i++) {
      h.pass(1_000);
      h.answerAll();
    }
    expect(h.shard.ledgers.get("u\0s")?.out).toBe(1);
    expect(quiet.stock?.expiresAt).toBeGreaterThan(h.now().mono);
  });

  test("UK4: what nobody needs is closed when nothing is held, and not before", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a" });
    h.wait(lease, 10);
    h.answerAll();
    h.holder.close(lease);
    h.pass(5_000);
    h.answerAll();
    expect(lease.stock?.closing).toBe(true);
    unhold(lease, 10);
    h.holder.touch(lease);
    for (let i = 0; i < 5; i++) {
      h.pass(1_000);
      h.answerAll();
    }
    expect(lease.stock).toBeUndefined();
  });

  test("UK6: a shard that lost its data without any other sign is told what idle ledgers have spent", () => {
    const h = holderWith();
    const [lease, other] = [h.lease({ key: "a" }), h.lease({ key: "b" })];
    for (const one of [lease, other]) {
      h.wait(one, 10);
      h.answerAll();
      pay(one, { held: 10, covered: 0, beyond: 0, owed: false });
      h.holder.touch(one);
    }
    for (let i = 0; i < 20; i++) {
      h.pass(1_000);
      h.answerAll();
    }
    expect([free(lease), free(other)]).toEqual([0, 0]);
    h.shard.meta = undefined;
    h.shard.ledgers.clear();
    for (let i = 0; i < 4; i++) {
      h.pass(1_000);
      h.answerAll();
    }
    const settled = Array.from(h.shard.ledgers.values(), (one) => one.settled);
    expect(settled).toEqual([10, 10]);
  });

  test("a lease of the next period is there before it begins", () => {
    const fleet = fleetOf(
      `
revision: 1
tenants:
  acme:
    uid: acme-1
    limits:
      - { name: minutely, meter: tokens, budget: { units: 100000, period: minute } }
`,
      { now: "2026-11-21T10:00:50Z", replicas: 1 },
    );
    const sources = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const pending = fleet.replicas[0]?.run(aConsume({ amounts: { tokens: 10 } }));
      const answer = pending?.answer;
      if (i > 10) sources.add(answer && "verdict" in answer ? answer.verdict.source : "waits");
      fleet.clock.advance(100);
    }
    expect([...sources]).toEqual(["lease"]);
  });
});

describe("stocks", () => {
  test("ST1: units that have not accrued are booked, not free", () => {
    const h = holderWith();
    const rate = h.lease({
      key: "r",
      kind: "rate",
      capacity: 100,
      refill: { units: 100, everyMs: 1_000, burst: 100 },
    });
    h.wait(rate, 100);
    h.answerAll();
    const ahead = rate.stock?.slices.reduce((sum, { units }) => sum + units, 0) ?? 0;
    expect(ahead).toBeGreaterThan(0);
    expect([rate.pending, free(rate)]).toEqual([100, 0]);
    h.pass(ahead * 5);
    expect(h.take(rate, 1)).toBe("granted");
    expect(free(rate)).toBeGreaterThanOrEqual(Math.floor(ahead * 0.4));
    expect(free(rate)).toBeLessThan(ahead);
  });

  test("ST4: a reservation on slots is made only for as long as the store keeps it", () => {
    const h = holderWith();
    const slots = h.lease({ key: "s", kind: "slots", capacity: 5 });
    h.wait(slots, 1, 60_000);
    expect(h.sent.at(-1)?.blocks[0]?.openMs).toBeGreaterThan(60_000);
    h.answerAll();
    hold(slots, 0);
    expect(h.take(slots, 1, { ttlMs: 3_600_000 })).toBe("wait");
  });
});

describe("scarcity", () => {
  const exhausted = (h: HolderHarness) => {
    const lease = h.lease({ key: "a", capacity: 100_000 });
    h.wait(lease, 100_000);
    h.answerAll();
    h.wait(lease, 10);
    h.answerAll();
    h.pass(300);
    h.answerAll();
    return lease;
  };

  test("SK1: an exhausted limit refuses without asking, and units that came back here are never refused", () => {
    const h = holderWith();
    const lease = exhausted(h);
    const before = h.sent.length;
    expect([h.take(lease, 10), h.sent.length]).toEqual(["short", before]);
    unhold(lease, 50);
    h.holder.touch(lease);
    expect(h.take(lease, 10)).toBe("granted");
  });

  test("SK2: a store that learns has refused nothing", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a" });
    const waiting = h.wait(lease, 10);
    h.answer((reply) => ({
      ...reply,
      blocks: reply.blocks.map((block) => ({ ...block, learningMs: 1_000, grant: 0, granted: 0 })),
    }));
    h.pass(300);
    expect([waiting.resumed, h.holder.why(lease, 10).lack]).toEqual([1, "pending"]);
    expect(lease.stock?.quietUntil).toBeLessThanOrEqual(h.now().mono + 200);
  });

  test("SK3: a rate is asked again once its refill should be there", () => {
    const fleet = fleetOf(`
revision: 1
tenants:
  acme:
    uid: acme-1
    limits:
      - { name: pace, meter: tokens, rate: { units: 10, every: 10s } }
`);
    const run = (units: number) => fleet.replicas[0]?.run(aReserve({ amounts: { tokens: units } }));
    run(10);
    fleet.clock.advance(50);
    const refused = run(4);
    fleet.clock.advance(300);
    expect(refused?.answer).toMatchObject({ verdict: { denial: { reason: "RATE_LIMITED" } } });
    fleet.clock.advance(4_000);
    const later = run(4);
    fleet.clock.advance(50);
    expect(later?.answer).toMatchObject({ verdict: { decision: "allow" } });
  });
});
