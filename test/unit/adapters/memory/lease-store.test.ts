import { describe, expect, test } from "vitest";
import { createMemoryLeaseStore } from "../../../../src/adapters/memory/lease-store.ts";
import type {
  LedgerAnswer,
  LedgerBlock,
  LedgerReading,
  LedgerSpec,
} from "../../../../src/core/lease/ledger.ts";
import { MAX_UNITS } from "../../../../src/core/units.ts";
import type { StoreFault } from "../../../../src/ports/lease-store.ts";
import { aBlock, aLedgerSpec, aRateSpec } from "../../../support/ledgers.ts";
import { createManualClock } from "../../../support/manual-clock.ts";

const certain = <T>(answers: readonly T[] | StoreFault): readonly T[] => {
  if ("fault" in answers) throw new Error(answers.fault);
  return answers;
};

function aStore() {
  const clock = createManualClock(0);
  const store = createMemoryLeaseStore(clock);
  return {
    clock,
    close: () => store.close(),
    sync(...blocks: LedgerBlock[]): readonly LedgerAnswer[] {
      const heard: (readonly LedgerAnswer[] | StoreFault)[] = [];
      store.sync(blocks, (answers) => heard.push(answers));
      expect(heard).toHaveLength(1);
      return certain(heard[0] ?? []);
    },
    read(...keys: string[]): readonly (LedgerReading | undefined)[] {
      const heard: (readonly (LedgerReading | undefined)[] | StoreFault)[] = [];
      store.read(keys, (views) => heard.push(views));
      expect(heard).toHaveLength(1);
      return certain(heard[0] ?? []);
    },
  };
}

const a = aLedgerSpec({ key: "a" });
const b = aLedgerSpec({ key: "b", capacity: 10 });

describe("a message to the memory store", () => {
  test("MS1: needs are granted in all blocks", () => {
    const store = aStore();
    const answers = store.sync(aBlock(a, { need: 60 }), aBlock(b, { need: 10 }));
    expect(answers).toMatchObject([
      { granted: 60, short: false, view: { out: 60, available: 40 } },
      { granted: 10, short: false, view: { out: 10, available: 0 } },
    ]);
  });

  test("MS1: or in none, and the answer says which were short", () => {
    const store = aStore();
    const answers = store.sync(aBlock(a, { need: 60 }), aBlock(b, { need: 11 }));
    expect(answers).toMatchObject([
      { granted: 0, short: false, view: { out: 0, available: 100 } },
      { granted: 0, short: true, view: { out: 0, available: 10 } },
    ]);
  });

  test("MS1: totals are merged in every block, also where the needs are refused", () => {
    const store = aStore();
    store.sync(aBlock(a, { need: 60 }));
    const [, second] = store.sync(
      aBlock(b, { need: 11 }),
      aBlock(a, { granted: 60, spent: 25, returned: 5, need: 1 }),
    );
    expect(second).toMatchObject({ granted: 30, short: false, view: { spent: 25, out: 30 } });
  });

  test("MS1: what a message gives back it may take again", () => {
    const store = aStore();
    store.sync(aBlock(a, { need: 100 }));
    const [answer] = store.sync(aBlock(a, { granted: 100, returned: 40, need: 40 }));
    expect(answer).toMatchObject({ granted: 100, short: false, view: { out: 100 } });
  });

  test("a rate is refilled up to the moment of the message", () => {
    const store = aStore();
    const rate = aRateSpec({ units: 10, everyMs: 1_000, burst: 100 }, { key: "r" });
    store.sync(aBlock(rate, { need: 100 }));
    store.sync(aBlock(rate, { granted: 100, spent: 100 }));
    store.clock.advance(2_500);
    expect(store.sync(aBlock(rate))).toMatchObject([{ view: { available: 25 } }]);
  });
});

describe("totals", () => {
  test("MS4: are folded with each message: what is out is all that is granted, the rest begins anew", () => {
    const store = aStore();
    expect(store.sync(aBlock(a, { need: 60 }))).toMatchObject([{ granted: 60, folded: true }]);
    const used = { spent: 20, returned: 10, beyond: 5, overage: 5 };
    expect(store.sync(aBlock(a, { granted: 60, ...used }))).toMatchObject([
      { granted: 35, folded: true, view: { spent: 20, out: 35, available: 45 } },
    ]);
    expect(store.sync(aBlock(a, { granted: 35, spent: 35 }))).toMatchObject([
      { granted: 0, view: { spent: 55, out: 0, available: 45 } },
    ]);
  });

  test("MS4: nothing is lost by it: units that go out and come back for ever stay exact", () => {
    const store = aStore();
    const all = aLedgerSpec({ key: "all", capacity: MAX_UNITS });
    for (let i = 0; i < 100; i += 1) {
      const need = MAX_UNITS - i;
      expect(store.sync(aBlock(all, { need }))).toMatchObject([{ granted: need, short: false }]);
      store.sync(aBlock(all, { granted: need, returned: need - 1, spent: 1 }));
    }
    expect(store.read("all")).toMatchObject([{ out: 0, spent: 100, available: MAX_UNITS - 100 }]);
  });
});

describe("reading", () => {
  test("MS2: creates nothing: an unknown ledger stays unknown", () => {
    const store = aStore();
    expect(store.read("a", "a")).toEqual([undefined, undefined]);
    expect(store.read("a")).toEqual([undefined]);
  });

  test("MS2: tells under which numbers a balance was made: of the highest revision that was told of it", () => {
    const store = aStore();
    store.sync(aBlock({ ...a, version: 2, capacity: 300, rollover: 7 }, { need: 60 }));
    store.sync(aBlock(a));
    const numbers = { version: 2, capacity: 300, overdraft: 0, rollover: 7, carryDebt: false };
    expect(store.read("a")).toMatchObject([{ available: 240, numbers }]);
  });

  test("MS2: changes no balance, and brings a rate up to now", () => {
    const store = aStore();
    const rate = aRateSpec({ units: 10, everyMs: 1_000, burst: 100 }, { key: "r" });
    store.sync(aBlock(a, { need: 60 }), aBlock(rate, { need: 100 }));
    store.sync(aBlock(rate, { granted: 100, spent: 100 }));
    store.clock.advance(1_050);
    expect(store.read("r", "a", "nobody")).toMatchObject([
      { available: 10 },
      { available: 40, out: 60 },
      undefined,
    ]);
    store.clock.advance(50);
    store.read("r");
    store.clock.advance(900);
    expect(store.read("r")).toMatchObject([{ available: 20 }]);
  });
});

describe("a closed ledger", () => {
  test("MS3: is gone", () => {
    const store = aStore();
    store.sync(aBlock(a, { need: 60 }));
    store.sync(aBlock(a, { granted: 60, spent: 50, returned: 10, close: true }));
    expect(store.read("a")).toEqual([undefined]);
  });

  test("MS3: unless something of it is still out", () => {
    const store = aStore();
    store.sync(aBlock(a, { need: 60 }));
    store.sync(aBlock(a, { granted: 60, spent: 50, close: true }));
    expect(store.read("a")).toMatchObject([{ out: 10, spent: 50 }]);
  });

  const inPeriod = (index: number): LedgerSpec =>
    aLedgerSpec({
      key: `f/n${index}`,
      family: "f",
      rollover: 30,
      carryDebt: true,
      start: index * 1_000,
      end: index * 1_000 + 1_000,
    });

  test("MS3: but what it leaves to the next period of its family is kept", () => {
    const store = aStore();
    const old = inPeriod(0);
    store.sync(aBlock(old, { need: 80 }));
    store.sync(aBlock(old, { granted: 80, spent: 80, close: true }));
    expect(store.read(old.key)).toEqual([undefined]);
    expect(store.sync(aBlock(inPeriod(1)))).toMatchObject([{ view: { limit: 120 } }]);
  });

  test("MS3: debt is kept in the same way", () => {
    const store = aStore();
    const old = inPeriod(0);
    store.sync(aBlock(old, { spent: 130, beyond: 130, overage: 130, close: true }));
    expect(store.sync(aBlock(inPeriod(1)))).toMatchObject([{ view: { spent: 30, available: 70 } }]);
  });

  test("MS3: an earlier period that is asked for late takes nothing from a later one", () => {
    const store = aStore();
    store.sync(aBlock(inPeriod(1), { spent: 130, beyond: 130, overage: 130 }));
    expect(store.sync(aBlock(inPeriod(0)))).toMatchObject([{ view: { limit: 100, spent: 0 } }]);
    expect(store.sync(aBlock(inPeriod(2)))).toMatchObject([{ view: { spent: 30 } }]);
  });
});

test("closing the store ends", async () => {
  await expect(aStore().close()).resolves.toBeUndefined();
});
