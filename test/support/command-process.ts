/** `imprest …` in a process of its own: what it prints, what it is sent, how it ends. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { ROOT } from "./sources.ts";

export interface Ended {
  /** `null` where a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandProcess {
  readonly printed: { readonly stdout: string; readonly stderr: string };
  send(signal: NodeJS.Signals): void;
  /** Resolves once the condition holds, which is looked at whenever something is printed. */
  until(condition: () => boolean): Promise<void>;
  /** The first log line with this message. Rejects where the process ends without it. */
  logged(message: string): Promise<Readonly<Record<string, unknown>>>;
  ended(): Promise<Ended>;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A module's text that runs before the command. */
  readonly before?: string;
}

export function startCommand(
  words: readonly string[],
  { env = {}, before }: CommandOptions = {},
): CommandProcess {
  const nodeFlags =
    before === undefined ? [] : ["--import", `data:text/javascript,${encodeURIComponent(before)}`];
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("IMPREST_") && !name.startsWith("KUBERNETES_"),
  );
  const child = spawn(process.execPath, [...nodeFlags, "src/main.ts", ...words], {
    cwd: ROOT,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const printed = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (printed.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (printed.stderr += text));
  let hasEnded = false;
  const closed = once(child, "close").then(([status]: (number | null)[]) => {
    hasEnded = true;
    return { status: status ?? null, ...printed };
  });
  const until = async (condition: () => boolean): Promise<void> => {
    while (!hasEnded && !condition()) {
      const more = new AbortController();
      const { signal } = more;
      const said = [child.stdout, child.stderr].map((stream) => once(stream, "data", { signal }));
      await Promise.race([closed, ...said]);
      more.abort();
      await Promise.allSettled(said);
    }
  };
  const find = (message: string): string | undefined =>
    printed.stdout
      .split("\n")
      .slice(0, -1)
      .find((line) => line.includes(`"msg":${JSON.stringify(message)}`));
  return {
    printed,
    until,
    send: (signal) => void child.kill(signal),
    async logged(message) {
      await until(() => find(message) !== undefined);
      const line = find(message);
      if (line === undefined) {
        throw new Error(`never said ${message}:\n${printed.stdout}${printed.stderr}`);
      }
      return JSON.parse(line);
    },
    ended: () => closed,
  };
}

export const runCommand = (words: readonly string[], options?: CommandOptions): Promise<Ended> =>
  startCommand(words, options).ended();

/** `imprest sidecar` on one address, with the example policy and ports that the system chooses. */
export const sidecarWords = (address: string): readonly string[] =>
  `sidecar --policy deploy/examples/policy.yaml --listen ${address} --health 127.0.0.1:0 --http 127.0.0.1:0`.split(
    " ",
  );
