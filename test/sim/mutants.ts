/**
 * Shows that the simulator would notice if a protection were missing: each mutant of mutant-list.ts is applied to the
 * sources as they are loaded, and some of its seeds must be violated. One that survives fails this program.
 *
 *   npm run sim:mutants -- [--seeds 60] [NAME…]      all, or those whose name contains one of the words
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { DIRECTIONS } from "./directed.ts";
import { MUTANTS, type Mutant } from "./mutant-list.ts";

const { values, positionals } = parseArgs({
  options: { seeds: { type: "string", default: "60" } },
  allowPositionals: true,
});

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

interface Tried {
  readonly seeds: number;
  readonly violated: number;
  /** The first that was noticed, or why nothing could be. */
  readonly by: string;
}

function tryOut({ name, where, load, stress }: Mutant): Promise<Tried> {
  const isDirected = DIRECTIONS.some((one) => one === where);
  const args = [isDirected ? "--directed" : "--env", where, "--seeds", values.seeds];
  if (load) args.push("--load", load);
  if (stress) args.push("--stress");
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      ["--import", here("mutant-hook.ts"), here("sim.ts"), ...args],
      { env: { ...process.env, MUTANT: name }, stdio: ["ignore", "pipe", "pipe"] },
    );
    let output = "";
    child.stdout.on("data", (chunk) => (output += String(chunk)));
    child.stderr.on("data", (chunk) => (output += String(chunk)));
    child.on("close", () => {
      const [, seeds, violated] = /: (\d+) seeds, (\d+) violations;/.exec(output) ?? [];
      const by =
        / seed \d+: (?:at [\d.]+ ms: )?(.*)/.exec(output)?.[1] ??
        (seeds ? "" : output.trim().slice(-300));
      resolve({ seeds: Number(seeds ?? 0), violated: Number(violated ?? 0), by });
    });
  });
}

const chosen = MUTANTS.filter(
  ({ name }) => positionals.length === 0 || positionals.some((word) => name.includes(word)),
);
let survivors = 0;
for (const mutant of chosen) {
  const { seeds, violated, by } = await tryOut(mutant);
  const state = seeds === 0 ? "BROKEN" : violated === 0 ? "SURVIVED" : "killed";
  if (state !== "killed") survivors++;
  const share = seeds === 0 ? "" : `${((100 * violated) / seeds).toFixed(1)} %`;
  const where = [mutant.where, mutant.load, mutant.stress && "stress"].filter(Boolean).join(" ");
  console.log(
    `${state.padEnd(9)} ${share.padStart(7)}  ${mutant.name.padEnd(22)} ${where.padEnd(17)} ${mutant.rule}\n${" ".repeat(19)}${by.slice(0, 120)}`,
  );
}
console.log(`${chosen.length - survivors} of ${chosen.length} mutants killed`);
process.exitCode = survivors === 0 && chosen.length > 0 ? 0 : 1;
