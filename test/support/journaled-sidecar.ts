/** The real command with a journal, in a folder of its own: to be killed, and started again. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CommandOptions, type CommandProcess, startCommand } from "./command-process.ts";
import { createQuotaClient, type QuotaClient } from "./quota-client.ts";

export interface JournaledSidecar {
  readonly folder: string;
  /** Of the process that runs. */
  readonly command: CommandProcess;
  readonly client: QuotaClient;
  /** The command line, without the program. */
  words(socket?: string, journal?: string): readonly string[];
  start(options?: CommandOptions): Promise<void>;
  kill(): Promise<void>;
  /** Kills it, and deletes the folder. */
  close(): Promise<void>;
}

export async function aJournaledSidecar(
  policy: string,
  store = "memory:",
): Promise<JournaledSidecar> {
  const folder = await mkdtemp(join(tmpdir(), "imprest-"));
  await writeFile(
    join(folder, "policy.yaml"),
    `apiVersion: imprest.dev/v1\nkind: Policy\n${policy}`,
  );
  let command: CommandProcess | undefined;
  let client: QuotaClient | undefined;
  const running = <T>(part: T | undefined): T => {
    if (part === undefined) throw new Error("nothing runs");
    return part;
  };
  const sidecar: JournaledSidecar = {
    folder,
    get command() {
      return running(command);
    },
    get client() {
      return running(client);
    },
    words: (socket = "s.sock", journal = "journal") => [
      ...["sidecar", "--policy", join(folder, "policy.yaml"), "--store", store],
      ...["--listen", `unix:${join(folder, socket)}`, "--journal", join(folder, journal)],
      ...["--health", "127.0.0.1:0", "--http", "127.0.0.1:0"],
    ],
    async start(options) {
      command = startCommand(sidecar.words(), options);
      await command.logged("serving");
      client = createQuotaClient(`unix:${join(folder, "s.sock")}`);
    },
    async kill() {
      command?.send("SIGKILL");
      await command?.ended();
      client?.close();
      command = undefined;
      client = undefined;
    },
    async close() {
      await sidecar.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await sidecar.start();
  return sidecar;
}
