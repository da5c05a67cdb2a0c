/** Whether two clocks tell about the same time. */
import { findingsAbout, type Finding } from "./finding.ts";

/** Certificates, tokens and logs are off beyond it; the store's own clock decides periods for the whole fleet. */
const SKEW_MS = 5_000;

/** `theirs` was told between `sent` and `received`, cut to `resolutionMs`. */
export interface Told {
  readonly whose: string;
  readonly theirs: number;
  readonly sent: number;
  readonly received: number;
  readonly resolutionMs: number;
}

export function clockFinding({ whose, theirs, sent, received, resolutionMs }: Told): Finding {
  const clock = findingsAbout("clock");
  const ahead = theirs - received;
  const behind = sent - (theirs + resolutionMs);
  const skew = Math.max(ahead, behind, 0);
  if (skew <= SKEW_MS) return clock.ok(`${whose} and this machine agree`);
  const seconds = (skew / 1_000).toFixed(1);
  return clock.problem(
    `${whose} is ${seconds} s ${ahead > behind ? "ahead of" : "behind"} this machine`,
    "let both follow NTP: the store's clock says when a period ends, this one whether a certificate still holds",
  );
}
