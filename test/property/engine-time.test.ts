/** What holds about time for every policy and every sequence of calls. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isRejection } from "../../src/core/rejection.ts";
import type { Denial } from "../../src/core/verdict.ts";
import { policyText, someLimits } from "../model/policies.ts";
import { aCheck, aReserve } from "../support/builders.ts";
import { counterexample } from "../support/counterexample.ts";
import { engineWith } from "../support/engine-harness.ts";
import {
  anAdvance,
  aPlayer,
  aRandomCall,
  play,
  type RandomStep,
} from "../support/random-operations.ts";

const NOW = "2026-11-21T10:00:07.123Z";

const steps = (calls: fc.Arbitrary<RandomStep>) =>
  fc.array(
    fc.oneof(
      { weight: 5, arbitrary: calls },
      { weight: 1, arbitrary: anAdvance as fc.Arbitrary<RandomStep> },
    ),
    { minLength: 5, maxLength: 30, size: "max" },
  );
const anyCall = aRandomCall as fc.Arbitrary<RandomStep>;
const spending = anyCall.filter(
  (step) => step.do === "consume" || step.do === "check" || step.do === "advance",
);
const anAsk = fc.tuple(
  fc.constantFrom("", "r-1"),
  fc.constantFrom("tokens", "usd_micros", "requests"),
  fc.integer({ min: 10, max: 70 }),
);

const checkOf = ([run, meter, units]: readonly [string, string, number]) =>
  aCheck({ subject: { dimensions: run === "" ? {} : { run } }, amounts: { [meter]: units } });

test("S15: whoever waits for retry_after passes, if nobody else comes", () => {
  const found = counterexample(
    fc.tuple(someLimits, steps(anyCall), anAsk),
    ([limits, before, ask]) => {
      const player = aPlayer(engineWith(policyText(limits), { now: NOW }));
      for (const step of before) play(player, step);
      const { denial } = player.harness.ok(checkOf(ask)).verdict;
      if (denial?.retryAfterMs === undefined) return;
      player.harness.clock.advance(denial.retryAfterMs);
      assert.equal(player.harness.ok(checkOf(ask)).verdict.denial, undefined);
    },
  );
  expect(found).toBe("");
});

test("S15: whoever comes a millisecond earlier does not, where nothing is held", () => {
  const found = counterexample(
    fc.tuple(someLimits, steps(spending), anAsk),
    ([limits, before, ask]) => {
      const player = aPlayer(engineWith(policyText(limits), { now: NOW }));
      for (const step of before) play(player, step);
      const { denial } = player.harness.ok(checkOf(ask)).verdict;
      if (denial?.retryAfterMs === undefined) return;
      player.harness.clock.advance(denial.retryAfterMs - 1);
      const late = player.harness.ok(checkOf(ask)).verdict.denial;
      assert.equal(late?.retryAfterMs, 1);
    },
  );
  expect(found).toBe("");
});

test("S15: no retry_after means that no waiting helps", () => {
  const lasting = someLimits.map((limits) => {
    const budgets = limits.filter(({ kind }) => kind === "budget" || kind === "request");
    return budgets.map((limit) => ({
      ...limit,
      periodMs: Infinity,
      rollover: 0,
      carryDebt: false,
    }));
  });
  const found = counterexample(
    fc.tuple(lasting, steps(spending), anAsk),
    ([limits, before, ask]) => {
      const player = aPlayer(engineWith(policyText(limits), { now: NOW }));
      for (const step of before) play(player, step);
      const { denial } = player.harness.ok(checkOf(ask)).verdict;
      assert.equal(denial?.retryAfterMs, undefined);
      player.harness.clock.advance(3_600_000);
      const later = player.harness.ok(checkOf(ask)).verdict.denial;
      assert.equal(later === undefined, denial === undefined);
    },
  );
  expect(found).toBe("");
});

test("time that steps backwards or forwards on the wall changes no rate, slot, hold or `once` budget", () => {
  const timeless = someLimits.map((limits) =>
    limits.map((limit) => ({ ...limit, periodMs: Infinity, rollover: 0, carryDebt: false })),
  );
  const jumps = fc.array(fc.integer({ min: -3_600_000, max: 3_600_000 }), {
    minLength: 30,
    maxLength: 30,
  });
  const found = counterexample(
    fc.tuple(timeless, steps(anyCall), jumps),
    ([limits, sequence, by]) => {
      const steady = aPlayer(engineWith(policyText(limits), { now: NOW }));
      const jumping = aPlayer(engineWith(policyText(limits), { now: NOW }));
      for (const [at, step] of sequence.entries()) {
        jumping.harness.clock.stepWall(by[at] ?? 0);
        assert.deepEqual(essence(play(jumping, step)), essence(play(steady, step)));
      }
    },
  );
  expect(found).toBe("");
});

function essence(answer: ReturnType<typeof play>): unknown {
  if (answer === undefined || isRejection(answer)) return answer?.reason;
  if (!("verdict" in answer)) return answer;
  const { denial, decision } = answer.verdict;
  return { op: answer.op, decision, denial: denial && { ...withoutMoment(denial) } };
}
const withoutMoment = ({ resetsAt: _resetsAt, ...rest }: Denial) => rest;

test("S18: a hold ends at expires_at though no timer ran, and a late timer changes nothing", () => {
  const found = counterexample(fc.tuple(someLimits, steps(anyCall)), ([limits, sequence]) => {
    const timed = aPlayer(engineWith(policyText(limits), { now: NOW }));
    const timerless = aPlayer(engineWith(policyText(limits), { now: NOW }));
    for (const step of sequence) {
      const expected = play(timed, step);
      if (step.do === "advance") timerless.harness.clock.advanceWithoutTimers(step.ms);
      else assert.deepEqual(play(timerless, step), expected);
    }
  });
  expect(found).toBe("");
});

test("S10: best effort takes as much as fits, and a token more would not", () => {
  const worlds = fc.record({
    dollars: fc.integer({ min: 1, max: 5_000 }),
    maximum: fc.integer({ min: 1, max: 500 }),
    input: fc.nat({ max: 200 }),
    output: fc.integer({ min: 1, max: 900 }),
  });
  const found = counterexample(worlds, ({ dollars, maximum, input, output }) => {
    const { ok } = engineWith(`
prices: [{model: m, input: 1.7, output: 3.3}]
tenants:
  acme:
    limits:
      - {name: dollars, meter: usd_micros, budget: {units: ${dollars}, period: day}}
      - {name: message, meter: tokens, request: {max: ${maximum}}}
`);
    const asked = (outputTokens: number, bestEffort: boolean) =>
      ok(
        aReserve({
          action: { name: "m" },
          usage: { inputTokens: input, outputTokens },
          bestEffort,
          dryRun: true,
        }),
      ).verdict;
    const verdict = asked(output, true);
    const held = verdict.decision === "deny" ? 0 : (verdict.caps?.maxOutputTokens ?? output);
    if (held > 0) assert.equal(asked(held, false).decision, "allow");
    if (held < output) assert.equal(asked(held + 1, false).decision, "deny");
  });
  expect(found).toBe("");
});
