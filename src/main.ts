#!/usr/bin/env node
/**
 * The command's door, and the one file that touches `process`. Everything else is handed what it needs, so
 * that it can be tested in the same process.
 *
 * Every import is dynamic: an old Node must say so in one line, not die in a module that it cannot read, and
 * a sidecar that starts over must not have read anything yet.
 */
import type { Host, Output } from "./cli/host.ts";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 12)) {
  process.stderr.write(`imprest: found Node ${process.versions.node}; allowed: 22.12 or newer\n`);
  process.exit(2);
}

/**
 * How a sidecar shares two cores and little memory with an agent. The young generation is large enough that
 * few calls are still open when it is cleaned, one thread cleans it (waking four costs more than the work), what
 * seems to live long is not moved to the old one beforehand (a call's objects point at the next call's), and the
 * old one is cleaned when it has grown by two fifths. The compiler in the middle, Maglev, leaves 20 MB behind and
 * saves nothing in the long run; without it the best one begins after 400 calls of a function, not 3,000: the first
 * 50,000 calls cost a tenth less, and the others no more.
 */
const HEAP = [
  "--max-semi-space-size=4",
  "--no-parallel-scavenge",
  "--no-allocation-site-pretenuring",
  "--heap-growing-percent=40",
  "--no-maglev",
  "--invocation-count-for-turbofan=400",
  "--v8-pool-size=1",
];
/** A later one may not know all of these, and would not start. */
const LAST_KNOWN_NODE = 26;

/** Most of these Node takes at its start alone: the process starts over in its own place, under its own id. */
function startOver(): void {
  const isDone = HEAP.every((flag) => process.execArgv.includes(flag));
  // A parent's channel, which would be lost, and a system that cannot do it, get a sidecar as Node makes it.
  if (isDone || process.connected || major > LAST_KNOWN_NODE) return;
  const words = [process.execPath, ...HEAP, ...process.execArgv, ...process.argv.slice(1)];
  try {
    process.execve?.(process.execPath, words, { ...process.env, MALLOC_ARENA_MAX: "1" });
  } catch {}
}
if (process.argv[2] === "sidecar") startOver();

const output = (stream: NodeJS.WriteStream): Output => {
  // A reader that went away (`imprest balance --watch | head -1`) is the end, not a defect.
  stream.on("error", (error: NodeJS.ErrnoException) =>
    process.exit(error.code === "EPIPE" ? 0 : 1),
  );
  return {
    write: (text) => void stream.write(text),
    isTty: stream.isTTY === true,
    columns: () => stream.columns,
  };
};

const host: Host = {
  argv: process.argv.slice(2),
  env: process.env,
  stdout: output(process.stdout),
  stderr: output(process.stderr),
  root: new URL("..", import.meta.url),
  stopSignal: () => {
    const stop = new AbortController();
    for (const name of ["SIGTERM", "SIGINT"] as const) {
      process.on(name, () => (stop.signal.aborted ? process.exit(1) : stop.abort(name)));
    }
    return stop.signal;
  },
  // Unhandled rejections arrive here too.
  onDefect: (listener) => void process.on("uncaughtException", listener),
};

const { run } = await import("./cli/run.ts");
try {
  process.exit(await run(host));
} catch (defect) {
  const trace = defect instanceof Error ? defect.stack : String(defect);
  process.stderr.write(`imprest: a defect: ${trace}\n`);
  process.exit(1);
}
