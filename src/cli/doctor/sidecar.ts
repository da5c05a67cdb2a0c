/** What a running sidecar says of itself, on its HTTP port. */
import { findingsAbout, type Finding } from "./finding.ts";

/** GET of a path; the body, whatever the status. @throws where nobody answers */
export type Ask = (path: string) => Promise<string>;

const ADVICE = new Map([
  ["store", "imprest store check --store URL names the reason"],
  ["journal", "make room where the journal is, then restart the sidecar"],
  ["reload", "imprest policy validate FILE; with a store the revision must grow too"],
  ["drain", "it is on its way out"],
]);

export interface Asked {
  /** A pod, or an address. */
  readonly who: string;
  /** What it is when nobody answers: from here a pod may be out of reach. */
  readonly silence: "problem" | "unknown";
}

/** `version`: this program's. */
export async function sidecarFindings(
  ask: Ask,
  { who, silence }: Asked,
  version: string,
): Promise<readonly Finding[]> {
  const sidecar = findingsAbout("sidecar");
  const prefix = `${who}: `;
  let ready: string;
  let metrics: string;
  try {
    ready = await ask("/readyz?verbose");
    metrics = await ask("/metrics");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [sidecar[silence](`${prefix}it could not be asked: ${why}`)];
  }
  const lines = [...ready.matchAll(/^\[([+-])\](\w+)(?:: (.*))?$/gm)];
  const bad = lines.filter(([, sign]) => sign === "-");
  const findings = bad.map(([, , name = "", detail = ""]) =>
    sidecar.problem(`${prefix}${name}: ${detail || "not well"}`, ADVICE.get(name)),
  );
  const theirs = /^imprest_build_info\{version="([^"]*)"\}/m.exec(metrics)?.[1];
  if (theirs !== undefined && theirs !== version) {
    findings.push(
      sidecar.note(
        `${prefix}it is version ${theirs}, this program ${version}`,
        "two neighbouring versions share a store; bring the older one up to date",
      ),
    );
  }
  if (lines.length === 0) return [sidecar.problem(`${prefix}what answers there is no sidecar`)];
  return bad.length > 0 ? findings : [sidecar.ok(`${prefix}ready`), ...findings];
}
