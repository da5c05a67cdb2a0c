/** The demo's outcome for a program: money in usd_micros, maps as objects, nothing that has to be parsed. */
import { reasonOf } from "./answer.ts";
import type { Tally } from "./replay.ts";
import type { Outcome } from "./screen.ts";
import { totalMicros } from "./story.ts";

export interface Circumstances {
  readonly seed: number;
  readonly calls: number;
  readonly tookMs: number;
}

export function summarize(
  { replay, balances, unguarded, claims }: Outcome,
  { seed, calls, tookMs }: Circumstances,
) {
  const { loop, neighbours, others } = replay.tallies;
  const { seenAtCall, seenAtMicros, stopped } = replay;
  return {
    seed,
    calls,
    loop: {
      ...sideOf(loop),
      stoppedAtCall: stopped?.call ?? null,
      stoppedBy: stopped?.denial.limit ?? null,
      reason: stopped === undefined ? null : reasonOf(stopped.denial),
      shadowSeenAtCall: seenAtCall ?? null,
      shadowSeenAtMicros: seenAtMicros,
    },
    neighbours: sideOf(neighbours),
    others: sideOf(others),
    replicas: replay.replicas.map(sideOf),
    balances,
    withoutImprest: { ...unguarded, totalMicros: totalMicros(unguarded) },
    claims,
    held: claims.every((claim) => claim.held),
    tookMs,
  };
}

const sideOf = ({ admitted, refused, spentMicros, refusedBy }: Tally) => ({
  admitted,
  refused,
  spentMicros,
  refusedBy: Object.fromEntries(refusedBy),
});
