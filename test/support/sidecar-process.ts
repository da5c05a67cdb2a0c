/** The real command in a process of its own, as an operator would start it, on a socket in a folder of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "./sources.ts";

export interface SidecarProcess {
  /** `unix:PATH`. */
  readonly address: string;
  /** Sends SIGTERM; resolves with the exit status. */
  stop(): Promise<number | null>;
}

/** `policy`: a path, absolute or from the root of the repository. Rejects with what the command printed. */
export async function startSidecarProcess(policy: string): Promise<SidecarProcess> {
  const folder = await mkdtemp(path.join(tmpdir(), "imprest-"));
  const address = `unix:${path.join(folder, "imprest.sock")}`;
  const child = spawn(
    process.execPath,
    ["src/main.ts", "sidecar", "--policy", policy, "--listen", address].concat([
      "--health",
      "127.0.0.1:0",
      "--http",
      "127.0.0.1:0",
    ]),
    { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] },
  );
  const exited = once(child, "exit");
  const printed: string[] = [];
  child.stderr.setEncoding("utf8").on("data", (text: string) => printed.push(text));
  const serving = new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      printed.push(`${line}\n`);
      if (line.includes('"msg":"serving"')) resolve();
    });
    child.once("exit", () => reject(new Error(`the sidecar did not start:\n${printed.join("")}`)));
  });
  const tidyUp = () => rm(folder, { recursive: true, force: true });
  await serving.catch(async (failure: unknown) => {
    await tidyUp();
    throw failure;
  });
  return {
    address,
    async stop() {
      child.kill("SIGTERM");
      const [code] = (await exited) as [number | null];
      await tidyUp();
      return code;
    },
  };
}
