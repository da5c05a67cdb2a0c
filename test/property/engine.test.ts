/**
 * What holds for every policy and every sequence of calls, whatever the figures are. (That the figures are right
 * is the model test's business.)
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isRejection } from "../../src/core/rejection.ts";
import type { Balance, Verdict } from "../../src/core/verdict.ts";
import type { OracleLimit } from "../model/limit.ts";
import { policyText, someLimits } from "../model/policies.ts";
import { aCheck, aReserve } from "../support/builders.ts";
import { counterexample } from "../support/counterexample.ts";
import { engineWith } from "../support/engine-harness.ts";
import {
  allBalances,
  anAdvance,
  aPlayer,
  aRandomCall,
  isRefused,
  perform,
  play,
  type Player,
  type RandomStep,
  toOperation,
} from "../support/random-operations.ts";

const NOW = "2026-11-21T10:00:07.123Z";

const someSteps: fc.Arbitrary<RandomStep[]> = fc.array(
  fc.oneof({ weight: 5, arbitrary: aRandomCall }, { weight: 1, arbitrary: anAdvance }),
  { minLength: 5, maxLength: 40, size: "max" },
);

const start = (limits: readonly OracleLimit[]): Player =>
  aPlayer(engineWith(policyText(limits), { now: NOW }));

describe("for every policy and every sequence of calls", () => {
  test("all or nothing: what is refused changes no balance anywhere", () => {
    const found = counterexample(fc.tuple(someLimits, someSteps), ([limits, steps]) => {
      const player = start(limits);
      for (const step of steps) {
        const before = allFigures(player);
        const answer = play(player, step);
        if (answer && isRefused(answer)) assert.deepEqual(allFigures(player), before);
      }
    });
    expect(found).toBe("");
  });

  test("Check and dry runs change nothing and say what Reserve would say", () => {
    const found = counterexample(fc.tuple(someLimits, someSteps), ([limits, steps]) => {
      const player = start(limits);
      for (const step of steps) {
        if (step.do !== "reserve") {
          play(player, step);
          continue;
        }
        const real = toOperation(player, step);
        if (real?.op !== "reserve") throw new Error("a reserve is always possible");
        const before = allBalances(player);
        const { subject, action, amounts, verbose } = real;
        const check = player.harness.ok(aCheck({ subject, action, amounts, verbose }));
        const dry = player.harness.ok({ ...real, dryRun: true });
        assert.deepEqual(allBalances(player), before);
        const answer = perform(player, real);
        if (isRejection(answer) || answer.op !== "reserve")
          throw new Error("not a reserve's answer");
        assert.deepEqual(foretold(dry.verdict), foretold(answer.verdict));
        assert.deepEqual(foretold(check.verdict), foretold(answer.verdict));
      }
    });
    expect(found).toBe("");
  });

  test("S30: remaining = limit − spent − leased + local_available, in budgets and slots", () => {
    const found = counterexample(fc.tuple(someLimits, someSteps), ([limits, steps]) => {
      const player = start(limits);
      const rates = new Set(limits.filter(({ kind }) => kind === "rate").map(({ name }) => name));
      for (const step of steps) {
        play(player, step);
        for (const b of allBalances(player).flat()) {
          if (rates.has(b.limit)) {
            assert.equal(b.spentUnits, 0);
            assert(b.remainingUnits <= b.limitUnits);
          } else {
            const sum = b.limitUnits - b.spentUnits - b.leasedUnits + b.localAvailableUnits;
            assert.equal(b.remainingUnits, sum);
          }
        }
      }
    });
    expect(found).toBe("");
  });

  test("S23: spent + held is never above the limit while no actual is above its hold", () => {
    const withinHold = fc.tuple(someLimits, someSteps).map(([limits, steps]) => ({
      limits: limits.map((limit) => ({ ...limit, mode: "enforce" as const })),
      steps: steps.map((step) =>
        step.do === "commit" ? { ...step, amounts: {}, partial: false } : step,
      ),
    }));
    const found = counterexample(withinHold, ({ limits, steps }) => {
      const player = start(limits);
      const overdraft = new Map(limits.map((limit) => [limit.name, limit.overdraft]));
      for (const step of steps) {
        // A late commit is overage by nature: the hold was gone.
        if (step.do === "commit" && isExpired(player, step.which)) continue;
        play(player, step);
        for (const b of allBalances(player).flat()) {
          assert(b.remainingUnits >= -(overdraft.get(b.limit) ?? 0));
          assert.equal(b.debtUnits, 0);
        }
      }
    });
    expect(found).toBe("");
  });

  test("never negative but by debt, overdraft, soft or shadow", () => {
    const found = counterexample(fc.tuple(someLimits, someSteps), ([limits, steps]) => {
      const player = start(limits);
      const strict = new Set(
        limits.filter((l) => l.mode === "enforce" && l.overdraft === 0).map(({ name }) => name),
      );
      for (const step of steps) {
        play(player, step);
        for (const b of allBalances(player)
          .flat()
          .filter(({ limit }) => strict.has(limit))) {
          assert.equal(Math.max(0, -b.remainingUnits), b.debtUnits);
        }
      }
    });
    expect(found).toBe("");
  });

  test("S28: a retry with the same key gets the same answer and charges nothing again", () => {
    const found = counterexample(fc.tuple(someLimits, someSteps), ([limits, steps]) => {
      const player = start(limits);
      for (const [at, step] of steps.entries()) {
        if (step.do === "advance") {
          player.harness.clock.advance(step.ms);
          continue;
        }
        const operation = toOperation(player, step, `k-${at}`);
        if (operation === undefined) continue;
        const first = perform(player, operation);
        if (step.do === "check" || isRefused(first)) continue;
        const after = allBalances(player);
        assert.deepEqual(perform(player, operation), first);
        assert.deepEqual(perform(player, operation), first);
        assert.deepEqual(allBalances(player), after);
      }
    });
    expect(found).toBe("");
  });

  test("S11: shadow limits never change what another limit does", () => {
    const found = counterexample(
      fc.tuple(someLimits, someLimits, someSteps),
      ([limits, more, steps]) => {
        const shadows = more.map((l) => ({
          ...l,
          name: `shadow-${l.name}`,
          mode: "shadow" as const,
        }));
        const plain = start(limits);
        const shadowed = start([...limits, ...shadows]);
        for (const step of steps) {
          assert.deepEqual(withoutShadows(play(shadowed, step)), withoutShadows(play(plain, step)));
          const seen = allBalances(shadowed).map((list) => list.filter(isNoShadow).map(figures));
          assert.deepEqual(seen, allFigures(plain));
        }
      },
    );
    expect(found).toBe("");
  });

  test("FU4: nobody sees that the store in the process hears later of what may wait", () => {
    const aMoment = fc.record({
      do: fc.constant("advance" as const),
      ms: fc.integer({ min: 1, max: 200 }),
    });
    const aReload = fc.record({
      do: fc.constant("reload" as const),
      percent: fc.constantFrom(50, 80, 130, 500),
    });
    const steps = fc.array(
      fc.oneof(
        { weight: 12, arbitrary: aRandomCall },
        { weight: 3, arbitrary: aMoment },
        { weight: 1, arbitrary: fc.oneof(anAdvance, aReload) },
      ),
      { minLength: 5, maxLength: 40, size: "max" },
    );
    const found = counterexample(
      fc.tuple(someLimits, steps),
      ([limits, sequence]) => {
        const later = start(limits);
        const atOnce = start(limits);
        for (const step of sequence) {
          if (step.do === "reload") {
            const scaled = limits.map((limit) => ({
              ...limit,
              ...(limit.kind === "budget" && {
                units: Math.ceil((limit.units * step.percent) / 100),
              }),
            }));
            for (const { harness } of [later, atOnce]) harness.reload(policyText(scaled));
            allBalances(later); // a bucket that nobody looks at ends its period with the numbers that it had
          } else assert.deepEqual(play(later, step), play(atOnce, step));
          allBalances(atOnce); // whoever looks is told first
        }
        assert.deepEqual(allFigures(later), allFigures(atOnce));
      },
      { numRuns: 60 },
    );
    expect(found).toBe("");
  });

  test("commits may come in any order", () => {
    const holds = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 60 })),
      {
        minLength: 2,
        maxLength: 6,
      },
    );
    const orders = holds.chain((list) =>
      fc.tuple(
        fc.constant(list),
        fc.shuffledSubarray([...list.keys()], { minLength: list.length }),
      ),
    );
    const found = counterexample(fc.tuple(someLimits, orders), ([limits, [list, order]]) => {
      const owing = limits.map((limit) => ({ ...limit, overage: "debt" as const }));
      const settle = (sequence: readonly number[]) => {
        const player = start(owing);
        const made = list.map(([tokens]) => {
          const answer = player.harness.ok(aReserve({ amounts: { tokens } }));
          return answer.reservationId;
        });
        for (const at of sequence) {
          const id = made[at] ?? "";
          const tokens = list[at]?.[1] ?? 0;
          if (id !== "")
            play(
              { ...player, ids: [id] },
              { do: "commit", which: 0, amounts: { tokens }, partial: false },
            );
        }
        return allFigures(player);
      };
      assert.deepEqual(settle(order), settle([...list.keys()]));
    });
    expect(found).toBe("");
  });
});

/** True where that reservation is no longer open. */
function isExpired({ harness, ids }: Player, which: number): boolean {
  const id = ids[which % Math.max(1, ids.length)];
  return !harness.reservations().reservations.some(({ reservationId }) => reservationId === id);
}

const isNoShadow = ({ limit }: Balance): boolean => !limit.startsWith("shadow-");
/** All but what is merely leased: that units wait here and not in the store is nobody's balance. */
const figures = (b: Balance) => [b.limit, b.scope, b.remainingUnits, b.spentUnits, b.debtUnits];
const allFigures = (player: Player) => allBalances(player).map((list) => list.map(figures));

/** All that a Check says of a Reserve: `remaining` is before a hold in the one, after it in the other. */
const foretold = ({ decisionId: _decisionId, limits, ...verdict }: Verdict) => ({
  ...verdict,
  limits: limits.map(({ remainingUnits: _remainingUnits, ...status }) => status),
});

/** Decisions and caps alone: reports of shadow limits, and amounts that only they count, may differ. */
function withoutShadows(answer: ReturnType<typeof play>): unknown {
  if (answer === undefined) return undefined;
  if (isRejection(answer)) return answer.reason;
  return "verdict" in answer ? { op: answer.op, ...rulingOf(answer.verdict) } : { op: answer.op };
}
const rulingOf = ({ decision, denial, caps }: Verdict) => ({ decision, denial, caps });
