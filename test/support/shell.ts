/** Runs what a page tells the reader to type. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { ROOT } from "./sources.ts";

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `npx imprest` and `npx node` are the sources here, and the Node that runs the test. */
export async function runShell(
  line: string,
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  const { cwd = ROOT, env = {} } = options;
  const typed = line
    .replaceAll("npx imprest ", `'${process.execPath}' src/main.ts `)
    .replaceAll("npx node ", `'${process.execPath}' `);
  const child = spawn("sh", ["-ec", typed], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const printed = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (printed.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (printed.stderr += text));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, ...printed };
}
