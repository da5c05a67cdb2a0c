/** What all operations of the engine work on. One owner, one thread; every change happens inside a turn. */
import type { CompiledPolicy } from "../core/policy/compile.ts";
import type { Log } from "../ports/log.ts";
import type { Rng } from "../ports/rng.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Accounts } from "./accounts.ts";
import type { Funds } from "./funds.ts";
import type { Reservations } from "./reservations.ts";
import type { Tenants } from "./tenants.ts";

export interface Bounds {
  readonly reservationsPerTenant: number;
  readonly reservationsMax: number;
}

export interface Core {
  policy: CompiledPolicy;
  tenants: Tenants;
  readonly accounts: Accounts;
  readonly funds: Funds;
  readonly reservations: Reservations;
  readonly telemetry: Telemetry;
  readonly log: Log;
  readonly rng: Rng;
  readonly bounds: Bounds;
  /** Nothing new is admitted any more (EN4). */
  isDraining: boolean;
  /** By idempotency key whose first call waits for the store: the calls that wait for its answer (S28). */
  readonly followers: Map<string, (() => void)[]>;
}
