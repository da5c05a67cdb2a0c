/** Where units are kept. */
import type { Confirm } from "../adapters/redis/confirm.ts";
import { formatStoreUrl, type StoreUrl } from "../adapters/redis/store-url.ts";

/** In this process: right for one replica alone. */
export interface MemoryStoreConfig {
  readonly kind: "memory";
}

/** In Redis or Valkey: for a fleet. */
export interface RedisStoreConfig {
  readonly kind: "redis";
  readonly url: StoreUrl;
  /** Path; "": the password is in the address, or there is none. */
  readonly passwordFile: string;
  /** How many replicas must have a grant before it is spent. */
  readonly confirm: Confirm;
  /** Whether a loss of data is looked for in the server's replication id. */
  readonly fencing: "replid" | "none";
}

export type StoreConfig = MemoryStoreConfig | RedisStoreConfig;

/** For logs, without anything secret. */
export const describeStore = (store: StoreConfig): string =>
  store.kind === "memory" ? "memory:" : formatStoreUrl(store.url);
