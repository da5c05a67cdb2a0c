/**
 * What a unary call costs the sidecar, against a server that decides nothing, in the same run: rounds alternate
 * between the two, and the ratio of each pair of rounds counts, so that a machine that slows down slows both.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { POLICY } from "./calls.ts";
import { type Load, type Served, serve, serveNothing, startLoad } from "./child.ts";
import type { Kind } from "./load.ts";

const KINDS: readonly Kind[] = ["check", "consume", "reserve + commit"];
const IN_FLIGHT = 32;

export interface UnaryOptions {
  readonly rounds: number;
  /** Calls in each round; 20,000 are about a second. */
  readonly calls: number;
}

interface Side {
  readonly server: Served;
  readonly socket: string;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** CPU of one call in microseconds. */
async function costOf(
  { server, socket }: Side,
  load: Load,
  kind: Kind,
  calls: number,
): Promise<number> {
  const before = server.cpuMicros();
  await load.run({ socket, kind, calls, inFlight: IN_FLIGHT });
  return (server.cpuMicros() - before) / calls;
}

export async function benchUnary({ rounds, calls }: UnaryOptions): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "imprest-bench-"));
  const socketOf = (name: string): string => path.join(folder, `${name}.sock`);
  const policy = path.join(folder, "policy.yaml");
  writeFileSync(policy, POLICY);
  const imprest: Side = {
    socket: socketOf("imprest"),
    server: await serve([
      path.join(import.meta.dirname, "../../dist/main.js"),
      "sidecar",
      `--policy=${policy}`,
      `--listen=unix:${socketOf("imprest")}`,
      "--health=127.0.0.1:0",
      "--http=127.0.0.1:0",
    ]),
  };
  const nothing: Side = {
    socket: socketOf("nothing"),
    server: await serveNothing(socketOf("nothing")),
  };
  const load = startLoad();
  try {
    console.log(
      `started in ${imprest.server.startMs.toFixed(0)} ms, idle at ${imprest.server.rssMb().toFixed(0)} MB`,
    );
    let done = 0;
    for (const kind of KINDS) {
      const pairs: { readonly ours: number; readonly theirs: number }[] = [];
      // The first round warms both up and does not count.
      for (let round = 0; round <= rounds; round += 1) {
        const theirs = await costOf(nothing, load, kind, calls);
        const ours = await costOf(imprest, load, kind, calls);
        if (round > 0) pairs.push({ ours, theirs });
        done += calls;
      }
      const ratio = median(pairs.map(({ ours, theirs }) => ours / theirs));
      const ours = median(pairs.map((pair) => pair.ours));
      const theirs = median(pairs.map((pair) => pair.theirs));
      console.log(
        `${kind.padEnd(16)}  ${ours.toFixed(1).padStart(6)} µs a call, no-op ${theirs.toFixed(1).padStart(6)} µs: ` +
          `ratio ${ratio.toFixed(2)} (goal 1.30)`,
      );
    }
    console.log(
      `after ${done} calls: ${imprest.server.rssMb().toFixed(0)} MB resident (goal 120), no-op ${nothing.server.rssMb().toFixed(0)} MB`,
    );
  } finally {
    await load.stop();
    await imprest.server.stop();
    await nothing.server.stop();
    rmSync(folder, { recursive: true });
  }
}
