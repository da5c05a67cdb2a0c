/** What /readyz says of the sidecar, and why. */
import type { HealthCheck } from "../adapters/http/server.ts";
import type { Gauges } from "../ports/telemetry.ts";

export interface Readiness {
  /** The engine is there, on this version of the policy. `store`: which one, and what is wrong there. */
  watch(gauges: Gauges, policyVersion: string, store: () => string): void;
  /** There is a journal. `keeps`: whether it still does. */
  watchJournal(keeps: () => boolean): void;
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
  let describe = (): string => "not opened";
  let keepsJournal: (() => boolean) | undefined;
  let version = "";
  let serving = false;
  let draining = false;
  let reloadProblem = "";

  const storeCheck = (): HealthCheck => {
    const up = gauges?.storeUp() ?? false;
    const degraded = gauges?.degraded() ?? false;
    const why = gauges?.whyDegraded() ?? "";
    const said = why === "" ? describe() : `${describe()}: ${why}`;
    const detail = degraded ? `${said}, degraded` : said;
    return { name: "store", ok: up && !degraded, detail, decides: false };
  };

  const journalCheck = (keeps: () => boolean): HealthCheck => {
    const ok = keeps();
    return { name: "journal", ok, detail: ok ? "kept" : "a write failed", decides: false };
  };

  return {
    watch: (of, policyVersion, store) => {
      gauges = of;
      describe = store;
      version = policyVersion;
    },
    watchJournal: (keeps) => {
      keepsJournal = keeps;
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
      ...(keepsJournal ? [journalCheck(keepsJournal)] : []),
      {
        name: "reload",
        ok: reloadProblem === "",
        detail: reloadProblem || "the policy is the last one seen",
        decides: false,
      },
    ],
  };
}
