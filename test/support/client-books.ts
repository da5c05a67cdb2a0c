/**
 * What clients know of a limit, kept outside of the fleet that is tested: two sums over time, between which the truth
 * lies. An amount is surely out from its admission heard until its end sent, and perhaps out from its question sent
 * until its end heard. The clock is the machine's own, so that books of several processes can be laid together.
 */

/** When, and by how much the sums change. */
export interface Entry {
  readonly at: number;
  /** Of what is surely committed or reserved. */
  readonly surely: number;
  /** Of what may be. */
  readonly perhaps: number;
}

export interface Refusal {
  readonly at: number;
  readonly units: number;
  /** Number of DenyReason. */
  readonly reason: number;
  readonly degraded: boolean;
}

export interface Admission {
  readonly sentAt: number;
  readonly at: number;
  readonly units: number;
  /** Number of DecisionSource. */
  readonly source: number;
  readonly degraded: boolean;
}

/** Plain data: it passes from process to process. */
export interface Books {
  readonly entries: Entry[];
  readonly refusals: Refusal[];
  readonly admissions: Admission[];
  /** Charges that were acknowledged. */
  charged: number;
}

export const newBooks = (): Books => ({
  entries: [],
  refusals: [],
  admissions: [],
  charged: 0,
});

/** ms of a clock that all processes of this machine share. */
export const machineTime = (): number => Number(process.hrtime.bigint()) / 1e6;

export function mergeBooks(all: readonly Books[]): Books {
  const inTime = <T extends { readonly at: number }>(lists: readonly T[][]): T[] =>
    lists.flat().sort((a, b) => a.at - b.at);
  return {
    entries: inTime(all.map(({ entries }) => entries)),
    refusals: inTime(all.map(({ refusals }) => refusals)),
    admissions: inTime(all.map(({ admissions }) => admissions)),
    charged: all.reduce((sum, { charged }) => sum + charged, 0),
  };
}

export interface Audit {
  /** The most that was surely committed and reserved at one instant. */
  readonly most: number;
  /** At the end; equal where nothing is open or unknown. */
  readonly surely: number;
  readonly perhaps: number;
  /** Refused although the amount had surely lain idle for longer than allowed. */
  readonly falseRefusals: readonly Refusal[];
}

/** `idleMs`: how long units may lie idle; the last thousandth of the limit may for 4 s (S17). */
export function audit(books: Books, limit: number, idleMs: number): Audit {
  const { entries, refusals } = mergeBooks([books]);
  let surely = 0;
  let perhaps = 0;
  let most = 0;
  const idle: Step[] = [{ at: -Infinity, units: limit }];
  for (const entry of entries) {
    surely += entry.surely;
    perhaps += entry.perhaps;
    most = Math.max(most, surely);
    if (entry.perhaps !== 0) idle.push({ at: entry.at, units: limit - perhaps });
  }
  const long = Math.max(idleMs, 4_000);
  const falseRefusals = refusals.filter(
    ({ at, units }) =>
      idleMs < Infinity &&
      (leastIdle(idle, at - idleMs, at) >= units + limit / 1000 ||
        leastIdle(idle, at - long, at) >= units),
  );
  return { most, surely, perhaps, falseRefusals };
}

interface Step {
  readonly at: number;
  /** Idle from then on. */
  readonly units: number;
}

function leastIdle(steps: readonly Step[], from: number, to: number): number {
  const next = steps.findIndex(({ at }) => at >= to);
  let least = Infinity;
  for (let i = (next < 0 ? steps.length : next) - 1; i >= 0; i--) {
    const step = steps[i];
    if (!step) break;
    least = Math.min(least, step.units);
    if (step.at <= from) break;
  }
  return least;
}

/**
 * By how much an ideal bucket was overdrawn: the largest excess of what was surely admitted within any span of time
 * over burst and refill. An operation lies within a span when it was asked and answered within it.
 */
export function overdraft(
  { admissions }: Books,
  rate: { readonly burst: number; readonly perMs: number },
): number {
  const inTime = admissions.toSorted((a, b) => a.at - b.at);
  let worst = -Infinity;
  for (const { sentAt: from } of inTime) {
    let sum = 0;
    for (const { sentAt, at, units } of inTime) {
      if (sentAt < from) continue;
      sum += units;
      worst = Math.max(worst, sum - rate.burst - rate.perMs * (at - from));
    }
  }
  return worst;
}
