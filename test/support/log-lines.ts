/** A log that a test reads afterwards. */
import type { Log } from "../../src/ports/log.ts";

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function recordLog(): { readonly log: Log; readonly lines: readonly LogLine[] } {
  const lines: LogLine[] = [];
  const write =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void =>
      void lines.push({ level, message, fields });
  const log = {
    ...{ debug: write("debug"), info: write("info") },
    ...{ warn: write("warn"), error: write("error") },
  };
  return { lines, log };
}
