/** What /readyz says of the sidecar, and why. */
import type { HealthCheck } from "../adapters/http/server.ts";
import type { Gauges } from "../ports/telemetry.ts";

export interface Readiness {
  /** The engine is there, on this version of the policy. */
  watch(gauges: Gauges, policyVersion: string): void;
  /** Every listener answers. */
  serve(): void;
  drain(): void;
  /** A reload succeeded, or did not: `problem` in one line. */
  reloaded(policyVersion: string): void;
  notReloaded(problem: string): void;
  checks(): readonly HealthCheck[];
}

export function createReadiness(): Readiness {
  let gauges: Gauges | undefined;
  let version = "";
  let serving = false;
  let draining = false;
  let reloadProblem = "";

  const storeCheck = (): HealthCheck => {
    const up = gauges?.storeUp() ?? false;
    const degraded = gauges?.degraded() ?? false;
    const detail = degraded ? "memory:, degraded" : "memory:";
    return { name: "store", ok: up && !degraded, detail, decides: false };
  };

  return {
    watch: (of, policyVersion) => {
      gauges = of;
      version = policyVersion;
    },
    serve: () => {
      serving = true;
    },
    drain: () => {
      draining = true;
    },
    reloaded: (policyVersion) => {
      version = policyVersion;
      reloadProblem = "";
    },
    notReloaded: (problem) => {
      reloadProblem = problem;
    },
    checks: () => [
      { name: "policy", ok: version !== "", detail: version || "not loaded", decides: true },
      {
        name: "listeners",
        ok: serving,
        detail: serving ? "answering" : "not bound",
        decides: true,
      },
      {
        name: "drain",
        ok: !draining,
        detail: draining ? "draining" : "not draining",
        decides: true,
      },
      storeCheck(),
      {
        name: "reload",
        ok: reloadProblem === "",
        detail: reloadProblem || "the policy is the last one seen",
        decides: false,
      },
    ],
  };
}
