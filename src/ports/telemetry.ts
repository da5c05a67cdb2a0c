/** Counters of what was decided and charged. Labels are bounded by whoever calls: no tenant, run or user. */
import type { OperationName } from "../core/operation.ts";
import type { Units } from "../core/units.ts";
import type { Decision, DecisionSource, DenyReason } from "../core/verdict.ts";

export type ReservationEnd = "committed" | "released" | "expired" | "late";

/** One decision of Check, Reserve, Extend or Consume, dry runs included. */
export interface Decided {
  readonly op: OperationName;
  readonly decision: Decision;
  /** "" unless denied. */
  readonly reason: DenyReason | "";
  readonly source: DecisionSource;
  /** For the tenants that `--metrics-tenants` lists; never a label otherwise. */
  readonly tenant: string;
}

export interface Telemetry {
  decided(decided: Decided): void;
  /** `limit`: the limit's metric label (its name, or "other"), "" where no limit refused. */
  denied(limit: string, reason: DenyReason): void;
  shadowDenied(limit: string): void;
  charged(meter: string, units: Units): void;
  overage(meter: string, units: Units): void;
  reservationEnded(end: ReservationEnd): void;
  /** `used`: the step's share as written in percent: "80%". */
  thresholdReached(limit: string, used: string): void;
  unpriced(): void;
  idempotencyEvicted(): void;
  policyReloaded(): void;
  policyReloadFailed(): void;
}

/** What the transport and the composition measure. */
export interface Timings {
  /** From an operation read to its answer made, milliseconds; also inside Batch and Stream. */
  decided(op: OperationName, ms: number): void;
  /** One message to the lease store, milliseconds. */
  stored(op: "sync" | "read", status: "ok" | "fault", ms: number): void;
}

/** What a scrape reads from the engine. */
export interface Gauges {
  openReservations(): number;
  /** Units out with this sidecar, by meter. */
  leasedUnits(): ReadonlyMap<string, number>;
  liveBuckets(): number;
  storeUp(): boolean;
  degraded(): boolean;
  /** Why, where it is not that the store cannot be reached; "" otherwise. */
  whyDegraded(): string;
}
