/**
 * The fast tests in one process without a test runner, so that patched sources can be loaded under them: every
 * scenario, then the model on fixed seeds. Prints what caught a mutant and exits 1; exits 0 where nothing did.
 */
import { readdirSync, readFileSync } from "node:fs";
import { play as playHistory } from "../model/commands.ts";
import { someHistory } from "../model/history.ts";
import { play } from "../scenarios/play.ts";
import { parseScenarioFile } from "../scenarios/scenario-file.ts";
import { counterexample } from "../support/counterexample.ts";

/** Starts the line that names the test. */
export const CAUGHT = "caught by ";

const SCENARIOS = new URL("../scenarios/", import.meta.url);

/** Runs on a fixed seed: a mutant that is caught today is caught tomorrow. */
const HISTORIES = 300;

function failingScenario(): string {
  for (const file of readdirSync(SCENARIOS).filter((name) => name.endsWith(".txt"))) {
    for (const scenario of parseScenarioFile(
      file,
      readFileSync(new URL(file, SCENARIOS), "utf8"),
    )) {
      if (fails(() => play(file, scenario).some(({ agrees }) => !agrees))) {
        return `${file} "${scenario.title}"`;
      }
    }
  }
  return "";
}

/** A defect that is thrown counts as noticed. */
function fails(run: () => boolean): boolean {
  try {
    return run();
  } catch {
    return true;
  }
}

function failingHistory(): string {
  const found = counterexample(someHistory, playHistory, {
    numRuns: HISTORIES,
    seed: 7,
    endOnFailure: true,
  });
  return found === "" ? "" : `the model: ${found.replaceAll(/\s+/g, " ").slice(0, 80)}`;
}

if (process.argv[2] === "run") {
  const caught = failingScenario() || failingHistory();
  if (caught !== "") {
    console.log(`${CAUGHT}${caught}`);
    process.exitCode = 1;
  }
}
