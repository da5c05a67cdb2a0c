/**
 * Two engines play the same calls; one of them is killed between two calls, and another process goes on from its
 * journal. Nobody who calls can tell them apart.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { expect, test } from "vitest";
import { policyText, someLimits } from "../model/policies.ts";
import { counterexample } from "../support/counterexample.ts";
import { engineWith } from "../support/engine-harness.ts";
import {
  allBalances,
  anAdvance,
  aPlayer,
  aRandomCall,
  perform,
  type Player,
  type RandomStep,
  toOperation,
} from "../support/random-operations.ts";

const aLongAdvance = fc.record({
  do: fc.constant("advance" as const),
  ms: fc.constantFrom(590_000, 910_000),
});
const aStep = fc.record({
  call: fc.oneof(
    { weight: 10, arbitrary: aRandomCall },
    { weight: 2, arbitrary: anAdvance },
    { weight: 1, arbitrary: aLongAdvance },
  ),
  keyed: fc.boolean(),
  kill: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.boolean()),
});
interface Step {
  readonly call: RandomStep;
  readonly keyed: boolean;
  readonly kill: boolean;
}
const someSteps: fc.Arbitrary<Step[]> = fc.array(aStep, {
  minLength: 5,
  maxLength: 40,
  size: "max",
});

/** Ids are random: reservations are named by the order of their making, decisions not at all. */
function told({ ids }: Player, said: unknown): unknown {
  const text = JSON.stringify(said, (key, value: unknown) =>
    key === "decisionId" ? "" : value instanceof Map ? [...value] : value,
  );
  return ids.reduce((rest, id, i) => rest.replaceAll(id, `#${i}`), text);
}

const seen = (player: Player): unknown =>
  told(player, [allBalances(player), player.harness.reservations()]);

function step(player: Player, { call, keyed }: Step, n: number): unknown {
  if (call.do === "advance") {
    player.harness.clock.advance(call.ms);
    return undefined;
  }
  const operation = toOperation(player, call, keyed ? `key ${n}` : "");
  return operation && told(player, perform(player, operation));
}

test("PE1, PE2, PE3: killed at any moment, the next process answers as if nothing had been (S27)", () => {
  const found = counterexample(fc.tuple(someLimits, someSteps), ([limits, steps]) => {
    const start = (): Player =>
      aPlayer(engineWith(policyText(limits), { now: "2026-11-21T10:00:07.123Z", journal: true }));
    const [whole, killed] = [start(), start()];
    const both = (one: Step, n: number): void =>
      assert.deepEqual(step(killed, one, n), step(whole, one, n));
    for (const [n, one] of steps.entries()) {
      if (one.kill) killed.harness.restart();
      both(one, n);
      assert.deepEqual(seen(killed), seen(whole));
      killed.harness.journal.check();
    }
    killed.harness.restart();
    for (const [n, one] of steps.entries()) if (one.call.do !== "advance") both(one, n);
  });
  expect(found).toBe("");
});
