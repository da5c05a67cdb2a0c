/** Runs histories on engine and model, and compares every answer and, after each command, every balance. */
import assert from "node:assert/strict";
import { aCheck, aConsume, aReserve } from "../support/builders.ts";
import { engineWith } from "../support/engine-harness.ts";
import { type Command, RUNS } from "./history.ts";
import type { OracleLimit } from "./limit.ts";
import { createOracle, type Hold } from "./oracle.ts";
import { policyText } from "./policies.ts";
import { settle } from "./settling.ts";
import {
  asMap,
  compareAmounts,
  compareBalances,
  compareVerdict,
  key,
  say,
  type World,
} from "./world.ts";

/** Plays a history on engine and model. Throws where they differ. */
export function play([limits, commands]: readonly [
  readonly OracleLimit[],
  readonly Command[],
]): void {
  const own = limits.map((limit) => ({ ...limit }));
  const world: World = {
    harness: engineWith(policyText(own), { now: "2026-11-21T10:00:07.123Z" }),
    oracle: createOracle(own),
    holds: [],
    keys: 0,
  };
  // Rollover counts from a bucket's first use, and whether a call of 0 or a refused one is a use is not written down.
  const first = { tokens: 1, usd_micros: 1, requests: 1 };
  for (const run of RUNS) {
    step(world, { do: "consume", run, amounts: first, alreadySpent: false, retry: false });
  }
  for (const one of commands) step(world, one);
}

/** Runs one command on both sides. Throws where they differ. */
function step(world: World, todo: Command): void {
  const { harness, oracle } = world;
  const now = (): number => harness.clock.wall();
  oracle.pass(now());
  if (todo.do === "advance") {
    harness.clock.advance(todo.ms);
    oracle.pass(now());
  } else if (todo.do === "edit") edit(world, todo.which, todo.units);
  else if (todo.do === "check" || todo.do === "reserve" || todo.do === "consume")
    ask(world, todo, now());
  else settle(world, todo, now());
  compareBalances(world, now());
}

/** Not settled, and made in a period that has ended: whether an edit reaches back to it is not written down. */
const isLeftOver = (hold: Hold, now: number): boolean =>
  (hold.state === "open" || hold.state === "expired") &&
  hold.parts.some(({ bucket: { limit, start } }) => now >= start + limit.periodMs);

/** Numbers of budgets, maxima and slots may change at any time (policy.md: what is used stays). */
function edit({ harness, oracle, holds }: World, at: number, units: number): void {
  const limit = oracle.limits[at % oracle.limits.length];
  if (!limit || limit.kind === "rate" || limit.rollover > 0 || limit.carryDebt) return;
  if (holds.some(({ hold }) => isLeftOver(hold, harness.clock.wall()))) return;
  limit.units =
    limit.kind === "slots" ? 1 + (units % 4) : limit.kind === "request" ? 25 + (units % 40) : units;
  harness.reload(policyText(oracle.limits));
  oracle.payDebts(harness.clock.wall());
}

type Ask = Extract<Command, { do: "check" | "reserve" | "consume" }>;

function ask(world: World, todo: Ask, now: number): void {
  const { harness, oracle } = world;
  const wanted = new Map([["requests", 1], ...Object.entries(todo.amounts)]);
  const parts = {
    subject: { dimensions: todo.run === "" ? {} : { run: todo.run } },
    amounts: todo.amounts,
  };
  const limits = oracle.applying(todo.run);
  if (todo.do === "consume" && todo.alreadySpent) {
    // Whether a rejecting limit may refuse what has happened is not written down: not asked.
    if (limits.some(({ overage, mode }) => overage === "reject" && mode === "enforce")) return;
    const answer = say(
      world,
      aConsume({ ...parts, alreadySpent: true, ...key(world, todo) }),
      todo.retry,
    );
    assert.notEqual(answer.verdict.decision, "deny");
    oracle.commit(oracle.hold(todo.run, new Map(), 0, now), wanted, false, now);
    return;
  }
  const ruling = oracle.decide({ run: todo.run, amounts: wanted }, now);
  if (todo.do === "check") {
    compareVerdict(harness.ok(aCheck(parts)).verdict, ruling);
  } else if (todo.do === "consume") {
    const { verdict, charged } = say(
      world,
      aConsume({ ...parts, ...key(world, todo) }),
      todo.retry,
    );
    compareVerdict(verdict, ruling);
    if (ruling.refusal) return;
    oracle.commit(oracle.hold(todo.run, wanted, 0, now), wanted, false, now);
    compareAmounts(limits, asMap(charged), wanted);
  } else {
    const { ttlMs } = todo;
    const answer = say(world, aReserve({ ...parts, ttlMs, ...key(world, todo) }), todo.retry);
    compareVerdict(answer.verdict, ruling);
    assert.equal(answer.reservationId === "", ruling.refusal !== undefined);
    if (ruling.refusal) return;
    const hold = oracle.hold(todo.run, wanted, ttlMs, now);
    world.holds.push({ id: answer.reservationId, hold });
    assert.equal(answer.expiresAt, hold.expires);
    compareAmounts(limits, asMap(answer.reserved), wanted);
  }
}
