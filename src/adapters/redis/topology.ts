/** Which server has which shard. */
import { createPrimary, type Primary, type PrimaryOptions } from "./primary.ts";
import type { StoreHost } from "./store-url.ts";

/** What each primary is given, whichever server it is. */
export type PrimaryDefaults = Omit<PrimaryOptions, "node" | "probeKey">;

export interface Topology {
  /** Those that have shards. */
  primaries(): readonly Primary[];
  /** `undefined`: not known now. */
  ofSlot(slot: number): Primary | undefined;
  /** A server that another one has named. */
  at(node: StoreHost): Primary;
  /** Looks anew who has what, unless it is doing so. */
  refresh(): void;
  /** Why no primary is known; undefined where nobody has answered yet. */
  cause(): string | undefined;
  close(): void;
}

/** One server has everything: it alone, or what a Sentinel calls the primary. */
export function createDirectTopology(defaults: PrimaryDefaults): Topology {
  const primary = createPrimary({ ...defaults, probeKey: () => "{q0}:probe" });
  return {
    primaries: () => [primary],
    ofSlot: () => primary,
    at: () => primary,
    refresh: () => undefined,
    cause: () => "",
    close: () => primary.close(),
  };
}
