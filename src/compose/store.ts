/** The store that a configuration names, metered, in the form that the engine takes. */
import { createMemoryLeaseStore } from "../adapters/memory/lease-store.ts";
import type { StoreStatus } from "../adapters/redis/watch.ts";
import { meterSharedStore, meterStore } from "../adapters/telemetry/metered-store.ts";
import { DEFAULT_TERMS } from "../core/lease/message.ts";
import type { EngineOptions } from "../engine/driver.ts";
import type { Clock } from "../ports/clock.ts";
import type { Journal, Recovered } from "../ports/journal.ts";
import type { LeaseStore } from "../ports/lease-store.ts";
import type { Log } from "../ports/log.ts";
import type { Rng } from "../ports/rng.ts";
import type { Timings } from "../ports/telemetry.ts";
import { ConfigurationError, type SidecarConfig } from "./sidecar-config.ts";
import { describeStore, type RedisStoreConfig } from "./store-config.ts";

export interface OpenStore {
  readonly engineStore: EngineOptions["store"];
  /** The address, and what is wrong there, for people. */
  describe(): string;
  close(): Promise<void>;
}

export interface StoreParts {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly timings: Timings;
  /** Where the figures of the embedded one are to survive, and a sidecar's leases. */
  readonly journal?: { readonly journal: Journal; readonly recovered: Recovered } | undefined;
  /** In place of the embedded one. */
  readonly store?: LeaseStore | undefined;
}

/** @throws ConfigurationError where the password file or a certificate cannot be read */
export async function openStore(
  { store, holder }: Pick<SidecarConfig, "store" | "holder">,
  parts: StoreParts,
): Promise<OpenStore> {
  const { clock, log, timings } = parts;
  if (store.kind === "redis") return openRedis(store, holder, parts);
  log.info({ store: "memory:" }, "units are kept in this process: right for one replica alone");
  const metered = meterStore(parts.store ?? createMemoryLeaseStore(clock, parts.journal), timings);
  return { engineStore: metered, describe: () => "memory:", close: () => metered.close() };
}

async function openRedis(
  config: RedisStoreConfig,
  label: string,
  { rng, log, timings, journal }: StoreParts,
): Promise<OpenStore> {
  // Its library takes a tenth of a start, and memory: does without.
  const { createRedisStore } = await import("../adapters/redis/shared-store.ts");
  const terms = { ...DEFAULT_TERMS, strict: config.confirm === "strict" };
  const recovered = journal?.recovered;
  const isHeir = recovered !== undefined && (recovered.of("holder").size > 0 || !recovered.intact);
  const store = configured(() => createRedisStore({ ...config, label, terms, isHeir, log, rng }));
  const address = describeStore(config);
  const spell = ({ cause }: StoreStatus): string =>
    cause === "" ? address : `${address}: ${cause}`;
  return {
    engineStore: { shared: meterSharedStore(store, timings), label, terms },
    describe: () => spell(store.status()),
    close: () => store.close(),
  };
}

function configured<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new ConfigurationError([`--store: ${error instanceof Error ? error.message : ""}`]);
  }
}
