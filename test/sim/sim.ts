/**
 * Runs the simulator from the command line.
 *
 *   node test/sim/sim.ts --env E0 --seeds 300 [--from 1] [--load month] [--stress] [--directed lost]
 *   node test/sim/sim.ts --env E0 --seed 17 --trace       one run, told as it goes
 *
 * Without --env all environments run. Two seeds run at once. Exits 1 where an invariant was violated, with a line
 * that replays it.
 */
import { parseArgs } from "node:util";
import { DIRECTIONS, ENVIRONMENT_OF, type Direction } from "./directed.ts";
import { run, type RunOptions } from "./run.ts";
import { ENVIRONMENTS, LOADS, type Environment, type Load } from "./setting.ts";

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
});

const from = Number(values.seed ?? values.from);
const seeds = values.seed ? 1 : Number(values.seeds);
const directed = DIRECTIONS.find((one) => one === values.directed);
const environments: readonly Environment[] = directed
  ? [ENVIRONMENT_OF[directed]]
  : ENVIRONMENTS.filter((one) => values.env === undefined || one === values.env);
let bad = 0;
for (const environment of environments) {
  const started = performance.now();
  let n = 0, v = 0, dec = 0, adm = 0, calls = 0, ev = 0;
  for (let seed = from; seed < from + seeds; seed++) {
    const r = await run({
      seed, environment,
      load: LOADS.find((one) => one === values.load),
      stress: values.stress, directed,
      trace: values.trace ? (line) => console.log(line) : undefined,
    });
    n++; dec += r.counts.decisions; adm += r.counts.admitted; calls += r.storeCalls; ev += r.events;
    if (r.violation) { v++; bad++; console.log(`${environment} seed ${seed}: ${r.violation}`); }
    if (values.seed) console.log(r.hash, r.counts, r.faults, r.setting);
  }
  console.log(environment, { n, v, dec, adm, calls, ev, s: ((performance.now() - started) / 1000).toFixed(1) });
}
process.exitCode = bad > 0 ? 1 : 0;
