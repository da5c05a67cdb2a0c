/**
 * The same scenarios on a store that a fleet shares: one engine alone must answer as it does on the embedded one.
 * What a holder keeps in stock is shown in a balance (`leased`, `local_available`) and in `source`; those facts are
 * not compared.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { renderFact } from "./facts.ts";
import { play } from "./play.ts";
import { parseScenarioFile } from "./scenario-file.ts";

const HERE = new URL(".", import.meta.url);

const TO_A_MILLISECOND = "once it has answered, the store's clock is known to a millisecond";

/** Titles that go otherwise there, and why. */
const OTHERWISE = new Map([
  [
    "policy.md, periods: a day in New York has 25 hours when summer time ends and 23 when it begins",
    TO_A_MILLISECOND,
  ],
  [
    "policy.md, periods: an anchor on a month is the day on which it begins, in shorter months the last",
    TO_A_MILLISECOND,
  ],
  [
    "S11: shadow limits of every kind",
    "a rate that is short is refilled with a lease, a moment later",
  ],
  [
    "overage that no free unit covered is counted by meter",
    "a commit waits for no lease: what none here covers is overage until the store has heard of it",
  ],
  [
    "policy.md, rate: a burst below the rate is a legal capacity",
    "a request that comes a moment early waits for the refill",
  ],
  [
    "a rate keeps what is used through an edit: 40 of 100 are gone, so 10 of 50 are left",
    "the lease that is here is weighed against the new burst once the store has heard of it",
  ],
]);

for (const file of readdirSync(HERE).filter((name) => name.endsWith(".txt"))) {
  const path = `test/scenarios/${file}`;
  const scenarios = parseScenarioFile(path, readFileSync(new URL(file, HERE), "utf8"));
  describe(`${basename(file, ".txt")}, shared`, () => {
    for (const scenario of scenarios) {
      const why = OTHERWISE.get(scenario.title);
      test(`${scenario.title}${why === undefined ? "" : ` (otherwise: ${why})`}`, () => {
        const differing = play(path, scenario, true)
          .filter(({ agrees, step }) => !agrees && !/leased=|source lease/.test(step.expected))
          .map(
            ({ step, actual }) =>
              `${step.line}: ${step.command}: ${actual.map(renderFact).join(", ")}`,
          );
        if (why === undefined) expect(differing).toEqual([]);
        else expect(differing).not.toEqual([]);
      });
    }
  });
}
