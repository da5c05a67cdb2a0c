/**
 * Runs the simulator from the command line.
 *
 *   npm run sim -- --seeds 20000 [--from 1]             many runs, spread over all environments
 *   npm run sim -- --env E0 --seeds 300                 many runs in one
 *   npm run sim -- --env E0 --seed 17 [--trace]         one run, told as it goes
 *
 *   --load NAME        which limits the load is about; drawn where it is not said
 *   --stress           idle leases, long pauses, deaths
 *   --directed NAME    a schedule of directed.ts, in its environment
 *   --budget 60        seconds that one seed may take
 *   --jobs N           seeds at once; as many as there are cores
 *
 * Of many runs the environment follows from the seed, so that the same range is the same runs. Exits 1 where an
 * invariant was violated, with lines that replay it.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { DIRECTIONS, ENVIRONMENT_OF } from "./directed.ts";
import { addTo, lineOf, newSummary, type Summary } from "./report.ts";
import { run } from "./run.ts";
import { ENVIRONMENTS, LOADS, type Environment } from "./setting.ts";
import type { Task } from "./worker.ts";
import { startWorkers } from "./workers.ts";

const FAULTY = ENVIRONMENTS.filter((of) => of !== "calm");
/** Where many seeds go in turn. A calm run costs as much as three others, and nothing goes wrong in it: one in nine. */
const SPREAD: readonly Environment[] = [...FAULTY, ...FAULTY, "calm"];

/** How often is told how far it is; on a terminal in one line. */
const PROGRESS_MS = process.stdout.isTTY ? 1_000 : 15_000;

const { values } = parseArgs({
  options: {
    env: { type: "string" },
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    load: { type: "string" },
    directed: { type: "string" },
    budget: { type: "string", default: "60" },
    jobs: { type: "string", default: String(availableParallelism()) },
    stress: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
  },
  strict: true,
});

function chosen<T extends string>(what: string, given: string | undefined, all: readonly T[]) {
  const found = all.find((one) => one === given);
  if (given !== undefined && found === undefined) {
    console.error(`--${what} ${given}: one of ${all.join(", ")}`);
    process.exit(2);
  }
  return found;
}

function whole(what: "seeds" | "from" | "budget" | "jobs"): number {
  const number = Number(values[what]);
  if (Number.isSafeInteger(number) && number >= (what === "from" ? 0 : 1)) return number;
  console.error(`--${what} ${values[what]}: a whole number`);
  return process.exit(2);
}

const load = chosen("load", values.load, LOADS);
const directed = chosen("directed", values.directed, DIRECTIONS);
const environment = chosen("env", values.env, ENVIRONMENTS);
const environments: readonly Environment[] = directed
  ? [ENVIRONMENT_OF[directed]]
  : environment
    ? [environment]
    : ENVIRONMENTS;
const spread = environments === ENVIRONMENTS ? SPREAD : environments;

const taskOf = (seed: number, of: Environment): Task => ({
  seed,
  environment: of,
  load,
  directed,
  stress: values.stress,
});

/** The command that does the same again. */
function replay({ seed, environment: of }: Pick<Task, "seed" | "environment">): string {
  const where = directed ? `--directed ${directed}` : `--env ${of}`;
  const more = [load ? ` --load ${load}` : "", values.stress ? " --stress" : ""].join("");
  return `npm run sim -- ${where} --seed ${seed}${more} --trace`;
}

async function one(seed: number): Promise<void> {
  for (const of of environments) {
    const trace = values.trace ? (line: string) => console.log(line) : undefined;
    const result = await run({ ...taskOf(seed, of), trace });
    const { violation, hash, setting, counts, faults } = result;
    console.log({ setting, counts, faults });
    console.log(
      `${of} seed ${seed}: ${violation || "no violation"} (${hash}, ${result.events} events)`,
    );
    if (violation !== "") process.exitCode = 1;
  }
}

/** Takes the line back that was only about progress. */
const clear = (): void => void (process.stdout.isTTY && process.stdout.write("\r\u001b[K"));

/** How far it is. */
function tell({ seeds: done, violations }: Summary, seeds: number, ms: number): void {
  const left = Math.ceil(((ms / Math.max(1, done)) * (seeds - done)) / 60_000);
  const each = ((1_000 * done) / ms).toFixed(1);
  const text = `${done} of ${seeds} seeds, ${violations} violations, ${each} a second, ${left} min left`;
  if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${text}`);
  else console.log(text);
}

async function many(from: number, seeds: number): Promise<void> {
  const all = newSummary("all");
  const parts = new Map(environments.map((of) => [of, newSummary(of)]));
  const violated: string[] = [];
  const startedAt = performance.now();
  let begun = 0;

  function found({ seed, environment: of }: Task, violation: string): void {
    clear();
    const again = replay({ seed, environment: of });
    console.log(`${of} seed ${seed}: ${violation}\n  ${again}`);
    violated.push(`${of} ${seed}`);
  }
  const workers = startWorkers({
    jobs: Math.min(whole("jobs"), seeds),
    budgetMs: whole("budget") * 1_000,
    next() {
      const seed = from + begun;
      const of = spread[seed % spread.length];
      if (begun++ >= seeds || of === undefined) return undefined;
      return taskOf(seed, of);
    },
    told(told) {
      const { setting, seed, violation } = told.result;
      for (const sums of [all, parts.get(setting.environment)]) if (sums) addTo(sums, told);
      if (violation !== "") found(taskOf(seed, setting.environment), violation);
    },
    failed(task, why) {
      for (const sums of [all, parts.get(task.environment)]) {
        if (!sums) continue;
        sums.seeds++;
        sums.violations++;
      }
      found(task, why);
    },
  });
  const progress = setInterval(() => tell(all, seeds, performance.now() - startedAt), PROGRESS_MS);
  const stop = (signal: NodeJS.Signals): void => {
    process.exitCode = signal === "SIGINT" ? 130 : 143;
    workers.stop();
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  await workers.done;
  clearInterval(progress);
  clear();
  for (const sums of parts.values()) console.log(lineOf(sums, all));
  if (parts.size > 1) console.log(lineOf(all, all));
  console.log(`${((performance.now() - startedAt) / 1_000).toFixed(0)} s in all`);
  if (all.seeds < seeds)
    console.log(`stopped: ${seeds - all.seeds} of ${seeds} seeds were not run`);
  if (violated.length === 0) return;
  console.log(`violated: ${violated.join(", ")}`);
  process.exitCode ??= 1;
}

if (values.seed !== undefined) await one(Number(values.seed));
else await many(whole("from"), whole("seeds"));
