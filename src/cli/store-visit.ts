/** Opens a store for one command, and closes it whatever happens. */
import { hostname } from "node:os";
import type { Visit } from "../adapters/redis/visit.ts";
import { createRng } from "../adapters/system/rng.ts";
import type { Values } from "./flag.ts";
import type { Host } from "./host.ts";
import { onOneLine } from "./ink.ts";
import { sharedStoreConfig, type SHARED_STORE_FLAGS } from "./store-flags.ts";

const EXIT_CONFIGURATION = 2;

export async function withStore(
  host: Host,
  command: string,
  values: Values<typeof SHARED_STORE_FLAGS>,
  act: (visit: Visit) => Promise<number>,
): Promise<number> {
  const { visitStore } = await import("../adapters/redis/visit.ts");
  const config = sharedStoreConfig(values);
  let visit: Visit;
  try {
    visit = await visitStore({ ...config, label: `operator:${hostname()}`, rng: createRng() });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    host.stderr.write(`imprest ${command}: ${onOneLine(reason)}\n`);
    return EXIT_CONFIGURATION;
  }
  try {
    return await act(visit);
  } finally {
    visit.close();
  }
}
