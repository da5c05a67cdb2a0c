import { describe, expect, test } from "vitest";
import type { Replay, Tally } from "../../../../src/cli/demo/replay.ts";
import { type Balances, checkClaims } from "../../../../src/cli/demo/story.ts";
import {
  type ModelCall,
  planTraffic,
  type Side,
  sideOf,
} from "../../../../src/cli/demo/traffic.ts";
import { Denial, DenyReason } from "../../../../src/gen/imprest/v1/quota.ts";

const traffic = planTraffic(1);
const plannedBy = Map.groupBy(traffic, sideOf);
const countOf = (side: Side) => plannedBy.get(side)?.length ?? 0;

const tally = (admitted: number, refused: number, spentMicros: number): Tally => ({
  admitted,
  refused,
  spentMicros,
  refusedBy: new Map(refused === 0 ? [] : [["run-budget BUDGET_EXHAUSTED", refused]]),
});

const account = (limitMicros: number, chargedMicros: number) => ({
  limitMicros,
  chargedMicros,
  remainingMicros: limitMicros - chargedMicros,
});

interface Facts {
  readonly replay: Replay;
  readonly balances: Balances;
  readonly unguarded: {
    readonly loopMicros: number;
    readonly neighboursMicros: number;
    readonly othersMicros: number;
    readonly emptyAtSeconds: number | undefined;
    readonly othersFailed: number;
  };
}

/** A day on which all went as told: the loop's call 51 is the first that is refused. */
const goodDay: Facts = {
  replay: {
    tallies: {
      loop: tally(50, countOf("loop") - 50, 24_000_000),
      neighbours: tally(countOf("neighbours"), 0, 3_000_000),
      others: tally(countOf("others"), 0, 140_000_000),
    },
    replicas: [],
    seenAtCall: 6,
    seenAtMicros: 1_300_000,
    stopped: {
      call: 51,
      atSeconds: 500,
      denial: Denial.fromPartial({ limit: "run-budget", reason: DenyReason.BUDGET_EXHAUSTED }),
    },
    admittedAfterStop: 0,
  },
  balances: {
    run: account(25_000_000, 24_000_000),
    tenant: account(100_000_000, 27_000_000),
    provider: account(5_000_000_000, 167_000_000),
  },
  unguarded: {
    loopMicros: 5_500_000_000,
    neighboursMicros: 3_000_000,
    othersMicros: 140_000_000,
    emptyAtSeconds: 24_000,
    othersFailed: 300,
  },
};

/** The claims that fail when the day was not as told. */
const broken = ({ replay, balances, unguarded }: Facts, calls: readonly ModelCall[] = traffic) =>
  checkClaims(calls, replay, balances, unguarded)
    .map(({ held }, index) => (held ? undefined : index))
    .filter((index) => index !== undefined);

const withTally = (side: Side, changed: Partial<Tally>): Facts => {
  const { replay } = goodDay;
  const tallies = { ...replay.tallies, [side]: { ...replay.tallies[side], ...changed } };
  return { ...goodDay, replay: { ...replay, tallies } };
};
const withReplay = (changed: Partial<Replay>): Facts => ({
  ...goodDay,
  replay: { ...goodDay.replay, ...changed },
});
const withBalances = (changed: Partial<Balances>): Facts => ({
  ...goodDay,
  balances: { ...goodDay.balances, ...changed },
});

describe("IC1: the demo's claims", () => {
  test("hold on a day that went as told", () => {
    expect(broken(goodDay)).toEqual([]);
  });

  test.each<[string, Facts, number]>([
    ["the loop went on after its refusal", withReplay({ admittedAfterStop: 1 }), 0],
    ["the loop was never stopped", withReplay({ stopped: undefined }), 0],
    ["another limit refused once", withTally("loop", { refusedBy: new Map([["x", 1]]) }), 0],
    ["one call was not answered", withTally("loop", { refused: 1, refusedBy: new Map() }), 0],
    ["the run's balance is not what was answered", withBalances({ run: account(25e6, 23e6) }), 1],
    ["the loop rule saw nothing", withReplay({ seenAtCall: undefined }), 2],
    ["the loop rule saw it at call 7", withReplay({ seenAtCall: 7 }), 2],
    [
      "the tenant's balance is not what was answered",
      withBalances({ tenant: account(1e8, 2e7) }),
      3,
    ],
    [
      "a neighbour of the loop was refused",
      withTally("neighbours", { admitted: 39, refused: 1 }),
      3,
    ],
    ["one of the forty-nine was refused", withTally("others", { refused: 1 }), 4],
    [
      "the account's balance is not what was answered",
      withBalances({ provider: account(5e9, 1) }),
      5,
    ],
    [
      "the account never ran empty without Imprest",
      { ...goodDay, unguarded: { ...goodDay.unguarded, emptyAtSeconds: undefined } },
      6,
    ],
  ])("%s: that claim fails, and no other needs to", (_, facts, claim) => {
    expect(broken(facts)).toEqual([claim]);
  });

  test("a refusal that could not be sure yet is one: of a store that several share", () => {
    const { refused } = goodDay.replay.tallies.loop;
    const refusedBy = new Map([
      ["run-budget BUDGET_EXHAUSTED", refused - 3],
      ["run-budget LEASE_PENDING", 3],
    ]);
    expect(broken(withTally("loop", { refusedBy }))).toEqual([]);
  });

  test("more spent than the run's budget fails, though answers and balance agree", () => {
    const day = withTally("loop", { spentMicros: 26_000_000 });
    const balances = { ...day.balances, run: account(25_000_000, 26_000_000) };
    expect(broken({ ...day, balances })).toContain(1);
  });
});
