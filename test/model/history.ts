/** Commands drawn at random: what may happen under a policy. */
import fc from "fast-check";
import { METERS, someLimits } from "./policies.ts";

export const RUNS = ["", "r-1", "r-2"];

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
/** One thing that happens. Reservations are named by the order of their making. */
export type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;
const someCommands = fc.array(command, { minLength: 5, maxLength: 60, size: "max" });

/** A policy, and what happens under it. */
export const someHistory = fc.tuple(someLimits, someCommands);
