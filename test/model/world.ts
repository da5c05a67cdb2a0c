/** Engine and model side by side, and how what they say is compared. */
import assert from "node:assert/strict";
import type { Amount, Operation } from "../../src/core/operation.ts";
import type { Rejection } from "../../src/core/rejection.ts";
import type { Answer, Verdict } from "../../src/core/verdict.ts";
import type { Harness } from "../support/engine-harness.ts";
import { isRefused } from "../support/random-operations.ts";
import { RUNS } from "./history.ts";
import type { OracleLimit } from "./limit.ts";
import type { Amounts, Hold, Oracle, Ruling } from "./oracle.ts";

export interface World {
  readonly harness: Harness;
  readonly oracle: Oracle;
  readonly holds: { readonly id: string; readonly hold: Hold; settled?: SettledAs }[];
  keys: number;
}
interface SettledAs {
  readonly at: number;
  readonly operation: Operation;
  readonly answer: Answer | Rejection;
}

export const asMap = (list: readonly Amount[]): Map<string, number> =>
  new Map(list.map(({ meter, units }) => [meter, units]));

/** A key of its own for a command that is to be retried. */
export const key = (world: World, todo: { readonly retry: boolean }): { idempotencyKey?: string } =>
  todo.retry ? { idempotencyKey: `k-${(world.keys += 1)}` } : {};

/** Runs the operation, and where it has a key runs it again: a retry gets the same answer (S28). */
export function say<Op extends Operation>({ harness }: World, operation: Op, retried: boolean) {
  const answer = harness.ok(operation);
  if (retried && !isRefused(answer)) assert.deepEqual(harness.ok(operation), answer);
  return answer;
}

export function compareVerdict(verdict: Verdict, ruling: Ruling): void {
  const { denial } = verdict;
  const heard = {
    decision: verdict.decision,
    refusal: denial && { reason: denial.reason, limit: denial.limit, retryMs: denial.retryAfterMs },
    wouldDeny: verdict.limits
      .flatMap(({ limit, wouldDeny }) => (wouldDeny ? [`${limit} ${wouldDeny.reason}`] : []))
      .toSorted(),
  };
  assert.deepEqual(heard, {
    decision: ruling.refusal ? "deny" : ruling.caps ? "allow_with_caps" : "allow",
    refusal: ruling.refusal,
    wouldDeny: ruling.wouldDeny,
  });
}

/** Only meters that an applying limit counts: whether others are listed is not written down. */
export function compareAmounts(
  limits: readonly OracleLimit[],
  heard: Amounts,
  expected: Amounts,
): void {
  for (const { meter, kind } of limits) {
    if (kind === "slots" || kind === "request" || !expected.has(meter)) continue;
    assert.deepEqual([meter, heard.get(meter) ?? 0], [meter, expected.get(meter)]);
  }
}

const byText = (a: readonly unknown[], b: readonly unknown[]): number =>
  String(a) < String(b) ? -1 : 1;

export function compareBalances({ harness, oracle }: World, now: number): void {
  for (const one of RUNS) {
    const heard = harness.balances({ dimensions: one === "" ? {} : { run: one } });
    const limits = oracle.applying(one).filter(({ kind }) => kind !== "request");
    const seen = heard.map(({ limit, remainingUnits, debtUnits }) => [
      limit,
      remainingUnits,
      debtUnits,
    ]);
    const expected = limits.map((limit) => {
      const { remaining, debt } = oracle.balance(limit, one, now);
      return [limit.name, remaining, debt];
    });
    assert.deepEqual(seen.toSorted(byText), expected.toSorted(byText));
    for (const b of heard.filter(({ limit }) =>
      limits.some((l) => l.name === limit && l.kind === "budget"),
    )) {
      assert(b.localReservedUnits >= 0);
      assert(b.localAvailableUnits >= 0);
    }
  }
}
