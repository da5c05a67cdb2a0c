/** Commands drawn at random, and how one is run on engine and model and the two compared. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import type { Amount, Operation } from "../../src/core/operation.ts";
import { isRejection, type Rejection } from "../../src/core/rejection.ts";
import type { Answer, CommitAnswer, Verdict } from "../../src/core/verdict.ts";
import { aCheck, aCommit, aConsume, anExtend, aRelease, aReserve } from "../support/builders.ts";
import { engineWith, type Harness } from "../support/engine-harness.ts";
import type { OracleLimit } from "./limit.ts";
import {
  type Amounts,
  createOracle,
  type Hold,
  type Oracle,
  type Ruling,
  type Settlement,
} from "./oracle.ts";
import { METERS, policyText, someLimits } from "./policies.ts";

const RUNS = ["", "r-1", "r-2"];

const amounts = fc
  .array(fc.record({ meter: fc.constantFrom(...METERS), units: fc.integer({ min: 0, max: 70 }) }), {
    maxLength: 3,
  })
  .map((list) => Object.fromEntries(list.map(({ meter, units }) => [meter, units])));
const run = fc.constantFrom(...RUNS);
const which = fc.nat({ max: 30 });
const retry = fc.constantFrom(false, false, false, true);

const command = fc.oneof(
  fc.record({ do: fc.constant("check" as const), run, amounts }),
  ...[1, 2, 3].map(() =>
    fc.record({
      do: fc.constant("reserve" as const),
      run,
      amounts,
      ttlMs: fc.constantFrom(1_000, 5_000, 60_000, 120_000),
      retry,
    }),
  ),
  fc.record({
    do: fc.constant("consume" as const),
    run,
    amounts,
    alreadySpent: fc.boolean(),
    retry,
  }),
  ...[1, 2].map(() =>
    fc.record({ do: fc.constant("commit" as const), which, amounts, partial: fc.boolean(), retry }),
  ),
  fc.record({ do: fc.constant("release" as const), which, retry }),
  fc.record({
    do: fc.constant("extend" as const),
    which,
    byMs: fc.constantFrom(0, 500, 30_000),
    add: fc.record({ meter: fc.constantFrom("tokens", "usd_micros"), units: fc.nat({ max: 20 }) }),
    retry,
  }),
  fc.record({
    do: fc.constant("advance" as const),
    ms: fc.oneof(
      fc.integer({ min: 1, max: 2_000 }),
      fc.integer({ min: 1, max: 90_000 }),
      fc.constant(700_000),
    ),
  }),
  fc.record({ do: fc.constant("edit" as const), which, units: fc.integer({ min: 10, max: 250 }) }),
);
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;
const someCommands = fc.array(command, { minLength: 5, maxLength: 60, size: "max" });

/** A policy, and what happens under it. */
export const someHistory = fc.tuple(someLimits, someCommands);

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

interface World {
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

const asMap = (list: readonly Amount[]): Map<string, number> =>
  new Map(list.map(({ meter, units }) => [meter, units]));

/** S29: answers of settled reservations are remembered at least this long. */
const REMEMBERED_MS = 900_000;

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

const key = (world: World, todo: { readonly retry: boolean }): { idempotencyKey?: string } =>
  todo.retry ? { idempotencyKey: `k-${(world.keys += 1)}` } : {};

/** Runs the operation, and where it has a key runs it again: a retry gets the same answer (S28). */
function say<Op extends Operation>({ harness }: World, operation: Op, retried: boolean) {
  const answer = harness.ok(operation);
  const denied = "verdict" in answer && answer.verdict.decision === "deny";
  if (retried && !denied) assert.deepEqual(harness.ok(operation), answer);
  return answer;
}

function compareVerdict(verdict: Verdict, ruling: Ruling): void {
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
function compareAmounts(limits: readonly OracleLimit[], heard: Amounts, expected: Amounts): void {
  for (const { meter, kind } of limits) {
    if (kind === "slots" || kind === "request" || !expected.has(meter)) continue;
    assert.deepEqual([meter, heard.get(meter) ?? 0], [meter, expected.get(meter)]);
  }
}

function compareBalances({ harness, oracle }: World, now: number): void {
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
    assert.deepEqual(seen.toSorted(), expected.toSorted());
    for (const b of heard.filter(({ limit }) =>
      limits.some((l) => l.name === limit && l.kind === "budget"),
    )) {
      assert(b.localReservedUnits >= 0);
      assert(b.localAvailableUnits >= 0);
    }
  }
}

type Settle = Extract<Command, { do: "commit" | "release" | "extend" }>;

function settle(world: World, todo: Settle, now: number): void {
  const entry = world.holds[todo.which % Math.max(1, world.holds.length)];
  if (!entry) return;
  const { harness } = world;
  const { hold, id } = entry;
  if (hold.state === "gone") {
    const answer = harness.run(aCommit(id));
    assert.match(String(isRejection(answer) && answer.reason), /^RESERVATION_(EXPIRED|UNKNOWN)$/);
    return;
  }
  const partial = todo.do === "commit" && todo.partial && hold.state === "open";
  const operation =
    todo.do === "commit"
      ? aCommit(id, { amounts: todo.amounts, partial, ...key(world, todo) })
      : todo.do === "release"
        ? aRelease(id, key(world, todo))
        : anExtend(id, {
            byMs: todo.byMs,
            add: addable(world, hold, todo, now),
            ...key(world, todo),
          });
  if (entry.settled) {
    // Equal content gets the first answer, key or not; anything else on a settled reservation fails (S20).
    const first = entry.settled;
    if (now - first.at >= REMEMBERED_MS) return;
    const answer = harness.run({ ...operation, idempotencyKey: "" });
    if (isEqualContent(operation, first.operation)) assert.deepEqual(answer, first.answer);
    else assert.equal(isRejection(answer) && answer.reason, "ALREADY_SETTLED");
    assert.deepEqual(harness.run(first.operation), first.answer);
    return;
  }
  const answer = settleOpen(world, hold, operation, now);
  if (
    todo.retry &&
    !isRejection(answer) &&
    !("verdict" in answer && answer.verdict.decision === "deny")
  ) {
    assert.deepEqual(harness.run(operation), answer);
  }
  if (hold.state === "committed" || hold.state === "released") {
    entry.settled = { operation, answer, at: now };
  }
}

const isEqualContent = (a: Operation, b: Operation): boolean =>
  a.op === "commit" && b.op === "commit"
    ? isDeepStrictEqual(asMap(a.amounts), asMap(b.amounts))
    : a.op === "release" && b.op === "release";

/** What may be added without asking what is not written down: within the hold's own periods, before any overage. */
function addable(
  { oracle }: World,
  hold: Hold,
  todo: Extract<Command, { do: "extend" }>,
  now: number,
): Record<string, number> {
  const isNow = hold.parts.every(
    ({ bucket: { limit, start } }) =>
      limit.periodMs === Infinity || (now >= start && now < start + limit.periodMs),
  );
  const inDebt = hold.parts.some(
    ({ bucket }) => oracle.balance(bucket.limit, hold.run, now).debt > 0,
  );
  const { meter } = todo.add;
  const hasMaximum = oracle.limits.some(
    (limit) => limit.kind === "request" && limit.meter === meter,
  );
  const isOver = (hold.charged.get(meter) ?? 0) > (hold.reserved.get(meter) ?? 0);
  return todo.add.units > 0 && isNow && !inDebt && !hasMaximum && !isOver
    ? { [meter]: todo.add.units }
    : {};
}

type SettleOperation = Extract<Operation, { op: "commit" | "release" | "extend" }>;

function settleOpen(
  { harness, oracle }: World,
  hold: Hold,
  operation: SettleOperation,
  now: number,
): Answer | Rejection {
  const limits = hold.parts.map(({ bucket }) => bucket.limit);
  if (operation.op === "release") {
    const answer = harness.ok(operation);
    const rest = [...hold.reserved].map(
      ([meter, units]) =>
        [
          meter,
          hold.state === "open" ? Math.max(0, units - (hold.charged.get(meter) ?? 0)) : 0,
        ] as const,
    );
    compareAmounts(limits, asMap(answer.released), new Map(rest));
    if (hold.state === "open") oracle.end(hold, "released", now);
    return answer;
  }
  if (operation.op === "extend") {
    const answer = harness.run(operation);
    if (hold.state === "expired") {
      assert.equal(isRejection(answer) && answer.reason, "RESERVATION_EXPIRED");
      return answer;
    }
    if (isRejection(answer)) throw new Error(`extend was rejected: ${answer.reason}`);
    const add = asMap(operation.add);
    const only = limits.filter(({ meter }) => add.has(meter));
    const ruling = oracle.decide({ run: hold.run, amounts: add, only }, now);
    assert.equal(answer.verdict.denial?.limit, ruling.refusal?.limit);
    if (!ruling.refusal) oracle.extend(hold, operation.byMs, add, now);
    assert.equal(answer.expiresAt, hold.expires);
    return answer;
  }
  const wasCapped = isCapped(hold);
  const isLate = hold.state === "expired";
  const answer = harness.run(operation);
  const settlement = oracle.commit(hold, asMap(operation.amounts), operation.partial, now);
  if (settlement === undefined) {
    assert.equal(isRejection(answer) && answer.reason, "OVERAGE_REJECTED");
    return answer;
  }
  if (isRejection(answer))
    throw new Error(`commit was rejected: ${answer.reason} ${answer.message}`);
  assert.equal(answer.late, isLate);
  // What an earlier partial commit left uncharged, and a later one does not state, is not written down.
  if (!wasCapped)
    compareCommit(limits, hold, answer, { ...settlement, partial: operation.partial });
  return answer;
}

const isCapped = ({ parts, charged }: Hold): boolean =>
  parts.some(({ bucket: { limit }, charged: units }) => units < (charged.get(limit.meter) ?? 0));

function compareCommit(
  limits: readonly OracleLimit[],
  hold: Hold,
  heard: CommitAnswer,
  expected: Settlement & { readonly partial: boolean },
): void {
  const heardUncharged = heard.uncharged.reduce((most, { units }) => Math.max(most, units), 0);
  assert.equal(heardUncharged, expected.uncharged);
  if (expected.uncharged > 0) return;
  compareAmounts(limits, asMap(heard.charged), expected.charged);
  const less = [...hold.reserved].map(
    ([meter, units]) =>
      [
        meter,
        expected.partial ? 0 : Math.max(0, units - (expected.charged.get(meter) ?? 0)),
      ] as const,
  );
  const more = [...expected.charged].map(
    ([meter, units]) => [meter, Math.max(0, units - (hold.reserved.get(meter) ?? 0))] as const,
  );
  compareAmounts(limits, asMap(heard.released), new Map(less));
  compareAmounts(limits, asMap(heard.overage), new Map(more));
}
