/** A Cluster of real processes on loopback: primaries, and as many replicas. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { infoField, redisCli } from "./redis-client.ts";
import { freePort, startRedis, type RedisServer } from "./redis-server.ts";
import { eventually } from "./eventually.ts";

const run = promisify(execFile);

export interface RedisCluster {
  /** The primaries as they were made, then the replicas. */
  readonly servers: readonly RedisServer[];
  /** `redis+cluster://…` */
  readonly url: string;
  /** The server that has the slot of a key now. */
  ownerOf(key: string): Promise<RedisServer>;
  stop(): Promise<void>;
}

/** Resolves when every server says that all slots are served, and has heard who replicates whom. */
export async function startRedisCluster(
  primaries = 3,
  args: readonly string[] = [],
): Promise<RedisCluster> {
  // The usual bus port, 10,000 above, may be beyond 65,535.
  const clustered = async (): Promise<readonly string[]> => [
    ...["--cluster-enabled", "yes", "--cluster-node-timeout", "1500"],
    ...["--cluster-port", String(await freePort()), "--repl-diskless-sync-delay", "0", ...args],
  ];
  const servers = await Promise.all(
    Array.from({ length: primaries * 2 }, async () => startRedis({ args: await clustered() })),
  );
  const places = servers.map(({ port }) => `127.0.0.1:${port}`);
  const make = ["--cluster", "create", ...places, "--cluster-replicas", "1", "--cluster-yes"];
  await run("redis-cli", make);
  for (const { port } of servers) {
    await eventually(async () =>
      /cluster_state:ok[^]*cluster_slots_ok:16384/.test(await redisCli(port, "CLUSTER", "INFO")),
    );
  }
  const first = servers.slice(0, primaries);
  for (const { port } of first) {
    await eventually(async () => (await infoField(port, "connected_slaves")) === "1");
  }
  for (const { port } of servers) {
    const replicas = async (): Promise<number> =>
      (await redisCli(port, "CLUSTER", "NODES")).match(/ (myself,)?slave /g)?.length ?? 0;
    await eventually(async () => (await replicas()) === primaries);
  }
  return {
    servers,
    url: `redis+cluster://${places.slice(0, 2).join(",")}`,
    async ownerOf(key) {
      const port = servers[0]?.port ?? 0;
      const slot = Number(await redisCli(port, "CLUSTER", "KEYSLOT", key));
      const nodes = await redisCli(port, "CLUSTER", "NODES");
      const owner = nodes.split("\n").find((line) => isOwner(line, slot));
      const at = Number(/:(\d+)@/.exec(owner ?? "")?.[1]);
      const server = servers.find((each) => each.port === at);
      if (server === undefined) throw new Error(`nobody has slot ${slot}:\n${nodes}`);
      return server;
    },
    async stop() {
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

/** A line of CLUSTER NODES: id, address, flags, …, then its ranges. */
function isOwner(line: string, slot: number): boolean {
  const [, , flags = "", , , , , , ...ranges] = line.split(" ");
  if (!flags.includes("master") || flags.includes("fail")) return false;
  return ranges.some((range) => {
    const [first = -1, last = first] = range.split("-").map(Number);
    return slot >= first && slot <= last;
  });
}
