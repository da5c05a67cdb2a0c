/** The life of a command that serves: what ends it, and how it says that it never began. */
import type { Log } from "../ports/log.ts";
import type { Host } from "./host.ts";

/** Resolves with the exit status once a signal (0) or a defect (1) ends it. */
export function untilEnded(host: Host, stop: AbortSignal, log: Log): Promise<number> {
  return new Promise((resolve) => {
    stop.addEventListener("abort", () => resolve(0));
    // It may have come while the modules were read.
    if (stop.aborted) resolve(0);
    let isTold = false;
    host.onDefect((defect) => {
      // What else breaks on the way out has the same cause more often than not.
      if (!isTold) log.error({ err: defect }, "defect: draining, then exit 1");
      isTold = true;
      resolve(1);
    });
  });
}

/** Tells why nothing was started, a line for each problem. */
export function tellNotStarted(host: Host, command: string, problems: readonly string[]): void {
  const lines = problems.map((problem) => `  ${problem}\n`);
  host.stderr.write(`imprest ${command}: nothing was started\n${lines.join("")}`);
}
