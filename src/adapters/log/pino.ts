/** The log on standard output: one JSON object a line, written before the call returns. */
import { destination, type DestinationStream, pino, stdTimeFunctions } from "pino";
import type { Log } from "../../ports/log.ts";

export interface LogOptions {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
  /** On every line, so that lines of several sidecars can be told apart. */
  readonly holder: string;
  /** Default: standard output. */
  readonly stream?: DestinationStream;
}

export function createLog({ level, holder, stream }: LogOptions): Log {
  const options = {
    level,
    base: { holder },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  // Synchronous: a line that waits in a buffer is lost with the process that it explains.
  return pino(options, stream ?? destination({ dest: 1, sync: true }));
}
