/**
 * Sequences of calls for property tests: drawn as plain values, played on any engine. Reservations are named by the
 * number of their making, so that the same sequence can be played on two engines and the answers compared.
 */
import fc from "fast-check";
import type { Operation } from "../../src/core/operation.ts";
import { isRejection, type Rejection } from "../../src/core/rejection.ts";
import type { Answer } from "../../src/core/verdict.ts";
import { aCheck, aCommit, aConsume, anExtend, aRelease, aReserve } from "./builders.ts";
import type { Harness } from "./engine-harness.ts";

const METERS = ["tokens", "usd_micros", "requests"] as const;
const RUNS = ["", "r-1", "r-2"] as const;

const amounts = fc
  .array(fc.tuple(fc.constantFrom(...METERS), fc.integer({ min: 0, max: 70 })), { maxLength: 3 })
  .map((list): Record<string, number> => Object.fromEntries(list));
const run = fc.constantFrom(...RUNS);
const which = fc.nat({ max: 20 });

export const anAdvance = fc.record({
  do: fc.constant("advance" as const),
  ms: fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 1, max: 90_000 })),
});
const asking = { run, amounts };
export const aRandomCall = fc.oneof(
  fc.record({ do: fc.constant("check" as const), ...asking }),
  fc.record({
    do: fc.constant("reserve" as const),
    ...asking,
    ttlMs: fc.constantFrom(1_000, 30_000),
  }),
  fc.record({ do: fc.constant("reserve" as const), ...asking, ttlMs: fc.constant(60_000) }),
  fc.record({ do: fc.constant("consume" as const), ...asking }),
  fc.record({ do: fc.constant("commit" as const), which, amounts, partial: fc.boolean() }),
  fc.record({ do: fc.constant("commit" as const), which, amounts, partial: fc.constant(false) }),
  fc.record({ do: fc.constant("release" as const), which }),
  fc.record({ do: fc.constant("extend" as const), which, byMs: fc.nat({ max: 40_000 }), amounts }),
);
export type RandomCall = typeof aRandomCall extends fc.Arbitrary<infer C> ? C : never;
export type RandomStep = RandomCall | { readonly do: "advance"; readonly ms: number };

/** A player keeps the ids of the reservations made on its engine. */
export interface Player {
  readonly harness: Harness;
  readonly ids: string[];
}
export const aPlayer = (harness: Harness): Player => ({ harness, ids: [] });

/** The call as an operation. `undefined`: it speaks of a reservation and there is none yet. */
export function toOperation({ ids }: Player, call: RandomCall, key = ""): Operation | undefined {
  if (call.do === "check" || call.do === "reserve" || call.do === "consume") {
    const parts = {
      subject: { dimensions: call.run === "" ? {} : { run: call.run } },
      amounts: call.amounts,
      idempotencyKey: key,
    };
    if (call.do === "check") return aCheck(parts);
    return call.do === "consume" ? aConsume(parts) : aReserve({ ...parts, ttlMs: call.ttlMs });
  }
  const id = ids[call.which % Math.max(1, ids.length)];
  if (id === undefined) return undefined;
  if (call.do === "release") return aRelease(id, { idempotencyKey: key });
  if (call.do === "extend") {
    return anExtend(id, { byMs: call.byMs, add: call.amounts, idempotencyKey: key });
  }
  return aCommit(id, { amounts: call.amounts, partial: call.partial, idempotencyKey: key });
}

/** Runs one operation and remembers the reservation that it made. */
export function perform(player: Player, operation: Operation): Answer | Rejection {
  const answer = player.harness.run(operation);
  if (!isRejection(answer) && answer.op === "reserve" && answer.reservationId !== "") {
    if (!player.ids.includes(answer.reservationId)) player.ids.push(answer.reservationId);
  }
  return answer;
}

export function play(player: Player, step: RandomStep) {
  if (step.do === "advance") {
    player.harness.clock.advance(step.ms);
    return undefined;
  }
  const operation = toOperation(player, step);
  return operation && perform(player, operation);
}

/** Every balance of every run, as plain values. */
export const allBalances = ({ harness }: Player) =>
  RUNS.map((one) => harness.balances({ dimensions: one === "" ? {} : { run: one } }));

/** True where the answer refuses: a denial, or an error. */
export const isRefused = (answer: Answer | Rejection): boolean =>
  isRejection(answer) ||
  ("verdict" in answer && answer.op !== "commit" && answer.verdict.decision === "deny");
