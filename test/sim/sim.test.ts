/** A short slice of the simulator: enough to see that it runs, that it repeats itself, and that nothing is broken. */
import { expect, test } from "vitest";
import { DIRECTIONS, ENVIRONMENT_OF } from "./directed.ts";
import { run } from "./run.ts";
import { ENVIRONMENTS } from "./setting.ts";

const SEEDS = [1, 2, 3];

test.each(ENVIRONMENTS)(
  "I1, I2, I5, I6, I7, I8, L4: no seed of %s violates an invariant",
  async (environment) => {
    for (const seed of SEEDS) {
      const { violation, counts } = await run({ seed, environment });
      expect({ seed, violation }).toEqual({ seed, violation: "" });
      expect(counts.admitted).toBeGreaterThan(0);
    }
  },
  120_000,
);

test.each(DIRECTIONS)(
  "I1, I5, I6: the schedule %s violates nothing",
  async (directed) => {
    const environment = ENVIRONMENT_OF[directed];
    const { violation } = await run({ seed: 1, environment, directed });
    expect(violation).toBe("");
  },
  60_000,
);

test.each([
  ["calm", 1_700_216],
  ["E0", 1_407_618],
  ["E1", 1_603_360],
  ["E1", 1_702_706],
  ["E3", 1_602_948],
] as const)(
  "%s seed %i, which once did, violates nothing",
  async (environment, seed) => {
    expect((await run({ seed, environment })).violation).toBe("");
  },
  60_000,
);

test("a seed is the same run each time, and another seed is another one", async () => {
  const environment = "E1";
  const [first, again, other] = [
    await run({ seed: 4, environment }),
    await run({ seed: 4, environment }),
    await run({ seed: 5, environment }),
  ];
  expect(again.hash).toBe(first.hash);
  expect(again.events).toBe(first.events);
  expect(other.hash).not.toBe(first.hash);
}, 60_000);
