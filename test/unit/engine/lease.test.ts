import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createLedger,
  freshView,
  grant,
  type LedgerSpec,
  settle,
  viewOf,
} from "../../../src/core/lease/ledger.ts";
import {
  available,
  block,
  createLease,
  debt,
  free,
  hold,
  holdBeyond,
  type Lease,
  pay,
  returnFree,
  settled,
  unhold,
} from "../../../src/engine/lease.ts";
import { blockOf, JUST_SETTLE, newStock } from "../../../src/engine/holder/stock.ts";
import { counterexample } from "../../support/counterexample.ts";
import { aLedgerSpec, aRateSpec } from "../../support/ledgers.ts";

const rateSpec = aRateSpec({ units: 10, everyMs: 1_000, burst: 100 });

function aLease(spec: LedgerSpec = aLedgerSpec(), granted = 0): Lease {
  const lease = createLease(spec, freshView(spec, 0), 0);
  lease.granted = granted;
  return lease;
}
const payment = { held: 0, covered: 0, beyond: 0, owed: false };

describe("a lease", () => {
  test("LE1: the worked example", () => {
    const lease = aLease(aLedgerSpec(), 100);
    hold(lease, 60);
    expect([lease.reserved, free(lease)]).toEqual([60, 40]);
    pay(lease, { ...payment, held: 60, covered: 10 });
    expect([lease.spent, lease.reserved, free(lease)]).toEqual([70, 0, 30]);
    returnFree(lease);
    expect([lease.returned, free(lease)]).toEqual([30, 0]);
  });

  test("LE1: what is not free cannot be held, paid or given back", () => {
    expect(() => hold(aLease(aLedgerSpec(), 10), 11)).toThrow("LE1");
    expect(() => hold(aLease(rateSpec, 10), 11)).toThrow("LE1");
    expect(() => pay(aLease(aLedgerSpec(), 10), { ...payment, covered: 11 })).toThrow("LE1");
    expect(() => pay(aLease(aLedgerSpec(), 10), { ...payment, held: 1 })).toThrow("LE1");
    expect(() => unhold(aLease(aLedgerSpec(), 10), 1)).toThrow("LE1");
  });

  test("LE2: what goes back has left before the message that reports it is made", () => {
    const lease = aLease(aLedgerSpec(), 100);
    hold(lease, 60);
    returnFree(lease);
    expect(block(lease, 0)).toMatchObject({ granted: 100, returned: 40, spent: 0 });
    expect(() => hold(lease, 1)).toThrow("LE1");
  });

  test("LE3: what no grant covers is beyond as well, so that no more seems to be back than is", () => {
    const lease = aLease(aLedgerSpec(), 10);
    hold(lease, 10);
    holdBeyond(lease, 25);
    expect([lease.reserved, lease.beyond, free(lease)]).toEqual([35, 25, 0]);
    pay(lease, { ...payment, held: 35, beyond: 5, owed: true });
    expect(block(lease, 0)).toMatchObject({ spent: 40, beyond: 30, overage: 5 });
  });

  test("LE4: a rate spends at once what it holds, and refunds what was not used", () => {
    const lease = aLease(rateSpec, 60);
    hold(lease, 60);
    expect([lease.spent, lease.reserved]).toEqual([60, 0]);
    unhold(lease, 20);
    expect([lease.spent, lease.refunded, lease.reserved]).toEqual([60, 20, 0]);
    pay(lease, { ...payment, held: 40, beyond: 3, owed: true });
    expect([lease.spent, lease.beyond, lease.overage]).toEqual([63, 3, 3]);
  });

  test("LE5: what is given back before a message has told of as much is not spent, but for what went beyond", () => {
    const lease = aLease(rateSpec, 50);
    const stock = newStock(lease, "id", 0);
    lease.stock = stock;
    stock.heard = true;
    const tell = (): void =>
      void blockOf(stock, JUST_SETTLE, {
        mono: 0,
        at: 0,
        ttlMs: 10_000,
        graceMs: 1_000,
        waitsFor: Infinity,
      });
    hold(lease, 20);
    tell();
    hold(lease, 10);
    holdBeyond(lease, 5);
    unhold(lease, 15);
    expect(lease).toMatchObject({ spent: 25, refunded: 5, beyond: 5, pending: 20 });
    expect(free(lease)).toBe(30);
    tell();
    unhold(lease, 20);
    expect(lease).toMatchObject({ spent: 25, refunded: 25, pending: 0 });
  });

  test("LE4: the store hears of a rate's hold in the same turn, of a budget's it need not", () => {
    const rate = aLease(rateSpec, 60);
    hold(rate, 60);
    const budget = aLease(aLedgerSpec(), 60);
    hold(budget, 60);
    expect([rate.dirty, budget.dirty]).toEqual([true, false]);
    block(rate, 0);
    expect(rate.dirty).toBe(false);
  });

  test("settled is what the fleet has settled and what it has not heard of yet", () => {
    const lease = aLease(aLedgerSpec(), 100);
    lease.view = { ...lease.view, spent: 500 };
    lease.spent = 70;
    lease.toldSpent = 30;
    expect(settled(lease)).toBe(540);
  });

  test("a rate's level goes on rising between two messages, up to what is not out", () => {
    const lease = aLease(rateSpec);
    lease.view = {
      ...lease.view,
      available: 20,
      rate: { level: 20, remainder: 0, at: 0 },
      out: 30,
    };
    expect([1_000, 5_000, 60_000].map((mono) => available(lease, mono))).toEqual([30, 70, 70]);
    lease.view = { ...lease.view, rate: { level: -15, remainder: 0, at: 0 } };
    expect([0, 1_000, 2_000].map((mono) => debt(lease, mono))).toEqual([15, 5, 0]);
  });
});

const aStep = fc.record({
  do: fc.constantFrom("grant", "hold", "holdBeyond", "unhold", "pay", "return", "tell"),
  units: fc.nat({ max: 60 }),
  owed: fc.boolean(),
});
type Step = typeof aStep extends fc.Arbitrary<infer S> ? S : never;
const TOTALS = ["granted", "spent", "returned", "beyond", "overage", "refunded"] as const;

/** A lease, its ledger, and what an accountant who knows neither believes to be held. */
function act(lease: Lease, ledger: ReturnType<typeof createLedger>, held: number, step: Step) {
  const { units, owed } = step;
  switch (step.do) {
    case "grant":
      if (units > viewOf(ledger).available) return held;
      settle(ledger, block(lease, 0), 0);
      grant(ledger, units);
      lease.granted += units;
      return held;
    case "hold": {
      const most = Math.min(units, free(lease));
      hold(lease, most);
      return held + most;
    }
    case "holdBeyond":
      holdBeyond(lease, units);
      return held + units;
    case "unhold":
      unhold(lease, Math.min(units, held));
      return held - Math.min(units, held);
    case "pay": {
      const part = Math.min(units, held);
      const covered = Math.min(7, free(lease));
      pay(lease, { held: part, covered, beyond: units % 11, owed });
      return held - part;
    }
    case "return":
      returnFree(lease);
      return held;
    default:
      settle(ledger, block(lease, 0), 0);
      return held;
  }
}

describe("for every life of a lease", () => {
  test("LE1, LE2, LE3: free is never negative, totals only grow, and out is what it has", () => {
    const specs = fc.constantFrom(aLedgerSpec({ capacity: 300 }), rateSpec);
    const steps = fc.array(aStep, { minLength: 1, maxLength: 60, size: "max" });
    const found = counterexample(fc.tuple(specs, steps), ([spec, play]) => {
      const lease = aLease(spec);
      const ledger = createLedger(spec, undefined, 0);
      let held = 0;
      for (const step of play) {
        const before = { ...lease };
        held = act(lease, ledger, held, step);
        assert.ok(free(lease) >= 0, "LE1");
        for (const total of TOTALS) assert.ok(lease[total] >= before[total], `LE2: ${total}`);
        settle(ledger, block(lease, 0), 0);
        const holds = spec.kind === "rate" ? 0 : held; // (LE4)
        assert.equal(ledger.out, holds + free(lease), "LE3");
      }
    });
    expect(found).toBe("");
  });
});
