import { describe, expect, test } from "vitest";
import type { Hint } from "../../../../src/core/lease/message.ts";
import { unhold, type Lease } from "../../../../src/engine/lease.ts";
import { holderWith, type HolderHarness } from "../../../support/holder-harness.ts";

const CAPACITY = 1_000_000;

/** All but `left` is held by another; the holder has asked for `units`, and waited in vain. */
function refused(h: HolderHarness, units: number, left = 0): Lease {
  const spec = { key: "a", capacity: CAPACITY };
  const other = holderWith({ shard: h.shard });
  other.wait(other.lease(spec), CAPACITY - left);
  other.answerAll();
  const lease = h.lease(spec);
  h.wait(lease, units);
  h.answerAll();
  h.pass(300);
  h.answerAll();
  return lease;
}

const wake = (h: HolderHarness, lease: Lease, units: number, holder?: string): void => {
  const hint: Hint = {
    kind: "wake",
    key: lease.spec.key,
    holder: holder ?? lease.stock?.id ?? "",
    units,
  };
  h.listener.hint(hint);
};

/** What a decision is told at once. Nothing is left waiting behind. */
const tried = (h: HolderHarness, lease: Lease, units: number): string => h.take(lease, units);

describe("whoever was refused", () => {
  test("SK4: is silent for as much until a hint, and asks for less at once", () => {
    const h = holderWith();
    const lease = refused(h, 90_000, 80_000);
    expect([tried(h, lease, 90_000), tried(h, lease, 95_000)]).toEqual(["short", "short"]);
    expect(tried(h, lease, 70_000)).toBe("wait");
    wake(h, lease, 100_000);
    expect(tried(h, lease, 90_000)).toBe("wait");
  });

  test("S17: of a dry limit is silent for 4 s at most, however often it was refused before", () => {
    const h = holderWith();
    const lease = refused(h, 1_000);
    for (let i = 0; i < 6; i++) {
      const from = h.now().mono;
      while (tried(h, lease, 1_000) === "short") h.pass(10);
      expect(h.now().mono - from).toBeLessThanOrEqual(4_000);
      h.wait(lease, 1_000);
      h.answerAll();
      h.pass(300);
      h.answerAll();
    }
    const last = h.now().mono;
    while (tried(h, lease, 1_000) === "short") h.pass(10);
    expect(h.now().mono - last).toBeGreaterThan(2_000);
  });

  test("SK4: units that came back end the silence of all, for as much as is there", () => {
    const h = holderWith();
    const lease = refused(h, 1_000);
    expect(tried(h, lease, 600)).toBe("short");
    wake(h, lease, 600, "another");
    expect([tried(h, lease, 600), tried(h, lease, 1_000)]).toEqual(["wait", "short"]);
    wake(h, lease, 600);
    expect(tried(h, lease, 1_000)).toBe("wait");
  });

  test("SK4: nor does anybody refuse what has come back of a limit that has more than dust", () => {
    const h = holderWith();
    const lease = refused(h, 90_000, 80_000);
    wake(h, lease, 100_000, "another");
    expect([tried(h, lease, 90_000), tried(h, lease, 110_000)]).toEqual(["wait", "short"]);
  });

  test("SK5: is not silent once an ask was granted: its name is at the store no more", () => {
    const h = holderWith();
    const lease = refused(h, 1_000);
    wake(h, lease, 600);
    h.wait(lease, 500);
    h.answer((reply) => ({
      ...reply,
      blocks: reply.blocks.map((block) => ({ ...block, granted: 500, grant: 500 })),
    }));
    expect([lease.reserved, tried(h, lease, 1_000)]).toEqual([500, "wait"]);
  });

  test("S17: asks for what an answer has shown of dust, and for no more", () => {
    const h = holderWith();
    const lease = refused(h, 1_000, 400);
    h.pass(500);
    expect([tried(h, lease, 400), tried(h, lease, 500)]).toEqual(["wait", "short"]);
  });

  test("asks anew when the store was away: hints may have been lost", () => {
    const h = holderWith();
    const lease = refused(h, 1_000);
    expect(tried(h, lease, 1_000)).toBe("short");
    h.listener.up(false);
    h.listener.up(true);
    expect(tried(h, lease, 1_000)).toBe("wait");
  });
});

describe("a waiter", () => {
  test("asks once, and again when a hint names it: not for each while", () => {
    const h = holderWith();
    const lease = refused(h, 1_000);
    h.pass(5_000);
    const waiting = h.wait(lease, 1_000);
    h.answerAll();
    const asks = h.sent.length;
    h.pass(100);
    h.pass(100);
    expect(h.sent.length).toBe(asks);
    wake(h, lease, 1_000);
    expect([h.sent.length, h.sent.at(-1)?.blocks[0]?.need]).toEqual([asks + 1, 1_000]);
    h.answerAll();
    h.pass(100);
    expect(waiting.resumed).toBe(1);
  });

  test("asks again at once where a hint came before the answer that it follows", () => {
    const h = holderWith();
    const lease = refused(h, 1_000);
    h.pass(5_000);
    h.wait(lease, 1_000);
    const asks = h.sent.length;
    wake(h, lease, 1_000);
    expect(h.sent.length).toBe(asks); // one message at a time
    h.answer();
    expect(h.sent.length).toBe(asks + 1);
  });
});

describe("a recall", () => {
  /** Holds 60,000 free units of a flow of 10 units a ms. */
  function flowing(h: HolderHarness): Lease {
    const lease = h.lease({ key: "a", capacity: CAPACITY });
    for (let i = 0; i < 50; i++) {
      if (h.take(lease, 100) === "wait") h.wait(lease, 100);
      h.answerAll();
      h.pass(10);
      h.answerAll();
    }
    return lease;
  }
  const recall = (h: HolderHarness, { spec }: Lease, level: 1 | 2): void =>
    h.listener.hint({ kind: "recall", key: spec.key, level, units: 1_000 });
  const freeOf = ({ granted, beyond, spent, returned, reserved }: Lease): number =>
    granted + beyond - spent - returned - reserved;

  test("UK5: leaves what the next moment needs, and takes that too where it was not used", () => {
    const h = holderWith();
    const lease = flowing(h);
    expect(freeOf(lease)).toBeGreaterThan(5_000);
    recall(h, lease, 1);
    h.pass(6);
    const kept = freeOf(lease);
    expect([kept > 0, kept < 1_000]).toEqual([true, true]);
    h.answerAll();
    h.pass(101);
    expect(freeOf(lease)).toBe(0);
  });

  test("UK5: of the second level takes all at once", () => {
    const h = holderWith();
    const lease = flowing(h);
    recall(h, lease, 2);
    h.pass(6);
    expect(freeOf(lease)).toBe(0);
  });
});

test("UK2: what comes free of scarce ledgers of one shard goes back in one message", () => {
  const h = holderWith();
  const leases = ["a", "b"].map((key) => h.lease({ key, capacity: 100 }));
  for (const lease of leases) {
    h.wait(lease, 60);
    h.answerAll();
  }
  for (const lease of leases) {
    unhold(lease, 30);
    h.holder.touch(lease);
    h.pass(20);
    h.answerAll();
  }
  const before = h.sent.length;
  h.pass(60);
  expect(h.sent.length).toBe(before + 1);
  expect(h.sent.at(-1)?.blocks.map(({ returned }) => returned)).toEqual([30, 30]);
});
