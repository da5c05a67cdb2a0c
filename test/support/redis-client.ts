/** Commands to a server of a test, by the client that every server's package brings. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { redisVersion } from "./redis-server.ts";

const run = promisify(execFile);

/** Why what needs a server of its own is skipped here; undefined: it is not. */
export const noRedis: string | undefined =
  redisVersion() === undefined ? "no redis-server here: apt-get install redis-server" : undefined;

/** What `redis-cli` prints, without its last line break. Rejects with what the server refused. */
export async function redisCli(port: number, ...words: readonly string[]): Promise<string> {
  const { stdout } = await run("redis-cli", ["-e", "-p", String(port), ...words]);
  return stdout.replace(/\n$/, "");
}

/** One field of INFO; "" where there is none. */
export async function infoField(port: number, field: string): Promise<string> {
  const info = await redisCli(port, "INFO");
  return new RegExp(`^${field}:(.*)\\r?$`, "m").exec(info)?.[1]?.trim() ?? "";
}
