/** A whole sidecar in the test's process: real engine, real store, real sockets, a policy from text. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ChannelOptions, Client, credentials } from "@grpc/grpc-js";
import {
  type Addresses,
  createSidecar,
  type Sidecar,
  type SidecarDeps,
} from "../../src/compose/sidecar.ts";
import { SIDECAR_DEFAULTS, type SidecarConfig } from "../../src/compose/sidecar-config.ts";
import type { Log } from "../../src/ports/log.ts";
import type { LogLine } from "./log-lines.ts";
import { createQuotaClient, type QuotaClient } from "./quota-client.ts";

const HEAD = "apiVersion: imprest.dev/v1\nkind: Policy\n";
const ANY_PORT = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;

export interface RunningSidecar {
  readonly sidecar: Sidecar;
  readonly addresses: Addresses;
  readonly folder: string;
  readonly lines: readonly LogLine[];
  /** A line with that message; resolves when there is one. */
  logged(message: string): Promise<LogLine>;
  client(options?: ChannelOptions): QuotaClient;
  bare(address: string): Client;
  /** GET over HTTP. */
  get(path: string): Promise<{ readonly status: number; readonly body: string }>;
  /** Writes the policy file anew. */
  edit(policy: string): Promise<void>;
  close(): Promise<void>;
}

export const withHead = (policy: string): string =>
  policy.includes("apiVersion:") ? policy : HEAD + policy;

export async function startSidecar(
  policy: string,
  config: Partial<SidecarConfig> = {},
  deps: SidecarDeps = {},
): Promise<RunningSidecar> {
  const folder = await mkdtemp(join(tmpdir(), "imprest-"));
  const file = join(folder, "policy.yaml");
  const edit = (text: string): Promise<void> => writeFile(file, withHead(text));
  await edit(policy);
  const { log, lines, logged } = createMemoryLog();
  const path = join(folder, "s.sock");
  const whole: SidecarConfig = {
    ...SIDECAR_DEFAULTS,
    version: "0.0.0-test",
    policy: file,
    listen: [{ kind: "unix", path }, ANY_PORT],
    health: ANY_PORT,
    http: ANY_PORT,
    holder: "test",
    ...config,
  };
  const sidecar = createSidecar(whole, { log, ...deps });
  const addresses = await sidecar.start();
  const clients: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(client: T): T => {
    clients.push(client);
    return client;
  };
  return {
    sidecar,
    addresses,
    folder,
    lines,
    logged,
    client: (options) => keep(createQuotaClient(addresses.listen[0] ?? "", options)),
    bare: (address) => keep(new Client(address, credentials.createInsecure())),
    async get(at) {
      const response = await fetch(`http://${addresses.http}${at}`);
      return { status: response.status, body: await response.text() };
    },
    edit,
    async close() {
      for (const client of clients) client.close();
      await sidecar.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function createMemoryLog() {
  const lines: LogLine[] = [];
  const waiting: { readonly message: string; readonly resolve: (line: LogLine) => void }[] = [];
  const write =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      const line = { level, message, fields };
      lines.push(line);
      for (const waiter of waiting) if (waiter.message === message) waiter.resolve(line);
    };
  const log: Log = {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
  };
  const logged = (message: string): Promise<LogLine> => {
    const known = lines.find((line) => line.message === message);
    if (known !== undefined) return Promise.resolve(known);
    const { promise, resolve } = Promise.withResolvers<LogLine>();
    waiting.push({ message, resolve });
    return promise;
  };
  return { log, lines, logged };
}
