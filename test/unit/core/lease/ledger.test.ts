import { describe, expect, test } from "vitest";
import {
  available,
  createLedger,
  freshView,
  grant,
  lacks,
  type Ledger,
  type LedgerBlock,
  type LedgerSpec,
  settle,
  viewOf,
} from "../../../../src/core/lease/ledger.ts";
import { aBlock, aLedgerSpec, aRateSpec } from "../../../support/ledgers.ts";

const open = (spec: LedgerSpec, before?: Ledger): Ledger => createLedger(spec, before, 0);
const hear = (ledger: Ledger, parts: Partial<LedgerBlock>, now = 0): void =>
  settle(ledger, aBlock(ledger.spec, parts), now);

describe("a ledger of a budget", () => {
  test("LG1: what is out is granted and beyond, less spent and returned", () => {
    const ledger = open(aLedgerSpec());
    grant(ledger, 60);
    expect(ledger.out).toBe(60);
    hear(ledger, { granted: 60, spent: 25, returned: 10, beyond: 5 });
    expect(ledger.out).toBe(30);
  });

  test("LG1: a holder that accounts for more than it had is a defect, not a balance", () => {
    const ledger = open(aLedgerSpec());
    grant(ledger, 60);
    expect(() => hear(ledger, { granted: 60, spent: 61 })).toThrow("LG1");
  });

  test("LG2: a grant takes all that is available and not a unit more", () => {
    const ledger = open(aLedgerSpec());
    expect(lacks(ledger, 101)).toBe(true);
    expect(lacks(ledger, 100)).toBe(false);
    expect(() => grant(ledger, 101)).toThrow("LG2");
    expect(ledger.granted).toBe(0);
    grant(ledger, 100);
    expect(available(ledger)).toBe(0);
    expect(() => grant(ledger, 1)).toThrow("LG2");
  });

  test("LG2: nothing is asked, nothing is lacking, even far below zero", () => {
    const ledger = open(aLedgerSpec());
    hear(ledger, { spent: 500, beyond: 500, overage: 500 });
    expect(lacks(ledger, 0)).toBe(false);
    grant(ledger, 0);
    expect(available(ledger)).toBe(-400);
  });

  test("LG2: the overdraft is available like units of the limit, and no debt", () => {
    const ledger = open(aLedgerSpec({ overdraft: 20 }));
    grant(ledger, 120);
    hear(ledger, { granted: 120, spent: 120 });
    expect(lacks(ledger, 1)).toBe(true);
    expect(viewOf(ledger)).toMatchObject({ limit: 100, spent: 120, debt: 0 });
  });

  test("LG3: a repeated message, and an older one that comes late, change nothing", () => {
    const ledger = open(aLedgerSpec());
    grant(ledger, 80);
    const first = { granted: 80, spent: 30, returned: 10, beyond: 4, overage: 4 };
    const second = { granted: 80, spent: 60, returned: 20, beyond: 9, overage: 9 };
    hear(ledger, first);
    hear(ledger, second);
    const merged = structuredClone(ledger);
    hear(ledger, second);
    hear(ledger, first);
    expect(ledger).toEqual(merged);
    const straight = open(aLedgerSpec());
    grant(straight, 80);
    hear(straight, second);
    expect(viewOf(straight)).toEqual(viewOf(ledger));
  });

  test("LG4: the worked example: units that come free pay the debt first", () => {
    const ledger = open(aLedgerSpec());
    grant(ledger, 60);
    grant(ledger, 40);
    hear(ledger, { granted: 100, spent: 80, beyond: 20, overage: 20 });
    expect(viewOf(ledger)).toMatchObject({ available: -20, debt: 20 });
    hear(ledger, { granted: 100, spent: 80, beyond: 20, overage: 20, returned: 40 });
    expect(viewOf(ledger)).toMatchObject({ available: 20, debt: 0 });
  });

  test("LG4: a debt that was paid stays paid when the balance falls below zero for another reason", () => {
    const ledger = open(aLedgerSpec());
    grant(ledger, 100);
    hear(ledger, { granted: 100, spent: 60, beyond: 20, overage: 20 });
    hear(ledger, { granted: 100, spent: 60, beyond: 20, overage: 20, returned: 60 });
    expect(viewOf(ledger).debt).toBe(0);
    hear(ledger, { granted: 100, spent: 110, beyond: 70, overage: 20, returned: 60 });
    expect(viewOf(ledger)).toMatchObject({ available: -10, debt: 0 });
  });

  test("LG4: what counts beyond without being owed makes no debt", () => {
    const ledger = open(aLedgerSpec());
    hear(ledger, { spent: 150, beyond: 150 });
    expect(viewOf(ledger)).toMatchObject({ available: -50, debt: 0, spent: 150 });
  });

  test("LG4: a lowered limit makes no debt, and a raised one pays it", () => {
    const ledger = open(aLedgerSpec());
    grant(ledger, 100);
    hear(ledger, { granted: 100, spent: 100 });
    settle(ledger, aBlock(aLedgerSpec({ version: 2, capacity: 30 })), 0);
    expect(viewOf(ledger)).toMatchObject({ limit: 30, available: -70, debt: 0 });
    hear(ledger, { granted: 100, spent: 110, beyond: 10, overage: 10 });
    expect(viewOf(ledger)).toMatchObject({ available: -80, debt: 10 });
    settle(ledger, aBlock(aLedgerSpec({ version: 3, capacity: 110 })), 0);
    expect(viewOf(ledger)).toMatchObject({ available: 0, debt: 0 });
  });

  test("of two versions the higher one's numbers hold, whichever comes last", () => {
    const ledger = open(aLedgerSpec({ version: 2, capacity: 50 }));
    settle(ledger, aBlock(aLedgerSpec({ version: 1, capacity: 1_000 })), 0);
    expect(viewOf(ledger).limit).toBe(50);
    settle(ledger, aBlock(aLedgerSpec({ version: 3, capacity: 70 })), 0);
    expect(viewOf(ledger).limit).toBe(70);
  });
});

describe("what passes from one period into the next", () => {
  const inPeriod = (index: number, parts: Partial<LedgerSpec>): LedgerSpec =>
    aLedgerSpec({
      key: `f/n${index}`,
      family: "f",
      start: index * 1_000,
      end: index * 1_000 + 1_000,
      ...parts,
    });
  const spending = (spec: LedgerSpec, units: number, owed: boolean): Ledger => {
    const ledger = open(spec);
    const covered = Math.min(units, spec.capacity + spec.overdraft);
    const beyond = units - covered;
    grant(ledger, covered);
    hear(ledger, { granted: covered, spent: units, beyond, overage: owed ? beyond : 0 });
    return ledger;
  };

  test("LG5: unspent units, up to the rollover", () => {
    for (const [spent, carried] of [
      [100, 0],
      [90, 10],
      [70, 30],
      [0, 30],
    ] as const) {
      const parts = { rollover: 30 };
      const next = open(inPeriod(1, parts), spending(inPeriod(0, parts), spent, true));
      expect(viewOf(next)).toMatchObject({
        limit: 100 + carried,
        available: 100 + carried,
        spent: 0,
      });
    }
  });

  test("LG5: nothing without a rollover, and no debt without carry_debt", () => {
    const parts = { rollover: 30 };
    const next = open(inPeriod(1, parts), spending(inPeriod(0, parts), 180, true));
    expect(viewOf(next)).toMatchObject({ limit: 100, available: 100, spent: 0, debt: 0 });
  });

  test("LG5: debt passes into the next period with carry_debt, and is settled there first", () => {
    const parts = { carryDebt: true };
    const next = open(inPeriod(1, parts), spending(inPeriod(0, parts), 130, true));
    expect(viewOf(next)).toMatchObject({ limit: 100, available: 70, spent: 30, debt: 0 });
    const deep = open(inPeriod(1, parts), spending(inPeriod(0, parts), 250, true));
    expect(viewOf(deep)).toMatchObject({ available: -50, debt: 50 });
  });

  test("LG5: what was not owed is not carried: soft limits, a lowered limit", () => {
    const parts = { carryDebt: true };
    const soft = open(inPeriod(1, parts), spending(inPeriod(0, parts), 130, false));
    expect(viewOf(soft).available).toBe(100);
    const lowered = spending(inPeriod(0, parts), 100, true);
    settle(lowered, aBlock(inPeriod(0, { ...parts, version: 2, capacity: 10 })), 0);
    expect(viewOf(open(inPeriod(1, { ...parts, version: 2 }), lowered)).available).toBe(100);
  });

  test("LG5: late settlements of the old period follow into the new one", () => {
    const parts = { rollover: 50, carryDebt: true };
    const old = open(inPeriod(0, parts));
    grant(old, 80);
    const next = open(inPeriod(1, parts), old);
    expect(viewOf(next).available).toBe(120);
    hear(old, { granted: 80, spent: 10, returned: 70 });
    expect(viewOf(next).available).toBe(150);
    hear(old, { granted: 80, spent: 210, returned: 70, beyond: 200, overage: 200 });
    expect(viewOf(next).available).toBe(-10);
  });

  test("LG5: what is settled late passes through every period that has begun since", () => {
    const parts = { rollover: 50 };
    const old = open(inPeriod(0, parts));
    grant(old, 80);
    const next = open(inPeriod(1, parts), old);
    grant(next, 120);
    const third = open(inPeriod(2, parts), next);
    hear(old, { granted: 80, returned: 80 });
    expect(viewOf(third).available).toBe(130);
  });
});

describe("a ledger of slots", () => {
  const spec = aLedgerSpec({ kind: "slots", capacity: 3 });

  test("LG2: no more are out than there are", () => {
    const ledger = open(spec);
    grant(ledger, 3);
    expect(lacks(ledger, 1)).toBe(true);
    hear(ledger, { granted: 3, returned: 1 });
    expect(lacks(ledger, 1)).toBe(false);
    expect(viewOf(ledger)).toMatchObject({ limit: 3, spent: 0, out: 2, available: 1, debt: 0 });
  });

  test("LG4: fewer slots than are open make no debt", () => {
    const ledger = open(spec);
    grant(ledger, 3);
    settle(ledger, aBlock({ ...spec, version: 2, capacity: 1 }), 0);
    expect(viewOf(ledger)).toMatchObject({ limit: 1, available: -2, debt: 0 });
  });
});

describe("a ledger of a rate", () => {
  const spec = aRateSpec({ units: 10, everyMs: 1_000, burst: 100 });

  test("LG1: level and out together never exceed the burst", () => {
    const ledger = open(spec);
    grant(ledger, 60);
    hear(ledger, { granted: 60 }, 60_000);
    expect(viewOf(ledger)).toMatchObject({ available: 40, out: 60 });
    hear(ledger, { granted: 60, spent: 60 }, 61_000);
    expect(viewOf(ledger)).toMatchObject({ available: 40, out: 0 });
  });

  test("S13: what is refunded goes back, never above the burst", () => {
    const ledger = open(spec);
    grant(ledger, 60);
    hear(ledger, { granted: 60, spent: 60 }, 0);
    hear(ledger, { granted: 60, spent: 60, refunded: 25 }, 0);
    expect(viewOf(ledger).available).toBe(65);
    hear(ledger, { granted: 60, spent: 60, refunded: 60 }, 3_000);
    expect(viewOf(ledger)).toMatchObject({ available: 100, rate: { remainder: 0 } });
  });

  test("LG3: a refund that is told twice is given once", () => {
    const ledger = open(spec);
    grant(ledger, 60);
    hear(ledger, { granted: 60, spent: 60, refunded: 25 }, 0);
    hear(ledger, { granted: 60, spent: 60, refunded: 25 }, 0);
    expect(viewOf(ledger).available).toBe(65);
  });

  test("LG4: an actual above the hold makes a debt that the refill pays", () => {
    const ledger = open(spec);
    grant(ledger, 100);
    hear(ledger, { granted: 100, spent: 130, beyond: 30, overage: 30 }, 0);
    expect(viewOf(ledger)).toMatchObject({ available: -30, debt: 30 });
    hear(ledger, { granted: 100, spent: 130, beyond: 30, overage: 30 }, 3_000);
    expect(viewOf(ledger)).toMatchObject({ available: 0, debt: 0 });
  });

  test("an edit keeps what is used, and makes no debt", () => {
    const ledger = open(spec);
    grant(ledger, 40);
    hear(ledger, { granted: 40, spent: 40 }, 0);
    const half = aRateSpec({ units: 10, everyMs: 1_000, burst: 50 }, { version: 2 });
    settle(ledger, aBlock(half), 0);
    expect(viewOf(ledger)).toMatchObject({ limit: 50, available: 10 });
    const tiny = aRateSpec({ units: 10, everyMs: 1_000, burst: 20 }, { version: 3 });
    settle(ledger, aBlock(tiny), 0);
    expect(viewOf(ledger)).toMatchObject({ limit: 20, available: 0, debt: 0 });
  });

  test("LG1: a burst that is raised again has room for no more than is not out", () => {
    const ledger = open(spec);
    grant(ledger, 60);
    const lower = aRateSpec({ units: 10, everyMs: 1_000, burst: 50 }, { version: 2 });
    settle(ledger, aBlock(lower, { granted: 60 }), 0);
    const higher = aRateSpec({ units: 10, everyMs: 1_000, burst: 70 }, { version: 3 });
    settle(ledger, aBlock(higher, { granted: 60 }), 0);
    expect(viewOf(ledger)).toMatchObject({ available: 10, out: 60 });
  });
});

test("a ledger that nobody has opened says what a new one would", () => {
  const spec = aLedgerSpec({ overdraft: 5 });
  expect(freshView(spec, 7)).toEqual(viewOf(createLedger(spec, undefined, 7)));
  expect(freshView(spec, 7)).toMatchObject({ limit: 100, spent: 0, out: 0, available: 105 });
});
