/**
 * What a fleet promises of scarce units, whatever the split of load: all are usable, none is handed out twice, and
 * a limit that is used up costs its store next to nothing. Three sidecars, virtual time.
 */
import { describe, expect, test } from "vitest";
import { drive } from "../../../bench/fleet/drive.ts";
import type { Workload } from "../../../bench/fleet/workloads.ts";

const BUDGET: Workload = {
  title: "",
  kind: "budget",
  replicas: 3,
  capacity: 1e6,
  lasts: 14_000,
  rate: () => 80,
};
const RATE: Workload = { ...BUDGET, kind: "rate", capacity: 100e3, refill: 160e3 };
const SLOTS: Workload = { ...BUDGET, kind: "slots", capacity: 100 };

const SPLITS: readonly (readonly [string, Workload["rate"]])[] = [
  ["even", () => 80],
  ["all on one", (i) => (i === 0 ? 240 : 0)],
  ["moving", (i, at) => (i === Math.floor(at / 1_000) % 3 ? 240 : 0)],
];

describe.each(SPLITS)("load that is %s", (_, rate) => {
  test("S17: at least 99.5 % of a budget is used, nothing refused that lay idle for R, never more than all", () => {
    const counts = drive({ ...BUDGET, rate }, 1, 1);
    expect(counts.used).toBeGreaterThan(0.995);
    expect([counts.over, counts.deniedFalselyEarly, counts.deniedLong]).toEqual([0, 0, 0]);
  });

  test("S17: an exhausted budget costs at most 100 operations per 1,000 decisions from 3 s on", () => {
    const { blocksLate, late } = drive({ ...BUDGET, rate, lasts: 20_000 }, 2, 1);
    expect(late).toBeGreaterThan(300);
    expect(blocksLate).toBeLessThan(late / 10);
  });

  test("a rate is used up as one bucket would be but for a quarter of a second's refill, and never beyond", () => {
    const { admitted, ideal, over } = drive({ ...RATE, rate }, 1, 1);
    expect(ideal - admitted).toBeLessThan(0.25 * (RATE.refill ?? 0));
    expect(over).toBeLessThan(1);
  });

  test("all slots are usable, and never more", () => {
    const { taken, over, denied, deniedFalselyEarly } = drive({ ...SLOTS, rate }, 1, 1);
    expect(denied).toBeGreaterThan(100);
    expect(taken).toBeGreaterThan(0.97);
    expect([over, deniedFalselyEarly]).toEqual([0, 0]);
  });
});

test("S17: of a budget of 40 requests over four limits none is refused that lay idle for R", () => {
  const counted = {
    ...BUDGET,
    isCounted: true,
    capacity: 40,
    replicas: 10,
    rate: () => 10,
    levels: 4,
  };
  for (const seed of [1, 2, 3]) {
    const { used, over, deniedFalsely, blocksLate, late } = drive(counted, seed, 1);
    expect([used, over, deniedFalsely]).toEqual([1, 0, 0]);
    expect(blocksLate / 4).toBeLessThan(late / 10);
  }
});

test("a budget that lasts longer than a minute is decided from memory, 999 times of 1,000", () => {
  const plenty = { ...BUDGET, capacity: 40e6, lasts: 60_000 };
  const { lease, decisions, blocks } = drive(plenty, 1, 1);
  expect(lease / decisions).toBeGreaterThan(0.999);
  expect(blocks / decisions).toBeLessThan(0.02);
});
