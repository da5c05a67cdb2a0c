/**
 * Takes each new content of the policy to the engine. A broken one changes nothing: it is logged once,
 * counted, and shown by /readyz?verbose until a good one comes.
 */
import type { Engine } from "../engine/driver.ts";
import type { Log } from "../ports/log.ts";
import type { PolicyProblem, PolicyResult } from "../ports/policy-source.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Readiness } from "./readiness.ts";

/** In one line of the log; `imprest policy validate` lists them all. */
const MOST_LOGGED = 20;

export interface ReloaderOptions {
  readonly engine: Pick<Engine, "reload">;
  readonly readiness: Readiness;
  readonly telemetry: Telemetry;
  readonly log: Log;
}

/** "policy.yaml:12:7 plans.free.limits[0].rate.units: found X; allowed: Y" */
export function describeProblem({ path, line, column, found, allowed }: PolicyProblem): string {
  const at = line === undefined ? "" : `${line}:${column ?? 1} `;
  return `${at}${path === "" ? "document" : path}: found ${found}; allowed: ${allowed}`;
}

export function createReloader(options: ReloaderOptions): (result: PolicyResult) => void {
  const { engine, readiness, telemetry, log } = options;

  const refuse = (problems: readonly string[]): void => {
    telemetry.policyReloadFailed();
    readiness.notReloaded(`${problems.length} problems, first: ${problems[0] ?? ""}`);
    const fields = { count: problems.length, problems: problems.slice(0, MOST_LOGGED) };
    log.error(fields, "policy not reloaded; the last good one stays");
  };

  return (result) => {
    if (!result.ok) return refuse(result.problems.map(describeProblem));
    const { document } = result;
    engine.reload(document);
    readiness.reloaded(document.version);
    log.info({ version: document.version, revision: document.revision }, "policy reloaded");
  };
}
