/** Many seeds at once: none is lost, none is told twice, and none can hold up the others. */
import { expect, test } from "vitest";
import type { Task } from "./worker.ts";
import { startWorkers } from "./workers.ts";

const taskOf = (seed: number): Task => ({ seed, environment: "E0", directed: "burst" });

async function play(seeds: number, budgetMs: number) {
  const told: number[] = [];
  const failed: string[] = [];
  let begun = 0;
  const { done } = startWorkers({
    jobs: 2,
    budgetMs,
    next: () => (begun < seeds ? taskOf(++begun) : undefined),
    told: ({ result }) => told.push(result.seed),
    failed: ({ seed }, why) => failed.push(`${seed}: ${why}`),
  });
  await done;
  return { told: told.toSorted((a, b) => a - b), failed: failed.toSorted() };
}

test("each seed is told once, whichever thread ran it", async () => {
  expect(await play(3, 60_000)).toEqual({ told: [1, 2, 3], failed: [] });
}, 60_000);

test("a seed that takes too long is told as failed, and the next one has its turn", async () => {
  expect(await play(3, 1)).toEqual({
    told: [],
    failed: [1, 2, 3].map((seed) => `${seed}: it took longer than 0.001 s`),
  });
}, 60_000);
