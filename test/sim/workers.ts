/**
 * Runs many seeds at once, one on each core. Threads live as long as there are seeds: a new one is slow for its first
 * dozens. One that spends too long on a seed, or breaks, is replaced, and the seed is told as failed.
 */
import { Worker } from "node:worker_threads";
import type { Task, Told } from "./worker.ts";

export interface WorkersOptions {
  readonly jobs: number;
  /** Longest time that one seed may take, ms. */
  readonly budgetMs: number;
  /** The next seed; undefined: there are no more. */
  readonly next: () => Task | undefined;
  readonly told: (told: Told) => void;
  /** The seed has no result. */
  readonly failed: (task: Task, why: string) => void;
}

export interface Workers {
  /** Resolves when all that was begun is done, or stopped. */
  readonly done: Promise<void>;
  /** Ends at once. */
  stop(): void;
}

export function startWorkers({ jobs, budgetMs, next, told, failed }: WorkersOptions): Workers {
  const running = new Set<Worker>();
  let isStopped = false;

  function work(resolve: () => void): void {
    let task = isStopped ? undefined : next();
    if (!task) return resolve();
    const worker = new Worker(new URL("worker.ts", import.meta.url));
    running.add(worker);
    let timer: NodeJS.Timeout | undefined;
    let why = "the thread ended";
    const give = (): void => {
      clearTimeout(timer);
      if (!task || isStopped) return void worker.terminate();
      worker.postMessage(task);
      timer = setTimeout(() => {
        why = `it took longer than ${budgetMs / 1_000} s`;
        void worker.terminate();
      }, budgetMs);
    };
    worker.on("message", (result: Told) => {
      task = undefined;
      told(result);
      if (!isStopped) task = next();
      give();
    });
    worker.on("error", (error) => {
      why = error.stack ?? error.message;
    });
    worker.on("exit", () => {
      clearTimeout(timer);
      running.delete(worker);
      if (!task || isStopped) return resolve();
      failed(task, why);
      work(resolve);
    });
    give();
  }

  const all = Array.from({ length: jobs }, () => new Promise<void>((resolve) => work(resolve)));
  return {
    done: Promise.all(all).then(() => undefined),
    stop() {
      isStopped = true;
      for (const worker of running) void worker.terminate();
    },
  };
}
