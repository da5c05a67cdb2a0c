/** Counters of what was decided and charged. Labels are bounded by whoever calls: no tenant, run or user. */
import type { OperationName } from "../core/operation.ts";
import type { Units } from "../core/units.ts";
import type { Decision, DecisionSource, DenyReason } from "../core/verdict.ts";

export type ReservationEnd = "committed" | "released" | "expired" | "late";

export interface Telemetry {
  /** One decision of Check, Reserve, Extend or Consume (dry runs included); `reason` is "" unless denied. */
  decided(op: OperationName, decision: Decision, reason: DenyReason | "", source: DecisionSource): void;
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

/** What a scrape reads from the engine. */
export interface Gauges {
  openReservations(): number;
  /** Units out with this sidecar, by meter. */
  leasedUnits(): ReadonlyMap<string, number>;
  liveBuckets(): number;
  storeUp(): boolean;
  degraded(): boolean;
}
