/** A machine that was paused: its monotonic clock stood, its wall clock and everybody else's went on. */
import { expect, test } from "vitest";
import { SECOND } from "../../../../src/core/time.ts";
import { aCommit, anExtend, aReserve } from "../../../support/builders.ts";
import { fleetOf } from "../../../support/fleet-harness.ts";

const policy = `
plans:
  p:
    limits:
      - {name: s, concurrency: {max: 2}, match: {tag: slot}}
      - {name: b, meter: tokens, budget: {units: 1000, period: day}}
tenants: {acme: {plan: p}}`;

function paused(tags: readonly string[], ms: number) {
  const { clock, replicas } = fleetOf(policy, { replicas: 1 });
  const engine = replicas[0]?.engine;
  const run = (operation: Parameters<(typeof replicas)[0]["run"]>[0]) => {
    const pending = replicas[0]?.run(operation);
    clock.advance(20);
    return pending?.answer;
  };
  const held = run(aReserve({ ttlMs: 5 * SECOND, amounts: { tokens: 10 }, action: { tags } }));
  const id = held && "reservationId" in held ? held.reservationId : "";
  clock.stepWall(ms);
  return { run, id, clock, open: () => engine?.openReservations() };
}

const partly = { amounts: { tokens: 1 }, partial: true };

test("S18: a slot whose expiry passed meanwhile may be another's, and is not prolonged by a partial commit", () => {
  const { run, id, open } = paused(["slot"], 6 * SECOND);
  expect(open()).toBe(1);
  expect(run(aCommit(id, partly))).toMatchObject({ late: true });
  expect(open()).toBe(0);
});

test("S25: nor by Extend", () => {
  const { run, id } = paused(["slot"], 6 * SECOND);
  expect(run(anExtend(id, { byMs: SECOND }))).toMatchObject({ reason: "RESERVATION_EXPIRED" });
});

test("S22: one that is not over is renewed by its ttl, as often as it is told to", () => {
  const { run, id, clock } = paused(["slot"], 4 * SECOND);
  for (let i = 0; i < 3; i++) {
    expect(run(aCommit(id, partly))).toMatchObject({ late: false });
    clock.advance(4 * SECOND);
  }
});

test("S22: units of a budget are this sidecar's as long as its own clock says", () => {
  const { run, id } = paused([], 6 * SECOND);
  expect(run(aCommit(id, partly))).toMatchObject({ late: false });
});
