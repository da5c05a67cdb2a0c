/** Amounts up to 2^53−1, again and again: totals that pass what numbers hold exactly must break nothing. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { expect, test } from "vitest";
import { aCommit, aConsume, anExtend, aRelease, aReserve } from "../support/builders.ts";
import { counterexample } from "../support/counterexample.ts";
import { engineWith, type Harness } from "../support/engine-harness.ts";

const MOST = Number.MAX_SAFE_INTEGER;
const units = fc.constantFrom(0, 1, 2, 7, 1e15, 2 ** 52 - 1, 2 ** 52, MOST - 1, MOST);

const limit = fc.oneof(
  fc.record({
    meter: fc.constant("tokens"),
    mode: fc.constantFrom("enforce", "soft", "shadow"),
    overage: fc.constantFrom("debt", "cap", "reject"),
    on_expiry: fc.constantFrom("release", "charge"),
    budget: fc.record({ units, period: fc.constantFrom("minute", "day") }),
  }),
  fc.record({
    meter: fc.constant("tokens"),
    mode: fc.constantFrom("enforce", "soft", "shadow"),
    rate: fc.record({ units, every: fc.constantFrom("1ms", "1s", "3650d"), burst: units }),
  }),
);
const someLimits = fc
  .array(limit, { minLength: 1, maxLength: 3 })
  .map((limits) => limits.map((one, at) => ({ name: `limit-${at}`, ...one })));

const which = fc.nat({ max: 9 });
const someCalls = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant("consume" as const), units, alreadySpent: fc.boolean() }),
    fc.record({ do: fc.constant("reserve" as const), units }),
    fc.record({ do: fc.constant("commit" as const), which, units, partial: fc.boolean() }),
    fc.record({ do: fc.constant("release" as const), which }),
    fc.record({ do: fc.constant("extend" as const), which, units }),
    fc.record({ do: fc.constant("advance" as const), ms: fc.constantFrom(1, 61_000, 700_000) }),
  ),
  { minLength: 3, maxLength: 25, size: "max" },
);
type Call = typeof someCalls extends fc.Arbitrary<(infer C)[]> ? C : never;

function make({ run, clock }: Harness, ids: string[], call: Call): void {
  if (call.do === "advance") return clock.advance(call.ms);
  if (call.do === "consume") {
    run(aConsume({ amounts: { tokens: call.units }, alreadySpent: call.alreadySpent }));
    return undefined;
  }
  if (call.do === "reserve") {
    const answer = run(aReserve({ amounts: { tokens: call.units } }));
    if ("op" in answer && answer.reservationId !== "") ids.push(answer.reservationId);
    return undefined;
  }
  const id = ids[call.which % Math.max(1, ids.length)] ?? "none";
  if (call.do === "release") run(aRelease(id));
  else if (call.do === "extend") run(anExtend(id, { add: { tokens: call.units } }));
  else run(aCommit(id, { amounts: { tokens: call.units }, partial: call.partial }));
  return undefined;
}

test("S33: the largest amounts, however often, break no invariant and show no broken figure", () => {
  const found = counterexample(fc.tuple(someLimits, someCalls), ([limits, calls]) => {
    const tenants = { acme: { limits } };
    const harness = engineWith(
      JSON.stringify({ apiVersion: "imprest.dev/v1", kind: "Policy", tenants }),
    );
    const ids: string[] = [];
    for (const call of calls) {
      make(harness, ids, call);
      for (const balance of harness.balances({})) {
        assert(Number.isSafeInteger(balance.remainingUnits), `remaining ${balance.remainingUnits}`);
        assert(Number.isSafeInteger(balance.spentUnits), `spent ${balance.spentUnits}`);
        assert(balance.debtUnits >= 0 && balance.localAvailableUnits >= 0);
      }
    }
  });
  expect(found).toBe("");
});
