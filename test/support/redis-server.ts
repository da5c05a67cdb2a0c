/**
 * A real redis-server in a process of its own, on a free loopback port and in a scratch folder. Nothing of it is left
 * when it is stopped, or when the process that started it ends.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

export interface RedisOptions {
  /** Beyond what every server here is started with; the later one of two equal options holds. */
  readonly args?: readonly string[];
  /** A fixed one, where something has to know it beforehand; default: a free one. */
  readonly port?: number;
  /** Another server's program than `redis-server`, or than that which REDIS_SERVER names. */
  readonly program?: string;
  /** Lines of a configuration file that the server writes its own findings to, as a Sentinel does. */
  readonly config?: readonly string[];
}

export interface RedisServer {
  readonly port: number;
  /** `redis://127.0.0.1:PORT` */
  readonly url: string;
  /** Its scratch folder: where it would save. */
  readonly folder: string;
  readonly pid: number;
  /** SIGTERM; resolves when the process is gone and its folder removed. */
  stop(): Promise<void>;
  /** SIGKILL; the folder stays for {@link restart}. */
  kill(): Promise<void>;
  /** Starts it again after {@link kill}: same port, folder and arguments. */
  restart(): Promise<void>;
  /** SIGSTOP and SIGCONT. */
  pause(): void;
  resume(): void;
}

const QUIET = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"];

const PROGRAM = process.env["REDIS_SERVER"] ?? "redis-server";

/** The version of the server on this machine, e.g. "7.0.15"; `undefined`: there is none. */
export function redisVersion(program = PROGRAM): string | undefined {
  const { stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
  return /v=(\S+)/.exec(stdout ?? "")?.[1];
}

/** A port that nobody listens on. Another process may take it before its user does. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

const running = new Set<ChildProcess>();
const folders = new Set<string>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/** Resolves once it accepts connections; rejects with what it printed. */
async function launch(program: string, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  child.once("close", () => running.delete(child));
  const printed: string[] = [];
  const ready = new Promise<void>((resolve, reject) => {
    const heard = (line: string): void => {
      if (printed.length < 50) printed.push(line);
      if (/Ready to accept connections|Sentinel ID is/.test(line)) resolve();
    };
    createInterface({ input: child.stdout }).on("line", heard);
    createInterface({ input: child.stderr }).on("line", heard);
    child.once("error", reject);
    child.once("close", () => reject(new Error(`${program} ended:\n${printed.join("\n")}`)));
  });
  await ready;
  return child;
}

/** Tries another port where the free one has been taken meanwhile. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { args = [], program = PROGRAM } = options;
  const folder = await mkdtemp(path.join(tmpdir(), "imprest-redis-"));
  folders.add(folder);
  const file = path.join(folder, "server.conf");
  if (options.config !== undefined) await writeFile(file, `${options.config.join("\n")}\n`);
  const first = options.config === undefined ? QUIET : [file, "--bind", "127.0.0.1"];
  const all = (port: number): string[] => {
    return [...first, "--dir", folder, ...args, "--port", String(port)];
  };
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await freePort());
    try {
      return serverOf(await launch(program, all(port)), port, folder, () =>
        launch(program, all(port)),
      );
    } catch (failure) {
      const isTaken = failure instanceof Error && /in use/i.test(failure.message);
      if (!isTaken || options.port !== undefined || tries === 5) {
        await remove(folder);
        throw failure;
      }
    }
  }
}

function serverOf(
  first: ChildProcess,
  port: number,
  folder: string,
  again: () => Promise<ChildProcess>,
): RedisServer {
  let child = first;
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  async function end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    if (isOver()) return;
    const closed = once(child, "close");
    child.kill(signal);
    child.kill("SIGCONT"); // a stopped process hears SIGTERM only when it goes on
    await closed;
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    folder,
    get pid() {
      return child.pid ?? 0;
    },
    async stop() {
      await end("SIGTERM");
      await remove(folder);
    },
    kill: () => end("SIGKILL"),
    async restart() {
      await end("SIGKILL");
      child = await again();
    },
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
  };
}
