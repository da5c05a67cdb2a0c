/**
 * The shape of a scenario file. Text at the margin is prose; indented lines are what happens.
 *
 *   = Title of a scenario; S-rules that it shows
 *   Prose for the reader.
 *
 *     policy:                      a document (apiVersion and kind may be left out); `reload:` in mid-course
 *       plans: …
 *     at 2026-11-21T10:00:00Z      the first sets the clock, later ones move it on
 *     remember 2                   instead of the first `at`: an engine that keeps so few idempotency keys
 *     reserve acme llm.completion gpt-4o usd_micros=500 as A -> allow
 *     commit A usd_micros=700
 *       -> charged usd_micros=700, overage usd_micros=200
 *
 * A policy before the first title holds for every scenario of the file that has none of its own.
 */

export interface Step {
  /** From 1: where the step starts in its file. */
  readonly line: number;
  /** Lines that it takes, expectation included. */
  readonly lines: number;
  readonly command: string;
  /** "" where the step expects nothing. */
  readonly expected: string;
  /** The indented text under `policy:` and `reload:`. */
  readonly block: string;
}

export interface Scenario {
  readonly title: string;
  readonly line: number;
  readonly steps: readonly Step[];
}

const STEP = /^ {2}(\S.*)$/;
const DEEPER = /^ {4,}(.*)$/;
const ARROW = / ?-> /;

/** Splits a file into scenarios. Throws `file:line` where a line fits nowhere. */
export function parseScenarioFile(file: string, text: string): readonly Scenario[] {
  const lines = text.split("\n");
  const scenarios: { title: string; line: number; steps: Step[] }[] = [];
  const shared: Step[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    if (line.startsWith("= ")) {
      scenarios.push({ title: line.slice(2).trim(), line: at + 1, steps: [] });
      continue;
    }
    if (!line.startsWith(" ")) continue;
    const head = STEP.exec(line)?.[1];
    if (head === undefined) throw new Error(`${file}:${at + 1}: a step is indented by two spaces`);
    const first = at;
    const under: string[] = [];
    while (DEEPER.test(lines[at + 1] ?? "") || isGap(lines, at + 1)) {
      under.push(lines[at + 1] ?? "");
      at += 1;
    }
    const step = toStep(`${file}:${first + 1}`, head, under, first + 1);
    (scenarios.at(-1)?.steps ?? shared).push(step);
  }
  return scenarios.map((scenario) => ({
    ...scenario,
    steps: scenario.steps.some((step) => step.command === "policy")
      ? scenario.steps
      : [...shared, ...scenario.steps],
  }));
}

/** An empty line inside a block belongs to it. */
const isGap = (lines: readonly string[], at: number): boolean =>
  lines[at] === "" && DEEPER.test(lines[at + 1] ?? "");

function toStep(place: string, head: string, under: readonly string[], line: number): Step {
  const lines = 1 + under.length;
  if (head === "policy:" || head === "reload:") {
    const block = under.map((text) => text.slice(4)).join("\n");
    return { line, lines, command: head.slice(0, -1), expected: "", block };
  }
  const [command = "", ...rest] = head.split(ARROW);
  const more = under.map((text) => text.trim());
  if (more.some((text) => !text.startsWith("-> "))) {
    throw new Error(`${place}: what stands under a step starts with "->"`);
  }
  const expected = [...rest, ...more.map((text) => text.slice(3))].join(", ");
  return { line, lines, command: command.trim(), expected, block: "" };
}

const WIDTH = 100;

/** The lines of a step with another expectation: on one line where it fits. */
export function renderStep(step: Step, facts: readonly string[]): readonly string[] {
  const short = `  ${step.command} -> ${facts.join(", ")}`;
  if (short.length <= WIDTH) return [short];
  const whole = `    -> ${facts.join(", ")}`;
  return [
    `  ${step.command}`,
    ...(whole.length <= WIDTH ? [whole] : facts.map((fact) => `    -> ${fact}`)),
  ];
}
