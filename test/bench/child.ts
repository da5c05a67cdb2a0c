/** Processes under measurement. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Job } from "./load.ts";

/** Of /proc/PID/stat on every Linux. */
const TICKS_PER_SECOND = 100;

const here = (file: string): string => path.join(import.meta.dirname, file);

export interface Served {
  /** User and system time so far, microseconds. */
  cpuMicros(): number;
  /** Resident memory, megabytes. */
  rssMb(): number;
  /** From its start to its first answer, milliseconds. */
  readonly startMs: number;
  stop(): Promise<void>;
}

/** Starts a server and waits until it says that it serves. */
export async function serve(args: readonly string[]): Promise<Served> {
  const started = performance.now();
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes('"msg":"serving"')) break;
  }
  if (child.exitCode !== null) throw new Error(`${args.join(" ")} ended with ${child.exitCode}`);
  const startMs = performance.now() - started;
  child.stdout.resume();
  const proc = (file: string): string => readFileSync(`/proc/${child.pid}/${file}`, "utf8");
  return {
    cpuMicros() {
      // After the command's name, which may hold spaces, the 12th and 13th field are user and system time.
      const fields = proc("stat").split(") ")[1]?.split(" ") ?? [];
      return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_SECOND;
    },
    rssMb: () => Number(/VmRSS:\s+(\d+)/.exec(proc("status"))?.[1]) / 1024,
    startMs,
    stop: () => end(child),
  };
}

async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
}

export interface Load {
  run(job: Job): Promise<void>;
  stop(): Promise<void>;
}

export function startLoad(): Load {
  const child = fork(here("load.ts"));
  child.once("exit", (code) => {
    if (code !== null) throw new Error(`the load generator ended with ${code}`);
  });
  return {
    async run(job) {
      const done = once(child, "message");
      child.send(job);
      await done;
    },
    stop: () => end(child),
  };
}

export const serveNothing = (socket: string): Promise<Served> =>
  serve([here("noop-server.ts"), socket]);
