/** The gRPC side alone, on a Quota of the test's, with a real client on a real socket. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, type ChannelOptions } from "@grpc/grpc-js";
import { createGrpcServer, type GrpcServer } from "../../src/adapters/grpc/server.ts";
import { readDescriptorSet } from "../../src/compose/descriptors.ts";
import type { Quota } from "../../src/ports/quota.ts";
import { createQuotaClient, type QuotaClient } from "./quota-client.ts";
import type { Log } from "../../src/ports/log.ts";
import { SILENT } from "./silence.ts";

const ANY_PORT = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;

export interface QuotaServer {
  readonly server: GrpcServer;
  /** "unix:…", then "127.0.0.1:…". */
  readonly listen: readonly string[];
  readonly health: string;
  readonly path: string;
  /** Of operations answered, by name. */
  readonly timed: readonly string[];
  /** A client on the unix socket; closed with the server. */
  client(options?: ChannelOptions): QuotaClient;
  /** A bare client for other services, on any address. */
  bare(address: string): Client;
  close(): Promise<void>;
}

export interface QuotaServerOptions {
  readonly tenant?: string;
  readonly log?: Log;
}

export async function startQuotaServer(
  quota: Quota,
  { tenant = "", log = SILENT }: QuotaServerOptions = {},
): Promise<QuotaServer> {
  const folder = await mkdtemp(join(tmpdir(), "imprest-"));
  const path = join(folder, "s.sock");
  const timed: string[] = [];
  const server = createGrpcServer({
    quota,
    listen: [{ kind: "unix", path }, ANY_PORT],
    rights: { mode: 0o666, group: "" },
    health: ANY_PORT,
    tenant,
    descriptorSet: await readDescriptorSet(),
    timings: { decided: (op) => void timed.push(op), stored: () => {} },
    log,
  });
  const { listen, health } = await server.start();
  server.serve();
  const clients: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(client: T): T => {
    clients.push(client);
    return client;
  };
  return {
    server,
    listen,
    health,
    path,
    timed,
    client: (options) => keep(createQuotaClient(`unix:${path}`, options)),
    bare: (address) => keep(new Client(address, credentials.createInsecure())),
    async close() {
      for (const client of clients) client.close();
      await server.close();
      await rm(folder, { recursive: true });
    },
  };
}
