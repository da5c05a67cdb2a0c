/** What `imprest store check` finds, and the store's clock besides. */
import type { Visit } from "../../adapters/redis/visit.ts";
import { clockFinding } from "./clock.ts";
import { findingsAbout, type Finding } from "./finding.ts";

export async function storeFindings(
  visit: Visit,
  confirm: string,
  now: () => number,
): Promise<readonly Finding[]> {
  const store = findingsAbout("store");
  const servers = visit.servers();
  const findings = servers.flatMap(({ server, version, findings: found }) => [
    ...(found.some(({ isFatal }) => isFatal) ? [] : [store.ok(`${server}: fit, ${version}`)]),
    ...found.map(({ isFatal, text }) => store[isFatal ? "problem" : "note"](`${server}: ${text}`)),
  ]);
  if (findings.some(({ severity }) => severity === "problem")) return findings;
  const mode = await visit.mode();
  if (typeof mode !== "string") return [...findings, store.problem(mode.fault)];
  if (mode === "") {
    findings.push(
      store.note("nobody has prepared it", "the first sidecar does, or imprest store init"),
    );
  } else if (mode !== confirm) {
    findings.push(
      store.problem(`its fleet runs with --confirm ${mode}, not ${confirm}`, "one mode for all"),
    );
  }
  const sent = now();
  const theirs = await visit.clock();
  if (typeof theirs !== "number") return [...findings, store.problem(theirs.fault)];
  const told = { whose: "the store", theirs, sent, received: now(), resolutionMs: 1 };
  return [...findings, clockFinding(told)];
}
