/**
 * What holds for every ledger under every sequence of messages, repeated and late ones included. One holder plays
 * against the pure ledger, and against the memory store that is made of it.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMemoryLeaseStore } from "../../src/adapters/memory/lease-store.ts";
import {
  available,
  createLedger,
  fold,
  grant,
  lacks,
  type Ledger,
  type LedgerAnswer,
  type LedgerBlock,
  type LedgerSpec,
  settle,
  viewOf,
} from "../../src/core/lease/ledger.ts";
import { MAX_UNITS } from "../../src/core/units.ts";
import type { StoreFault } from "../../src/ports/lease-store.ts";
import { counterexample } from "../support/counterexample.ts";
import { aBlock, aLedgerSpec, aRateSpec } from "../support/ledgers.ts";
import { createManualClock } from "../support/manual-clock.ts";

/** Shares of what is possible, in hundredths, so that a step has a meaning in every state. */
const share = fc.integer({ min: 0, max: 100 });
const units = fc.nat({ max: 130 });
const aStep = fc.oneof(
  fc.record({ do: fc.constant("ask" as const), units }),
  fc.record({ do: fc.constant("settle" as const), share, beyond: fc.nat({ max: 40 }) }),
  fc.record({ do: fc.constant("return" as const), share }),
  fc.record({ do: fc.constant("refund" as const), share }),
  fc.record({ do: fc.constant("repeat" as const), share }),
  fc.record({ do: fc.constant("edit" as const), units }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.nat({ max: 3_000 }) }),
);
type Step = typeof aStep extends fc.Arbitrary<infer S> ? S : never;
const someSteps = fc.array(aStep, { minLength: 1, maxLength: 60, size: "max" });

const aSpec: fc.Arbitrary<LedgerSpec> = fc.oneof(
  fc.record({ capacity: units, overdraft: fc.constantFrom(0, 30) }).map(aLedgerSpec),
  fc.record({ kind: fc.constant("slots" as const), capacity: units }).map(aLedgerSpec),
  fc
    .record({ units: fc.nat({ max: 20 }), everyMs: fc.constantFrom(100, 1_000), burst: units })
    .map((refill) => aRateSpec({ ...refill })),
);

/** A holder of one ledger: what it says of itself, and all that it ever said. */
interface Holder {
  spec: LedgerSpec;
  totals: LedgerBlock;
  readonly said: LedgerBlock[];
  now: number;
}
const aHolder = (spec: LedgerSpec): Holder => ({ spec, totals: aBlock(spec), said: [], now: 0 });

const free = ({ totals: t }: Holder): number => t.granted + t.beyond - t.spent - t.returned;
const part = (hundredths: number, whole: number): number => Math.floor((hundredths * whole) / 100);

/** The message of one step, sent by a holder who has been granted what it says. */
function message(holder: Holder, step: Step): LedgerBlock {
  const { totals, spec } = holder;
  const grown = (more: Partial<LedgerBlock>): LedgerBlock => ({
    ...totals,
    spec: holder.spec,
    ...more,
  });
  switch (step.do) {
    case "ask":
      return grown({ need: step.units });
    case "settle": {
      const beyond = spec.kind === "slots" ? 0 : step.beyond;
      const spent = part(step.share, free(holder)) + beyond;
      return grown({
        spent: totals.spent + spent,
        beyond: totals.beyond + beyond,
        overage: totals.overage + beyond,
      });
    }
    case "return":
      return grown({ returned: totals.returned + part(step.share, free(holder)) });
    case "refund": {
      const most = spec.kind === "rate" ? totals.spent - totals.beyond - totals.refunded : 0;
      return grown({ refunded: totals.refunded + part(step.share, Math.max(0, most)) });
    }
    case "repeat": {
      const old = holder.said[part(step.share, holder.said.length - 1)];
      return old ? { ...old, need: 0 } : grown({});
    }
    case "edit": {
      const version = spec.version + 1;
      const refill = { ...spec.refill, burst: step.units };
      holder.spec = { ...spec, version, capacity: step.units, refill };
      return grown({});
    }
    case "wait":
      holder.now += step.ms;
      return grown({});
  }
}

/** Keeps what was said; an old message does not make the holder forget what it knows. */
function note(holder: Holder, step: Step, sent: LedgerBlock, granted: number): void {
  holder.said.push(sent);
  if (step.do !== "repeat") holder.totals = { ...sent, need: 0, granted };
}

function checkLedger(ledger: Ledger, holder: Holder): void {
  const { totals, spec } = holder;
  const view = viewOf(ledger);
  assert.equal(ledger.out, totals.granted + totals.beyond - totals.spent - totals.returned, "LG1");
  assert.ok(ledger.out >= 0, "LG1");
  assert.ok(view.debt <= totals.overage, "LG4: debt is overage");
  assert.ok(view.debt === 0 || view.available < 0, "LG4: debt only below zero");
  if (spec.kind === "budget") {
    assert.equal(view.available, spec.capacity + spec.overdraft - totals.spent - ledger.out);
  }
  if (spec.kind === "slots") assert.equal(view.available, spec.capacity - ledger.out);
  if (spec.kind === "rate" && view.available > 0) {
    assert.ok(view.available + ledger.out <= spec.capacity, "a rate is never above its burst");
  }
}

describe("for every ledger and every sequence of messages", () => {
  test("LG1, LG4: what is out is accounted for, and debt is overage that no free unit has paid", () => {
    const found = counterexample(fc.tuple(aSpec, someSteps), ([spec, steps]) => {
      const ledger = createLedger(spec, undefined, 0);
      const holder = aHolder(spec);
      for (const step of steps) {
        const sent = message(holder, step);
        settle(ledger, sent, holder.now);
        if (!lacks(ledger, sent.need)) grant(ledger, sent.need);
        note(holder, step, sent, ledger.granted);
        checkLedger(ledger, holder);
      }
    });
    expect(found).toBe("");
  });

  test("LG2: a grant never exceeds what is available, and a refused ask changes no balance", () => {
    const found = counterexample(fc.tuple(aSpec, someSteps), ([spec, steps]) => {
      const ledger = createLedger(spec, undefined, 0);
      const holder = aHolder(spec);
      for (const step of steps) {
        const sent = message(holder, step);
        settle(ledger, sent, holder.now);
        const before = viewOf(ledger);
        const fits = sent.need === 0 || sent.need <= available(ledger);
        assert.equal(lacks(ledger, sent.need), !fits);
        if (fits) grant(ledger, sent.need);
        else assert.throws(() => grant(ledger, sent.need), /LG2/);
        const after = viewOf(ledger);
        assert.equal(after.available, before.available - (fits ? sent.need : 0));
        assert.equal(after.out, before.out + (fits ? sent.need : 0));
        assert.equal(after.spent, before.spent);
        note(holder, step, sent, ledger.granted);
      }
    });
    expect(found).toBe("");
  });

  test("LG3: totals only grow, and any message heard again changes nothing", () => {
    const found = counterexample(fc.tuple(aSpec, someSteps), ([spec, steps]) => {
      const ledger = createLedger(spec, undefined, 0);
      const holder = aHolder(spec);
      const totals = ["granted", "spent", "returned", "beyond", "overage", "refunded"] as const;
      for (const step of steps) {
        const before = structuredClone(ledger);
        const sent = message(holder, step);
        settle(ledger, sent, holder.now);
        if (!lacks(ledger, sent.need)) grant(ledger, sent.need);
        note(holder, step, sent, ledger.granted);
        for (const total of totals) assert.ok(ledger[total] >= before[total], total);
        const heard = structuredClone(ledger);
        for (const old of holder.said) settle(ledger, { ...old, need: 0 }, holder.now);
        assert.deepEqual(ledger, heard);
      }
    });
    expect(found).toBe("");
  });

  test("LG5: what passes into the next period is at most the rollover, and debt only where it is carried", () => {
    const aFamily = fc.record({
      capacity: units,
      overdraft: fc.constantFrom(0, 30),
      rollover: fc.constantFrom(0, 25, 400),
      carryDebt: fc.boolean(),
    });
    const periods = fc.array(someSteps, { minLength: 2, maxLength: 4 });
    const found = counterexample(fc.tuple(aFamily, periods), ([parts, play]) => {
      let before: Ledger | undefined;
      for (const [i, steps] of play.entries()) {
        const start = i * 1_000_000;
        const spec = aLedgerSpec({ ...parts, family: "f", start, end: start + 1_000_000 });
        const ledger = createLedger(spec, before, start);
        const { available: left } = viewOf(ledger);
        const carried = left - spec.capacity - spec.overdraft;
        assert.ok(carried <= spec.rollover, "at most the rollover");
        assert.ok(carried >= 0 || spec.carryDebt, "below zero only with carry_debt");
        const owed = before ? viewOf(before).debt : 0;
        assert.ok(carried >= -owed, "no more than was owed");
        const holder = aHolder(spec);
        for (const step of steps) {
          if (step.do === "edit") continue;
          const sent = message(holder, step);
          settle(ledger, sent, start);
          if (!lacks(ledger, sent.need)) grant(ledger, sent.need);
          note(holder, step, sent, ledger.granted);
        }
        before = ledger;
      }
    });
    expect(found).toBe("");
  });
});

/** What a holder says of whom all up to `base` has been folded away. */
const since = (base: LedgerBlock, sent: LedgerBlock, out: number): LedgerBlock => ({
  ...sent,
  granted: out,
  spent: sent.spent - base.spent,
  returned: sent.returned - base.returned,
  beyond: sent.beyond - base.beyond,
  overage: sent.overage - base.overage,
  refunded: sent.refunded - base.refunded,
});

describe("folding", () => {
  test("MS4: changes no balance: a ledger that is folded after each message agrees with one that never is", () => {
    const found = counterexample(fc.tuple(aSpec, someSteps), ([spec, steps]) => {
      const whole = createLedger(spec, undefined, 0);
      const folded = createLedger(spec, undefined, 0);
      const holder = aHolder(spec);
      for (const step of steps) {
        if (step.do === "repeat") continue; // in the process no message is
        const base = holder.totals;
        const sent = message(holder, step);
        settle(whole, sent, holder.now);
        settle(folded, since(base, sent, folded.out), holder.now);
        assert.equal(lacks(folded, sent.need), lacks(whole, sent.need));
        if (!lacks(whole, sent.need)) for (const one of [whole, folded]) grant(one, sent.need);
        assert.deepEqual(viewOf(folded), viewOf(whole));
        fold(folded);
        assert.deepEqual(viewOf(folded), viewOf(whole));
        assert.equal(folded.granted, folded.out);
        note(holder, step, sent, whole.granted);
      }
    });
    expect(found).toBe("");
  });

  test("LG6: no figure leaves the range of exact numbers, whatever is spent and however often", () => {
    const extreme = fc.oneof(
      fc.nat({ max: 9 }),
      fc.integer({ min: MAX_UNITS - 9, max: MAX_UNITS }),
    );
    const parts = { capacity: extreme, overdraft: extreme, rollover: extreme };
    const aBudget = fc
      .record({ ...parts, carryDebt: fc.boolean() })
      .map((some) => aLedgerSpec({ ...some, family: "f", end: 1_000 }));
    const aRate = extreme.map((burst) => aRateSpec({ units: 1, everyMs: 1_000, burst }));
    const play = fc.array(fc.tuple(extreme, fc.boolean()), { minLength: 1, maxLength: 12 });
    const found = counterexample(fc.tuple(fc.oneof(aBudget, aRate), play), ([spec, spends]) => {
      const ledger = createLedger(spec, undefined, 0);
      const next = createLedger({ ...spec, start: 1_000, end: 2_000 }, ledger, 1_000);
      const hear = (said: Partial<LedgerBlock>): void => {
        settle(ledger, aBlock(spec, { ...said, granted: ledger.out }), 0);
        fold(ledger);
      };
      for (const [amount, owed] of spends) {
        hear({ spent: amount, beyond: amount, overage: owed ? amount : 0 });
        const room = Math.max(0, Math.min(amount, available(ledger)));
        grant(ledger, room);
        hear({ returned: room });
        for (const one of [ledger, next]) {
          for (const [figure, value] of Object.entries({ ...viewOf(one), ...one })) {
            if (typeof value === "number") assert.ok(Number.isSafeInteger(value), figure);
          }
        }
      }
    });
    expect(found).toBe("");
  });
});

const answersOf = (answers: readonly LedgerAnswer[] | StoreFault): readonly LedgerAnswer[] => {
  if ("fault" in answers) throw new Error(answers.fault);
  return answers;
};

describe("for every sequence of messages of several ledgers to the memory store", () => {
  const message2 = fc.record({
    asks: fc.array(fc.option(units, { nil: undefined }), { minLength: 3, maxLength: 3 }),
    settles: fc.array(share, { minLength: 3, maxLength: 3 }),
    waitMs: fc.nat({ max: 500 }),
  });
  const messages = fc.array(message2, { minLength: 1, maxLength: 30, size: "max" });
  const specs = fc
    .tuple(aSpec, aSpec, aSpec)
    .map((all) => all.map((spec, i) => ({ ...spec, key: `ledger-${i}` })));

  test("MS1, MS2: a message settles all and grants all or nothing; reading changes nothing", () => {
    const found = counterexample(fc.tuple(specs, messages), ([all, play]) => {
      const clock = createManualClock(0);
      const store = createMemoryLeaseStore(clock);
      const holders = all.map(aHolder);
      const keys = [...all.map(({ key }) => key), "unknown"];
      const readAll = (): unknown => {
        let seen: unknown;
        store.read(keys, (views) => (seen = structuredClone(views)));
        return seen;
      };
      for (const { asks, settles, waitMs } of play) {
        clock.advance(waitMs);
        const blocks = holders.map((holder, i) => {
          const step = { do: "settle" as const, share: settles[i] ?? 0, beyond: 0 };
          return { ...message(holder, step), need: asks[i] ?? 0 };
        });
        assert.deepEqual(readAll(), readAll());
        let answers: readonly LedgerAnswer[] = [];
        store.sync(blocks, (heard) => (answers = answersOf(heard)));
        const refused = answers.some(({ short }) => short);
        for (const [i, { granted, short, view }] of answers.entries()) {
          const holder = holders[i];
          const sent = blocks[i];
          if (!holder || !sent) throw new Error("an answer for each block");
          const kept = sent.granted + sent.beyond - sent.spent - sent.returned;
          assert.equal(granted, kept + (refused ? 0 : sent.need), "MS1");
          const fits = sent.need === 0 || sent.need <= view.available;
          if (refused) assert.equal(short, !fits, "MS1: short is what lacks, and nothing else");
          assert.equal(view.out, granted, "MS4: folded, what is out is all that is granted");
          holder.totals = aBlock(holder.spec, { granted });
        }
      }
    });
    expect(found).toBe("");
  });
});
