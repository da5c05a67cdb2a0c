/** For what a test says otherwise. */
import type { Log } from "../../src/ports/log.ts";
import type { Telemetry } from "../../src/ports/telemetry.ts";

const nothing = (): void => undefined;

export const SILENT: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

export const NO_TELEMETRY: Telemetry = {
  decided: nothing,
  denied: nothing,
  shadowDenied: nothing,
  charged: nothing,
  overage: nothing,
  reservationEnded: nothing,
  thresholdReached: nothing,
  unpriced: nothing,
  idempotencyEvicted: nothing,
  policyReloaded: nothing,
  policyReloadFailed: nothing,
};
