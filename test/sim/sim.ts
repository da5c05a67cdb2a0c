/**
 * Runs the simulator from the command line.
 *
 *   npm run sim -- --env E0 --seeds 300 [--from 1]      many runs; without --env in all environments
 *   npm run sim -- --env E0 --seed 17 [--trace]         one run, told as it goes
 *
 *   --load NAME        which limits the load is about; drawn where it is not said
 *   --stress           idle leases, long pauses, deaths
 *   --directed NAME    a schedule of directed.ts, in its environment
 *
 * Two seeds run at once, each in a process of its own. Exits 1 where an invariant was violated, with a line that
 * replays it.
 */
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { parseArgs } from "node:util";
import { DIRECTIONS, ENVIRONMENT_OF } from "./directed.ts";
import { addTo, lineOf, newSummary, type Summary } from "./report.ts";
import { run, type RunOptions, type RunResult } from "./run.ts";
import { ENVIRONMENTS, LOADS, type Environment } from "./setting.ts";

const WORKERS = 2;
const PROGRESS_MS = 10_000;

/** What a worker is told, and what it tells. */
type Task = Omit<RunOptions, "trace">;
type Told = RunResult;

const { values } = parseArgs({
  options: {
    env: { type: "string" },
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    load: { type: "string" },
    directed: { type: "string" },
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

const load = chosen("load", values.load, LOADS);
const directed = chosen("directed", values.directed, DIRECTIONS);
const environment = chosen("env", values.env, ENVIRONMENTS);
const environments: readonly Environment[] = directed
  ? [ENVIRONMENT_OF[directed]]
  : environment
    ? [environment]
    : ENVIRONMENTS;

/** The command that does the same again. */
function replay({ seed }: Told, of: Environment): string {
  const more = [
    load ? ` --load ${load}` : "",
    directed ? ` --directed ${directed}` : "",
    values.stress ? " --stress" : "",
  ];
  return `npm run sim -- --env ${of} --seed ${seed}${more.join("")} --trace`;
}

async function one(seed: number): Promise<void> {
  for (const of of environments) {
    const trace = values.trace ? (line: string) => console.log(line) : undefined;
    const result = await run({
      seed,
      environment: of,
      load,
      directed,
      stress: values.stress,
      trace,
    });
    const { violation, hash, setting, counts, faults } = result;
    console.log({ setting, counts, faults });
    console.log(
      `${of} seed ${seed}: ${violation || "no violation"} (${hash}, ${result.events} events)`,
    );
    if (violation !== "") process.exitCode = 1;
  }
}

/** Hands out seeds to the workers until there are none left. */
function many(of: Environment, from: number, seeds: number): Promise<Summary> {
  const summary = newSummary(of);
  let next = from;
  let toldAt = performance.now();
  const task = (seed: number): Task => ({
    seed,
    environment: of,
    load,
    directed,
    stress: values.stress,
  });
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: "worker" });
      const give = (): void => {
        if (next < from + seeds) worker.postMessage(task(next++));
        else void worker.terminate().then(() => resolve());
      };
      worker.on("error", reject);
      worker.on("message", (told: Told) => {
        addTo(summary, told);
        if (told.violation !== "")
          console.log(`${of} seed ${told.seed}: ${told.violation}\n  ${replay(told, of)}`);
        if (performance.now() - toldAt > PROGRESS_MS) {
          toldAt = performance.now();
          console.log(
            `${of}: ${summary.seeds} of ${seeds} seeds, ${summary.violations} violations`,
          );
        }
        give();
      });
      give();
    });
  return Promise.all(Array.from({ length: Math.min(WORKERS, seeds) }, work)).then(() => summary);
}

if (!isMainThread && workerData === "worker") {
  parentPort?.on("message", (task: Task) => {
    void run(task).then((told: Told) => parentPort?.postMessage(told));
  });
} else if (values.seed !== undefined) {
  await one(Number(values.seed));
} else {
  for (const of of environments) {
    const summary = await many(of, Number(values.from), Number(values.seeds));
    console.log(lineOf(summary));
    if (summary.violations > 0) process.exitCode = 1;
  }
}
