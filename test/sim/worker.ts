/** A thread that runs one seed after another, as it is told. */
import { parentPort } from "node:worker_threads";
import { run, type RunOptions, type RunResult } from "./run.ts";

export type Task = Omit<RunOptions, "trace">;

export interface Told {
  readonly result: RunResult;
  /** Of this thread alone: what the compiler and the collector do beside it is not counted. */
  readonly cpuMs: number;
}

const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
};

parentPort?.on("message", (task: Task) => {
  const before = cpuMs();
  void run(task).then((result) => {
    const told: Told = { result, cpuMs: cpuMs() - before };
    parentPort?.postMessage(told);
  });
});
