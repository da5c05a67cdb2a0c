/** Commit, Release and Extend on engine and model: every state that a reservation can be in. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import type { Operation } from "../../src/core/operation.ts";
import { isRejection, type Rejection } from "../../src/core/rejection.ts";
import type { Answer, CommitAnswer } from "../../src/core/verdict.ts";
import { aCommit, anExtend, aRelease } from "../support/builders.ts";
import { isRefused } from "../support/random-operations.ts";
import type { Command } from "./history.ts";
import type { OracleLimit } from "./limit.ts";
import type { Hold, Settlement } from "./oracle.ts";
import { asMap, compareAmounts, key, type World } from "./world.ts";

/** S29: answers of settled reservations are remembered at least this long. */
const REMEMBERED_MS = 900_000;

type Settle = Extract<Command, { do: "commit" | "release" | "extend" }>;

export function settle(world: World, todo: Settle, now: number): void {
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
  if (todo.retry && !isRefused(answer)) assert.deepEqual(harness.run(operation), answer);
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
  const { meter } = todo.add;
  const hasMaximum = oracle.limits.some(
    (limit) => limit.kind === "request" && limit.meter === meter,
  );
  const isOver = (hold.charged.get(meter) ?? 0) > (hold.reserved.get(meter) ?? 0);
  return todo.add.units > 0 && isNow && !hasMaximum && !isOver ? { [meter]: todo.add.units } : {};
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
