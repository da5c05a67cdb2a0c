import { describe, expect, test } from "vitest";
import { createMemoryLeaseStore } from "../../../src/adapters/memory/lease-store.ts";
import { freshView, type LedgerBlock, type LedgerSpec } from "../../../src/core/lease/ledger.ts";
import { createFunds, type Funds, isFault, type Outcome } from "../../../src/engine/funds.ts";
import { createLease, free, hold, type Lease, pay } from "../../../src/engine/lease.ts";
import type { LeaseStore } from "../../../src/ports/lease-store.ts";
import type { Turn } from "../../../src/engine/turn.ts";
import { aLedgerSpec, aRateSpec } from "../../support/ledgers.ts";
import { aCommit, aConsume, aRelease, aReserve } from "../../support/builders.ts";
import { engineWith } from "../../support/engine-harness.ts";
import { createManualClock } from "../../support/manual-clock.ts";

/** A store that notes what it is sent. */
function watched(tellsAll = false) {
  const store = createMemoryLeaseStore(createManualClock(0));
  const sent: (readonly LedgerBlock[])[] = [];
  const sync: LeaseStore["sync"] = (blocks, done) => {
    sent.push(blocks);
    store.sync(blocks, done);
  };
  const funds = createFunds({ ...store, sync }, tellsAll);
  return { funds, sent, out: (key: string) => outOf(store, key) };
}

function outOf(store: LeaseStore, key: string): number | undefined {
  let out: number | undefined;
  store.read([key], (views) => {
    out = isFault(views) ? undefined : views[0]?.out;
  });
  return out;
}

/** A new one: it has heard nothing yet. */
const leaseOf = (spec: LedgerSpec): Lease =>
  Object.assign(createLease(spec, freshView(spec, 0), 0), { dirty: true });
const TURN: Turn = {
  caller: { tenant: "", platform: true },
  now: { wall: 0, latest: 0, mono: 0 },
  ticket: undefined,
  suspend: () => undefined,
  again: () => undefined,
};
const ask = (funds: Funds, ...wants: { lease: Lease; need: number }[]): Outcome =>
  funds.ask(
    wants.map((want) => ({ ...want, limit: { mode: "enforce" } })),
    TURN,
    0,
  );
const pair = (): readonly [Lease, Lease] => [
  leaseOf(aLedgerSpec({ key: "a", capacity: 100 })),
  leaseOf(aLedgerSpec({ key: "b", capacity: 10 })),
];

describe("asking for units", () => {
  test("FU1: what is granted is free on every lease", () => {
    const { funds } = watched();
    const [a, b] = pair();
    expect(ask(funds, { lease: a, need: 60 }, { lease: b, need: 10 })).toBe("granted");
    expect([free(a), free(b)]).toEqual([60, 10]);
  });

  test("FU1: where one is short nothing is granted anywhere", () => {
    const { funds, out } = watched();
    const [a, b] = pair();
    expect(ask(funds, { lease: a, need: 60 }, { lease: b, need: 11 })).toBe("short");
    expect([free(a), free(b), out("a"), out("b")]).toEqual([0, 0, 0, 0]);
  });

  test("FU1: no want is no message, and is granted", () => {
    const { funds, sent } = watched();
    expect([ask(funds), sent]).toEqual(["granted", []]);
  });

  test("FU1: a fault of the store grants nothing and is told", () => {
    const funds = createFunds({
      sync: (_, done) => done({ fault: "lost" }),
      read: (_, done) => done({ fault: "lost" }),
      close: () => Promise.resolve(),
    });
    const [a] = pair();
    expect([ask(funds, { lease: a, need: 1 }), free(a)]).toEqual(["short", 0]);
  });

  test("an answer that is heard twice, or late, credits nothing twice", () => {
    const [a] = pair();
    const view = freshView(a.spec, 0);
    const late: (() => void)[] = [];
    let granted = 0;
    const funds = createFunds({
      sync(blocks, done) {
        granted += blocks[0]?.need ?? 0;
        const answer = [{ granted, folded: false, short: false, view }];
        done(answer);
        late.push(() => done(answer));
      },
      read: (_, done) => done([]),
      close: () => Promise.resolve(),
    });
    ask(funds, { lease: a, need: 10 });
    ask(funds, { lease: a, need: 15 });
    for (const again of late) again();
    expect(free(a)).toBe(15);
  });
});

test("MS4: a store that folds takes off what it was sent, and nothing that came after", () => {
  const [a] = pair();
  const view = freshView(a.spec, 0);
  const answers: (() => void)[] = [];
  const funds = createFunds({
    sync(_, done) {
      answers.push(() => done([{ granted: 35, folded: true, short: false, view }]));
    },
    read: (_, done) => done([]),
    close: () => Promise.resolve(),
  });
  Object.assign(a, { granted: 100, spent: 60, returned: 10, beyond: 5, overage: 5, refunded: 2 });
  a.dirty = true;
  ask(funds, { lease: a, need: 0 });
  pay(a, { held: 0, covered: 20, beyond: 7, owed: true });
  for (const answer of answers) answer();
  expect(a).toMatchObject({ granted: 35, spent: 27, returned: 0, beyond: 7, overage: 7 });
  expect([a.refunded, free(a)]).toEqual([0, 15]);
});

describe("the end of a turn", () => {
  test("FU2: nothing free stays here, and the store knows all that was settled", () => {
    const { funds, sent, out } = watched();
    const [a, b] = pair();
    ask(funds, { lease: a, need: 60 }, { lease: b, need: 10 });
    hold(a, 40);
    pay(b, { held: 0, covered: 10, beyond: 2, owed: true });
    funds.flush();
    expect([free(a), free(b), out("a"), out("b")]).toEqual([0, 0, 40, 0]);
    expect(sent.at(-1)).toMatchObject([
      { returned: 20, spent: 0 },
      { returned: 0, spent: 12, beyond: 2, overage: 2 },
    ]);
    expect(b.view).toMatchObject({ spent: 12, debt: 2, out: 0 });
    expect(b).toMatchObject({ granted: 0, spent: 0, beyond: 0, overage: 0, returned: 0 });
  });

  test("FU2: units that were covered for a commit that is then refused go back as well", () => {
    const { funds, out } = watched();
    const [a] = pair();
    expect(funds.cover(a, 70)).toBe(70);
    funds.flush();
    expect([free(a), out("a")]).toEqual([0, 0]);
  });

  const settleOne = (funds: Funds, lease: Lease, mono: number, beyond = 0): void => {
    funds.begin({ wall: 0, latest: 0, mono });
    ask(funds, { lease, need: 1 });
    hold(lease, 1);
    pay(lease, { held: 1, covered: 0, beyond, owed: true });
    funds.end();
  };

  test("FU4: of a budget the store hears after 100 ms, in one message for all turns", () => {
    const { funds, sent } = watched();
    const [a, b] = pair();
    for (const lease of [a, b]) settleOne(funds, lease, 0); // the first ask hears what is known
    for (const mono of [1, 50, 99]) settleOne(funds, a, mono);
    settleOne(funds, b, 99);
    expect(sent.map((blocks) => blocks.map(({ need }) => need))).toEqual([[1], [1]]);
    settleOne(funds, a, 100);
    expect(sent.slice(2).map((blocks) => blocks.map(({ spent }) => spent))).toEqual([[5, 2]]);
    expect([a.view.spent, b.view.spent, a.spent]).toEqual([5, 2, 0]);
  });

  test("FU4: of a rate, and of a budget with debt, at the end of the turn", () => {
    const { funds, sent } = watched();
    const [a] = pair();
    const rate = leaseOf(aRateSpec({ units: 1, everyMs: 1_000, burst: 10 }, { key: "r" }));
    settleOne(funds, a, 0, 3);
    expect([sent.length, a.view.debt]).toEqual([2, 0]);
    settleOne(funds, rate, 0);
    expect([sent.length, rate.view.available]).toEqual([4, 9]);
  });

  test("FU4: what waits, has debt, and waits again is told once", () => {
    const { ok, clock, balance } = engineWith(
      "plans: {p: {limits: [{name: a, meter: tokens, budget: {units: 100, period: day}}]}}\ntenants: {acme: {plan: p}}",
    );
    ok(aReserve({ amounts: { tokens: 50 } }));
    const { reservationId } = ok(aReserve({ amounts: { tokens: 40 } }));
    ok(aConsume({ amounts: { tokens: 20 }, alreadySpent: true }));
    ok(aRelease(reservationId)); // pays the debt
    for (const tokens of [10, 5]) ok(aConsume({ amounts: { tokens } }));
    clock.advance(150);
    expect(balance({}, "a")).toMatchObject({ spentUnits: 35, remainingUnits: 15 });
  });

  test("FU4: a commit after a reload does not make the old numbers last", () => {
    const policyOf = (units: number): string =>
      `tenants: {acme: {limits: [{name: a, meter: tokens, budget: {units: ${units}, period: day}}]}}`;
    const { ok, reload } = engineWith(policyOf(100));
    const { reservationId } = ok(aReserve({ amounts: { tokens: 60 } }));
    reload(policyOf(70));
    ok(aCommit(reservationId));
    expect(ok(aReserve({ amounts: { tokens: 20 } })).verdict.decision).toBe("deny");
  });

  test("FU4: where a journal is kept, of everything", () => {
    const { funds, sent } = watched(true);
    const [a] = pair();
    for (const mono of [0, 1]) settleOne(funds, a, mono);
    expect(sent.length).toBe(3);
  });

  test("FU4: a lease that is closed while it waits is not opened again", () => {
    const { funds, out } = watched();
    const [a] = pair();
    settleOne(funds, a, 0);
    funds.close(a);
    funds.flush();
    expect(out("a")).toBeUndefined();
  });

  test("a turn that used no lease, or changed none, sends nothing", () => {
    const { funds, sent } = watched();
    const [a] = pair();
    funds.flush();
    a.dirty = false;
    funds.touch(a);
    funds.flush();
    expect(sent).toEqual([]);
  });
});

describe("FU3: a ledger of which all is known", () => {
  function known(spec: LedgerSpec) {
    const store = watched();
    const lease = leaseOf(spec);
    ask(store.funds, { lease, need: 0 });
    store.sent.length = 0;
    return { ...store, lease };
  }

  test("is drawn on without a message, and the one at the end of the turn says so", () => {
    const { funds, sent, out, lease } = known(aLedgerSpec({ key: "a", capacity: 100 }));
    expect([ask(funds, { lease, need: 60 }), free(lease), sent]).toEqual(["granted", 60, []]);
    hold(lease, 60);
    funds.flush();
    expect([out("a"), sent.length, lease.view.available]).toEqual([60, 1, 40]);
    expect(ask(funds, { lease, need: 41 })).toBe("short");
  });

  test("has had nothing taken where nobody used what was drawn, a full rate least of all", () => {
    const refill = { units: 1, everyMs: 1_000, burst: 10 };
    const { funds, sent, lease } = known(
      aLedgerSpec({ key: "a", kind: "rate", capacity: 10, refill }),
    );
    ask(funds, { lease, need: 10 });
    hold(lease, 4);
    funds.flush();
    expect([free(lease), lease.view.available, lease.view.debt]).toEqual([0, 6, 0]);
    sent.length = 0;
    ask(funds, { lease, need: 6 });
    funds.flush();
    expect([free(lease), sent, ask(funds, { lease, need: 6 })]).toEqual([0, [], "granted"]);
  });

  test("is not one that was edited, or into which an earlier period may pass something", () => {
    const { funds, sent, lease } = known(aLedgerSpec({ key: "a\0p", family: "a" }));
    ask(funds, { lease, need: 1 });
    expect(sent).toHaveLength(1);
  });
});

describe("cover", () => {
  test("gets all that is asked where it is there, else what there is", () => {
    const { funds } = watched();
    const [a, b] = pair();
    expect(funds.cover(a, 60)).toBe(60);
    expect(funds.cover(b, 60)).toBe(10);
    expect(funds.cover(b, 60)).toBe(10);
  });

  test("asks for no more than is lacking here", () => {
    const { funds, sent } = watched();
    const [a] = pair();
    ask(funds, { lease: a, need: 60 });
    expect(funds.cover(a, 50)).toBe(50);
    expect(sent).toHaveLength(1);
    funds.cover(a, 65);
    expect(sent.at(-1)).toMatchObject([{ need: 5 }]);
  });
});

test("a lease that is closed is given back and forgotten", () => {
  const { funds, out } = watched();
  const [a] = pair();
  ask(funds, { lease: a, need: 60 });
  funds.close(a);
  expect([free(a), out("a")]).toEqual([0, undefined]);
});
