/**
 * Shows that a missing protection of the lease protocol would be noticed: each mutant of mutant-list.ts is applied to
 * the sources as they are loaded, and then runs of the simulator must be violated, or the test that the mutant names
 * must fail. One that survives fails this program. What fails without the mutant, too, says nothing about it and does
 * not count.
 *
 *   npm run sim:mutants -- [--seeds 48] [NAME…]      all, or those whose name contains one of the words
 *
 * A mutant is let go after its third violated run, so the share of seeds is that of those it was given until then.
 */
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs, stripVTControlCharacters } from "node:util";
import { DIRECTIONS, ENVIRONMENT_OF } from "./directed.ts";
import { MUTANTS, type Mutant } from "./mutant-list.ts";
import { run } from "./run.ts";
import { ENVIRONMENTS } from "./setting.ts";

const { values, positionals } = parseArgs({
  options: { seeds: { type: "string", default: "48" } },
  allowPositionals: true,
});

/** Seeds that a mutant is given at a time, and violated runs that are enough. */
const AT_ONCE = 8;
const ENOUGH = 3;

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

interface Tried {
  state: "killed" | "SURVIVED" | "BROKEN";
  /** How often it is noticed. */
  share: string;
  /** What noticed it first, or why nothing could. */
  by: string;
}

function runNode(
  args: readonly string[],
  mutant: string,
): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: here("../.."),
      env: { ...process.env, MUTANT: mutant },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => (output += String(chunk)));
    child.stderr.on("data", (chunk) => (output += String(chunk)));
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}

/** What the unbroken sources do in the same runs. */
const unbroken = new Map<string, Promise<boolean>>();

/** Whether the run is one that nothing but a mutant can have violated. */
function isSound({ where = "E0", load, stress }: Mutant, seed: number): Promise<boolean> {
  const name = [where, load, stress, seed].join(" ");
  const directed = DIRECTIONS.find((one) => one === where);
  const environment = directed
    ? ENVIRONMENT_OF[directed]
    : ENVIRONMENTS.find((one) => one === where);
  if (!environment) throw new Error(`${where} is nowhere`);
  const found =
    unbroken.get(name) ??
    run({ seed, environment, load, stress, directed }).then(({ violation }) => violation === "");
  unbroken.set(name, found);
  return found;
}

async function inRuns(mutant: Mutant): Promise<Tried> {
  const { name, where = "E0", load, stress } = mutant;
  const isDirected = DIRECTIONS.some((one) => one === where);
  const how = [isDirected ? "--directed" : "--env", where, "--jobs", "1"];
  if (load) how.push("--load", load);
  if (stress) how.push("--stress");
  let seeds = 0;
  let violated = 0;
  let by = "";
  while (seeds < Number(values.seeds) && violated < ENOUGH) {
    const range = ["--from", String(seeds + 1), "--seeds", String(AT_ONCE)];
    const { output } = await runNode(
      ["--import", here("mutant-hook.ts"), here("sim.ts"), ...how, ...range],
      name,
    );
    const [, ran] = /: (\d+) seeds, \d+ violations;/.exec(output) ?? [];
    if (ran === undefined) return { state: "BROKEN", share: "", by: output.trim().slice(-300) };
    seeds += Number(ran);
    for (const [, seed, what = ""] of output.matchAll(/ seed (\d+): (?:at [\d.]+ ms: )?(.*)/g)) {
      if (what.startsWith("it took longer")) continue; // a busy machine
      if (!(await isSound(mutant, Number(seed)))) continue;
      violated++;
      by ||= what;
    }
  }
  const share = `${((100 * violated) / seeds).toFixed(1)} % of ${seeds}`;
  return { state: violated > 0 ? "killed" : "SURVIVED", share, by };
}

/** What the test runner prints where a test has failed, colours aside. */
const FAILED = /FAIL\s+(\S+\.test\.ts) > (.*)/;

const runTests = (files: readonly string[], mutant: string) =>
  runNode(
    [
      here("../../node_modules/vitest/vitest.mjs"),
      "run",
      "--config",
      here("vitest.config.ts"),
    ].concat(files),
    mutant,
  );

async function inTests(name: string, files: readonly string[]): Promise<Tried> {
  const { code, output } = await runTests(files, name);
  const [, , title] = FAILED.exec(stripVTControlCharacters(output)) ?? [];
  if (code === 0) return { state: "SURVIVED", share: "", by: files.join(" ") };
  if (title === undefined || output.includes("timed out in"))
    return { state: "BROKEN", share: "", by: output.trim().slice(-300) };
  return { state: "killed", share: "by a test", by: title };
}

const filesOf = ({ test = "" }: Mutant): string[] => (test === "" ? [] : test.split(" "));

const minutes = (): string => (performance.now() / 60_000).toFixed(1);

const chosen = MUTANTS.filter(
  ({ name }) => positionals.length === 0 || positionals.some((word) => name.includes(word)),
);
const tests = [...new Set(chosen.flatMap(filesOf))];
if (tests.length > 0) {
  const { code, output } = await runTests(tests, "");
  if (code !== 0) {
    console.log(`the tests fail on the sources as they are:\n${output}`);
    process.exit(1);
  }
}
let survivors = 0;
let begun = 0;

async function judgeNext(): Promise<void> {
  for (let i = begun++; i < chosen.length; i = begun++) {
    const mutant = chosen[i];
    if (!mutant) return;
    const { name, rule } = mutant;
    const files = filesOf(mutant);
    const { state, share, by } = await (files.length > 0 ? inTests(name, files) : inRuns(mutant));
    if (state !== "killed") survivors++;
    const runs = [mutant.where, mutant.load, mutant.stress && "stress"].filter(Boolean).join(" ");
    const where = (files.length > 0 ? "-" : runs).padEnd(17);
    console.log(
      `${`${i + 1}/${chosen.length}`.padEnd(6)}${state.padEnd(9)} ${share.padStart(14)}  ${name.padEnd(22)} ${where} ${rule}\n${" ".repeat(32)}${by.slice(0, 120)}`,
    );
  }
}

await Promise.all(Array.from({ length: availableParallelism() }, judgeNext));
console.log(
  `${chosen.length - survivors} of ${chosen.length} mutants killed, ${minutes()} minutes`,
);
process.exitCode = survivors === 0 && chosen.length > 0 ? 0 : 1;
