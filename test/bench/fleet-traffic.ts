/**
 * How much traffic a fleet causes at its store, and whether scarce units are all usable: whole engines on virtual
 * time, no faults. Figures repeat exactly for a seed.
 *
 *   node test/bench/fleet-traffic.ts [WORKLOAD…] [--seeds 3] [--rtt 1]
 */
import { parseArgs } from "node:util";
import { drive, type Counts } from "./fleet/drive.ts";
import { WORKLOADS, type Workload } from "./fleet/workloads.ts";

const { values, positionals } = parseArgs({
  options: {
    seeds: { type: "string", default: "3" },
    rtt: { type: "string", default: "1" },
    first: { type: "string", default: "1" },
  },
  allowPositionals: true,
});
const seeds = Number(values.seeds);
const first = Number(values.first);
const rtt = Number(values.rtt);

const COLUMNS = [
  ["", 6],
  ["decided", 8],
  ["ops", 6],
  ["msgs", 6],
  ["after", 6],
  ["3 s on", 6],
  ["hints", 6],
  ["false", 6],
  ["after", 6],
  [">4 s", 5],
  ["first at %", 10],
  ["used %", 8],
  ["over", 5],
  ["lease %", 8],
  ["early", 7],
  ["p99 ms", 7],
  ["s", 5],
] as const;

const line = (cells: readonly string[]): string =>
  cells.map((cell, i) => cell.padStart(COLUMNS[i]?.[1] ?? 0)).join(" ");

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? 0;

function report(name: string, work: Workload, runs: readonly Counts[], seconds: number): void {
  const sum = (of: (counts: Counts) => number): number =>
    runs.reduce((all, one) => all + of(one), 0);
  const per1000 = (what: (counts: Counts) => number, of: (counts: Counts) => number): string => {
    const count = sum(of);
    return count === 0 ? "-" : ((1_000 * sum(what)) / count).toFixed(0);
  };
  const percent = (share: number): string => (100 * share).toFixed(3);
  const isBudget = work.kind === "budget";
  console.log(
    line([
      name,
      sum((c) => c.decisions).toFixed(0),
      per1000(
        (c) => c.blocksEarly,
        (c) => c.early,
      ),
      per1000(
        (c) => c.messagesEarly,
        (c) => c.early,
      ),
      per1000(
        (c) => c.blocks - c.blocksEarly,
        (c) => c.decisions - c.early,
      ),
      per1000(
        (c) => c.blocksLate,
        (c) => c.late,
      ),
      per1000(
        (c) => c.hints,
        (c) => c.decisions,
      ),
      sum((c) => c.deniedFalselyEarly).toFixed(0),
      sum((c) => c.deniedFalsely - c.deniedFalselyEarly).toFixed(0),
      sum((c) => c.deniedLong).toFixed(0),
      isBudget ? percent(Math.min(...runs.map((c) => c.firstFalse))) : "-",
      isBudget ? percent(sum((c) => c.used) / runs.length) : "-",
      Math.max(...runs.map((c) => c.over)).toFixed(0),
      percent(sum((c) => c.lease) / sum((c) => c.decisions)),
      percent(sum((c) => c.leaseEarly) / sum((c) => c.early)),
      percentile(
        runs.flatMap((c) => c.waits),
        0.99,
      ).toFixed(0),
      seconds.toFixed(1),
    ]),
  );
  if (work.kind === "rate") {
    const lost = 1 - sum((c) => c.admitted) / sum((c) => c.ideal);
    console.log(`       admitted ${percent(1 - lost)} % of what one ideal bucket admits`);
  }
  if (work.kind === "slots") {
    console.log(
      `       ${percent(sum((c) => c.taken) / runs.length)} % of the slots taken on average`,
    );
  }
}

console.log(
  `seeds ${first}-${first + seeds - 1}, round trip ${rtt} ms; ops, msgs, hints per 1,000 decisions`,
);
console.log(line(COLUMNS.map(([title]) => title)));
for (const name of positionals.length > 0 ? positionals : Object.keys(WORKLOADS)) {
  const work = WORKLOADS[name];
  if (!work) throw new Error(`no workload ${name}; there are ${Object.keys(WORKLOADS).join(" ")}`);
  const started = performance.now();
  const runs = Array.from({ length: seeds }, (_, i) => drive(work, first + i, rtt));
  report(name, work, runs, (performance.now() - started) / 1_000);
}
