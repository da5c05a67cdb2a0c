import { expect, test } from "vitest";
import { counterexample } from "../support/counterexample.ts";
import { play } from "./commands.ts";
import { someHistory } from "./history.ts";

/** Milliseconds of search; the default is a slice for every run of the tests. */
const BUDGET_MS = Number(process.env["MODEL_MS"] ?? 8_000);
const SEED = process.env["MODEL_SEED"];

test(
  "the engine agrees with the model on every answer and balance (S1–S31)",
  () => {
    const found = counterexample(someHistory, play, {
      numRuns: 1_000_000,
      interruptAfterTimeLimit: BUDGET_MS,
      markInterruptAsFailure: false,
      ...(SEED === undefined ? {} : { seed: Number(SEED) }),
    });
    expect(found).toBe("");
  },
  BUDGET_MS * 2 + 60_000,
);
