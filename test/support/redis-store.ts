/** A store of a running sidecar's configuration, by its address. */
import { isProblem, parseStoreUrl } from "../../src/adapters/redis/store-url.ts";
import type { StoreConfig } from "../../src/compose/store-config.ts";

export type RedisConfig = Extract<StoreConfig, { kind: "redis" }>;

export function redisStoreAt(address: string): RedisConfig {
  const url = parseStoreUrl(address);
  if (isProblem(url)) throw new Error(url.found);
  return { kind: "redis", url, passwordFile: "", confirm: "auto", fencing: "replid" };
}
