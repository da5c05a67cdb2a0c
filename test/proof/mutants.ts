/**
 * Shows that the fast tests would notice if a rule were broken: each mutant of mutant-list.ts is applied to the sources
 * as they are loaded (patch-hook.ts) and the detector (detect.ts) must fail. One that survives fails this program.
 *
 *   node test/proof/mutants.ts [NAME…]      all, or those whose name contains one of the words
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { availableParallelism } from "node:os";
import { CAUGHT } from "./detect.ts";
import { MUTANTS, type Mutant } from "./mutant-list.ts";

interface Verdict {
  readonly mutant: Mutant;
  readonly state: "killed" | "SURVIVED" | "BROKEN";
  /** Which test caught it; for a broken one why it could not be tried. */
  readonly by: string;
  readonly seconds: number;
}

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

function tryOut(name: string): Promise<{ code: number | null; output: string; seconds: number }> {
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      ["--import", here("patch-hook.ts"), here("detect.ts"), "run"],
      {
        env: { ...process.env, MUTANT: name },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let output = "";
    child.stdout.on("data", (chunk) => (output += String(chunk)));
    child.stderr.on("data", (chunk) => (output += String(chunk)));
    child.on("close", (code) =>
      resolve({ code, output, seconds: (performance.now() - started) / 1000 }),
    );
  });
}

async function judge(mutant: Mutant): Promise<Verdict> {
  const { code, output, seconds } = await tryOut(mutant.name);
  const caught = output.split("\n").find((line) => line.startsWith(CAUGHT));
  if (code === 0) return { mutant, state: "SURVIVED", by: "", seconds };
  if (caught === undefined)
    return { mutant, state: "BROKEN", by: output.trim().slice(-300), seconds };
  return { mutant, state: "killed", by: caught.slice(CAUGHT.length), seconds };
}

const line = ({ mutant, state, by, seconds }: Verdict): string =>
  `${state.padEnd(9)} ${mutant.rule.padEnd(10)} ${mutant.name.padEnd(34)} ${seconds.toFixed(1)} s  ${by}`;

const words = process.argv.slice(2);
const chosen = MUTANTS.filter(
  ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
);
const unbroken = await tryOut("");
if (unbroken.code !== 0) {
  console.log(`the detector fails on the sources as they are:\n${unbroken.output}`);
  process.exit(1);
}
const waiting = [...chosen];
const verdicts: Verdict[] = [];
await Promise.all(
  Array.from({ length: Math.min(2, availableParallelism()) }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const verdict = await judge(next);
      console.log(line(verdict));
      verdicts.push(verdict);
    }
  }),
);
const killed = verdicts.filter(({ state }) => state === "killed").length;
console.log(`${killed} of ${verdicts.length} mutants killed`);
process.exitCode = killed === verdicts.length && killed > 0 ? 0 : 1;
