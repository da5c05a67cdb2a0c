/** Real sidecars, each in a process of its own, on one store: killed, paused, drained, and started again. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CommandProcess, runCommand, startCommand } from "./command-process.ts";
import type { LedgerEntry } from "../../src/cli/ledger-view.ts";
import { createQuotaClient, type QuotaClient } from "./quota-client.ts";

export interface FleetMember {
  readonly name: string;
  /** `unix:PATH`; the same after a restart. */
  readonly address: string;
  /** Of the process that runs. */
  readonly client: QuotaClient;
  /** Pending while it is killed or drained. */
  readonly back: Promise<void>;
  /** Log lines of all its processes with this message, in order. */
  said(message: string): readonly LogLine[];
  /** Resolves when it has been said more than `before` times. */
  says(message: string, before?: number): Promise<void>;
  /** Resolves when it is serving. */
  start(args?: readonly string[]): Promise<void>;
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit status and how long it took. */
  drain(): Promise<{ readonly status: number | null; readonly ms: number }>;
  pause(): void;
  resume(): void;
  /** The body of `/readyz?verbose`. */
  ready(): Promise<string>;
  /** A sample of `/metrics` by its name and labels; 0 where there is none. */
  metric(sample: string): Promise<number>;
  /** The 99th percentile of a message to the store, as its histogram bounds it, ms. */
  slowestTrips(): Promise<number>;
}

export interface LogLine {
  readonly level: number | string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Fleet {
  readonly members: readonly FleetMember[];
  /** Runs `imprest` with `--store` of this fleet behind the words. */
  command(...words: readonly string[]): ReturnType<typeof runCommand>;
  /** What `imprest ledger show` says of a tenant. */
  ledgers(tenant: string): Promise<readonly LedgerEntry[]>;
  /** Kills what runs, and deletes what they kept. */
  close(): Promise<void>;
}

export interface FleetOptions {
  /** Of the document, without its head. */
  readonly policy: string;
  readonly store: string;
  readonly sidecars?: number;
  /** Each keeps a journal. */
  readonly journal?: boolean;
  /** Of every sidecar. */
  readonly args?: readonly string[];
}

/** Resolves when all of them serve. */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { policy, store, sidecars = 3, journal = false, args = [] } = options;
  const folder = await mkdtemp(join(tmpdir(), "imprest-"));
  const head = "apiVersion: imprest.dev/v1\nkind: Policy\nrevision: 1\n";
  await writeFile(join(folder, "policy.yaml"), head + policy);
  const members = Array.from({ length: sidecars }, (_, i) => {
    const name = `pod-${i}`;
    const address = `unix:${join(folder, `${i}.sock`)}`;
    const words = [
      ...["sidecar", "--policy", join(folder, "policy.yaml"), "--store", store],
      ...["--listen", address, "--holder", name],
      ...["--health", "127.0.0.1:0", "--http", "127.0.0.1:0", ...args],
      ...(journal ? ["--journal", join(folder, `journal-${i}`)] : []),
    ];
    return createMember(name, address, words);
  });
  const close = async (): Promise<void> => {
    await Promise.all(members.map((member) => member.kill()));
    await rm(folder, { recursive: true, force: true });
  };
  await Promise.all(members.map((member) => member.start())).catch(async (failure: unknown) => {
    await close();
    throw failure;
  });
  const command: Fleet["command"] = (...words) => runCommand([...words, "--store", store]);
  return {
    members,
    command,
    async ledgers(tenant) {
      const { stdout, stderr } = await command("ledger", "show", "--tenant", tenant, "--json");
      if (stdout === "") throw new Error(stderr);
      return (JSON.parse(stdout) as { readonly ledgers: readonly LedgerEntry[] }).ledgers;
    },
    close,
  };
}

function createMember(name: string, address: string, words: readonly string[]): FleetMember {
  const past: CommandProcess[] = [];
  let command: CommandProcess | undefined;
  let client: QuotaClient | undefined;
  let http = "";
  let back = Promise.withResolvers<void>();
  const running = <T>(part: T | undefined): T => {
    if (part === undefined) throw new Error(`${name} does not run`);
    return part;
  };
  async function end(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    if (command === undefined) return null;
    const ended = command;
    command = undefined;
    back = Promise.withResolvers();
    ended.send(signal);
    ended.send("SIGCONT");
    const { status } = await ended.ended();
    client?.close();
    return status;
  }
  const get = async (path: string): Promise<string> =>
    (await fetch(`http://${http}${path}`)).text();
  const said = (message: string): readonly LogLine[] =>
    past.flatMap(({ printed }) => linesOf(printed.stdout)).filter(({ msg }) => msg === message);
  return {
    name,
    address,
    get client() {
      return running(client);
    },
    get back() {
      return back.promise;
    },
    said,
    says: (message, before = 0) => running(command).until(() => said(message).length > before),
    async start(args = []) {
      const next = startCommand([...words, ...args]);
      past.push(next);
      command = next;
      http = String((await next.logged("serving"))["http"]);
      client = createQuotaClient(address);
      back.resolve();
    },
    async kill() {
      await end("SIGKILL");
    },
    async drain() {
      const began = performance.now();
      const status = await end("SIGTERM");
      return { status, ms: performance.now() - began };
    },
    pause: () => running(command).send("SIGSTOP"),
    resume: () => running(command).send("SIGCONT"),
    ready: () => get("/readyz?verbose"),
    metric: async (sample) => sampleOf(await get("/metrics"), sample),
    slowestTrips: async () => percentileOf(await get("/metrics"), "imprest_store_sync_seconds"),
  };
}

const linesOf = (text: string): readonly LogLine[] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line) => JSON.parse(line) as LogLine);

function sampleOf(metrics: string, sample: string): number {
  const line = metrics.split("\n").find((each) => each.startsWith(`${sample} `));
  return Number(line?.slice(sample.length + 1) ?? 0);
}

/** The bound of the first bucket that holds 99 % of what was observed, ms. */
function percentileOf(metrics: string, histogram: string): number {
  const count = sampleOf(metrics, `${histogram}_count`);
  for (const [, bound, held] of metrics.matchAll(
    new RegExp(`^${histogram}_bucket\\{le="([0-9.e+-]+)"\\} (\\d+)$`, "gm"),
  )) {
    if (Number(held) >= 0.99 * count) return Number(bound) * 1000;
  }
  return Infinity;
}
