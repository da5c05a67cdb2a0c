/**
 * Shows that a missing protection of the lease protocol would be noticed: each mutant of mutant-list.ts is applied to
 * the sources as they are loaded, and then runs of the simulator must be violated, or the test that the mutant names
 * must fail. One that survives fails this program.
 *
 *   npm run sim:mutants -- [--seeds 48] [NAME…]      all, or those whose name contains one of the words
 *
 * A mutant is let go after its third violated run, so the share of seeds is that of those it was given until then.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { DIRECTIONS } from "./directed.ts";
import { MUTANTS, type Mutant } from "./mutant-list.ts";

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

async function inRuns({ name, where = "E0", load, stress }: Mutant): Promise<Tried> {
  const isDirected = DIRECTIONS.some((one) => one === where);
  const how = [isDirected ? "--directed" : "--env", where];
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
    const found = Array.from(
      output.matchAll(/ seed \d+: (?:at [\d.]+ ms: )?(.*)/g),
      ([, what]) => what,
    ).filter((what) => what !== undefined && !what.startsWith("it took longer")); // a busy machine
    seeds += Number(ran);
    violated += found.length;
    by ||= found[0] ?? "";
  }
  const share = `${((100 * violated) / seeds).toFixed(1)} % of ${seeds}`;
  return { state: violated > 0 ? "killed" : "SURVIVED", share, by };
}

/** What the test runner prints where a test has failed, colours aside. */
const FAILED = /FAIL\s+(\S+\.test\.ts) > (.*)/;

async function inTests(name: string, files: string): Promise<Tried> {
  const { code, output } = await runNode(
    [
      here("../../node_modules/vitest/vitest.mjs"),
      "run",
      "--config",
      here("vitest.config.ts"),
      ...files.split(" "),
    ],
    name,
  );
  // eslint-disable-next-line no-control-regex
  const [, , title] = FAILED.exec(output.replaceAll(/\u001b\[[0-9;]*m/g, "")) ?? [];
  if (code === 0) return { state: "SURVIVED", share: "", by: files };
  if (title === undefined || output.includes("timed out in"))
    return { state: "BROKEN", share: "", by: output.trim().slice(-300) };
  return { state: "killed", share: "by a test", by: title };
}

const chosen = MUTANTS.filter(
  ({ name }) => positionals.length === 0 || positionals.some((word) => name.includes(word)),
);
let survivors = 0;
for (const [i, mutant] of chosen.entries()) {
  const { name, rule, test } = mutant;
  const { state, share, by } = await (test ? inTests(name, test) : inRuns(mutant));
  if (state !== "killed") survivors++;
  const where = test ? "" : [mutant.where, mutant.load, mutant.stress && "stress"].filter(Boolean);
  const place = `${i + 1}/${chosen.length}`;
  console.log(
    `${place.padEnd(6)}${state.padEnd(9)} ${share.padStart(14)}  ${name.padEnd(22)} ${(where || ["-"]).join(" ").padEnd(17)} ${rule}\n${" ".repeat(32)}${by.slice(0, 120)}`,
  );
}
console.log(`${chosen.length - survivors} of ${chosen.length} mutants killed`);
process.exitCode = survivors === 0 && chosen.length > 0 ? 0 : 1;
