/** A primary, its replicas, and the Sentinels that watch them, all real processes on loopback. */
import { eventually } from "./eventually.ts";
import { infoField, redisCli } from "./redis-client.ts";
import { startRedis, type RedisServer } from "./redis-server.ts";

export const PRIMARY_NAME = "main";

export interface RedisSet {
  /** The one that was started as the primary, then the replicas. */
  readonly servers: readonly RedisServer[];
  readonly sentinels: readonly RedisServer[];
  /** `redis+sentinel://…/main` */
  readonly url: string;
  /** The port that the Sentinels give out now. */
  primaryPort(): Promise<number>;
  stop(): Promise<void>;
}

export interface RedisSetOptions {
  readonly replicas?: number;
  readonly sentinels?: number;
  /** Of every server. */
  readonly args?: readonly string[];
}

/** Resolves when every replica follows and every Sentinel knows all of them. */
export async function startRedisSet(options: RedisSetOptions = {}): Promise<RedisSet> {
  const { replicas = 2, sentinels: watchers = 3, args = [] } = options;
  const quick = ["--repl-diskless-sync-delay", "0", ...args];
  const primary = await startRedis({ args: quick });
  const follow = ["--replicaof", `127.0.0.1 ${primary.port}`, ...quick];
  const followers = await Promise.all(
    Array.from({ length: replicas }, () => startRedis({ args: follow })),
  );
  const servers = [primary, ...followers];
  const online = (info: string): boolean => Number(info) >= replicas;
  await eventually(async () => online(await infoField(primary.port, "connected_slaves")));
  const sentinels = await Promise.all(
    Array.from({ length: watchers }, () => startSentinel(primary.port, Math.ceil(watchers / 2))),
  );
  const knows = async ({ port }: RedisServer): Promise<boolean> => {
    const told = await redisCli(port, "SENTINEL", "MASTER", PRIMARY_NAME);
    const lines = told.split("\n");
    const value = (name: string): number => Number(lines[lines.indexOf(name) + 1]);
    return value("num-slaves") === replicas && value("num-other-sentinels") === watchers - 1;
  };
  for (const sentinel of sentinels) await eventually(() => knows(sentinel));
  return {
    servers,
    sentinels,
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",")}/${PRIMARY_NAME}`,
    async primaryPort() {
      const port = sentinels[0]?.port ?? 0;
      const told = await redisCli(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY_NAME);
      return Number(told.split("\n")[1]);
    },
    async stop() {
      await Promise.all([...sentinels, ...servers].map((server) => server.stop()));
    },
  };
}

/** A Sentinel keeps its findings in its own configuration: it begins as a file. */
async function startSentinel(primary: number, quorum: number): Promise<RedisServer> {
  return startRedis({
    config: [
      `sentinel monitor ${PRIMARY_NAME} 127.0.0.1 ${primary} ${quorum}`,
      `sentinel down-after-milliseconds ${PRIMARY_NAME} 1000`,
      `sentinel failover-timeout ${PRIMARY_NAME} 1000`,
    ],
    args: ["--sentinel"],
  });
}
