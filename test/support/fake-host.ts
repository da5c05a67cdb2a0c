/** A machine for the command that keeps what is printed and sends the signals that a test asks for. */
import { run } from "../../src/cli/run.ts";
import type { Host, Output } from "../../src/cli/host.ts";

export interface FakeHost extends Host {
  readonly printed: { stdout: string; stderr: string };
  /** What SIGTERM does. */
  signal(): void;
}

export interface FakeHostOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly isTty?: boolean;
}

export function createFakeHost(argv: readonly string[], options: FakeHostOptions = {}): FakeHost {
  const printed = { stdout: "", stderr: "" };
  const stop = new AbortController();
  const output = (name: "stdout" | "stderr"): Output => ({
    write: (text) => void (printed[name] += text),
    isTty: options.isTty ?? false,
    columns: () => (options.isTty === true ? 100 : undefined),
  });
  return {
    argv,
    env: options.env ?? {},
    stdout: output("stdout"),
    stderr: output("stderr"),
    root: new URL("../../", import.meta.url),
    stopSignal: () => stop.signal,
    onDefect: () => undefined,
    printed,
    signal: () => stop.abort("SIGTERM"),
  };
}

/** Runs the command in this process. */
export async function typeCommand(
  words: readonly string[],
  options: FakeHostOptions = {},
): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }> {
  const host = createFakeHost(words, options);
  return { status: await run(host), ...host.printed };
}
