import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { renderFact } from "./facts.ts";
import { type Outcome, play } from "./play.ts";
import { parseScenarioFile, renderStep, type Scenario } from "./scenario-file.ts";

const HERE = new URL(".", import.meta.url);
const UPDATE = process.env["UPDATE"] === "1";

function describeOutcome(file: string, { step, actual }: Outcome): string {
  const heard = actual.map(renderFact).join(", ");
  return `test/scenarios/${file}:${step.line}: ${step.command}\n  written: ${step.expected}\n  heard:   ${heard}`;
}

for (const file of readdirSync(HERE).filter((name) => name.endsWith(".txt"))) {
  const url = new URL(file, HERE);
  const text = readFileSync(url, "utf8");
  const scenarios = parseScenarioFile(`test/scenarios/${file}`, text);
  if (UPDATE) rewrite(url, text, scenarios);
  describe(`${basename(file, ".txt")}`, () => {
    test.each(scenarios.map((one) => [one.title, one] as const))("%s", (_title, scenario) => {
      const differing = play(`test/scenarios/${file}`, scenario).filter(
        (outcome) => !outcome.agrees,
      );
      expect(UPDATE ? [] : differing.map((outcome) => describeOutcome(file, outcome))).toEqual([]);
    });
  });
}

/** Writes what the engine says where it differs from what the file says; what agrees stays as it was typed. */
function rewrite(url: URL, text: string, scenarios: readonly Scenario[]): void {
  const lines = text.split("\n");
  const differing = scenarios
    .flatMap((scenario) => play(basename(url.pathname), scenario))
    .filter((outcome) => !outcome.agrees);
  // A step that is played several times is written once, as it went the last time.
  const byLine = new Map(differing.map((outcome) => [outcome.step.line, outcome]));
  for (const { step, restated } of [...byLine.values()].toReversed()) {
    lines.splice(step.line - 1, step.lines, ...renderStep(step, restated));
  }
  writeFileSync(url, lines.join("\n"));
}
