/**
 * What a reservation comes to, meter by meter, and the answers that say so.
 *
 * While it lives it keeps a line for each meter; of a settled one a tally is remembered, from which the first
 * answer is made again when its call is repeated (S20).
 *
 *   TA1  charged + uncharged is the highest total that was stated; neither ever falls (S22).
 */
import type { Amount } from "../core/operation.ts";
import type { Units } from "../core/units.ts";
import type { CommitAnswer, ReleaseAnswer, Verdict } from "../core/verdict.ts";

/** One meter of a reservation. Changed in place. */
export interface Line {
  readonly meter: string;
  /** Reserved, extensions included. */
  reserved: Units;
  /** Charged by commits so far. */
  charged: Units;
  /** Left uncharged by a limit with `overage: cap`. */
  uncharged: Units;
  /** A commit has stated it. */
  stated: boolean;
}

export const newLine = (meter: string, reserved: Units): Line => ({
  meter,
  reserved,
  charged: 0,
  uncharged: 0,
  stated: false,
});

/** The line of a meter, made where it is missing. */
export function lineOf(lines: Line[], meter: string): Line {
  for (const line of lines) if (line.meter === meter) return line;
  const line = newLine(meter, 0);
  lines.push(line);
  return line;
}

/** Units reserved of a meter; undefined where none were. */
export function reservedOf(lines: readonly Line[], meter: string): Units | undefined {
  for (const line of lines) if (line.meter === meter) return line.reserved;
  return undefined;
}

export interface Tally {
  readonly meters: readonly string[];
  /** For each meter three numbers: charged, reserved, uncharged. */
  readonly units: readonly number[];
  readonly late: boolean;
  readonly verdict: Verdict;
}

/** The verdict of whoever may go on as before; one for all. */
export const ALLOWED: Verdict = {
  decision: "allow",
  source: "lease",
  degraded: false,
  limits: [],
  decisionId: "",
};

/** Of what only expired: nobody asks for its answer again. */
export const NO_TALLY: Tally = { meters: [], units: [], late: false, verdict: ALLOWED };

export interface Tallied {
  readonly lines: readonly Line[];
  /** Whether a limit counts `requests`: only then it is listed (S1). */
  readonly countsRequests: boolean;
  readonly late: boolean;
  readonly verdict: Verdict;
}

/** As things stand, or only the lines that commits have stated so far. */
export function tallyOf({ lines, countsRequests, late, verdict }: Tallied, all = true): Tally {
  const meters: string[] = [];
  const units: number[] = [];
  for (const { meter, stated, charged, reserved, uncharged } of lines) {
    if ((!all && !stated) || (meter === "requests" && !countsRequests)) continue;
    meters.push(meter);
    units.push(charged, reserved, uncharged);
  }
  return { meters, units, late, verdict };
}

/** What many tallies have in common. */
export type Form = Omit<Tally, "units">;

/** A tally as it is remembered of up to 100,000 reservations: its numbers as text take a third of a list's room. */
export interface PackedTally {
  readonly form: Form;
  readonly units: string;
}

export const packTally = (tally: Tally): PackedTally => ({
  form: sharedForm(tally),
  units: tally.units.join(" "),
});

export const unpackTally = ({ form, units }: PackedTally): Tally => ({
  ...form,
  units: units === "" ? [] : units.split(" ").map(Number),
});

let latest: Form = NO_TALLY;

/** The form of the tally before, if it is the same: it nearly always is. */
export function sharedForm({ meters, late, verdict }: Form): Form {
  const isSame =
    late === latest.late &&
    verdict === latest.verdict &&
    meters.length === latest.meters.length &&
    meters.every((one, i) => one === latest.meters[i]);
  if (!isSame) latest = { meters: meters.slice(), late, verdict };
  return latest;
}

/** `partial`: nothing is released before the last commit. */
export function commitAnswer(
  { meters, units, late, verdict }: Tally,
  partial: boolean,
): CommitAnswer {
  const charged: Amount[] = [];
  const released: Amount[] = [];
  const overage: Amount[] = [];
  const uncharged: Amount[] = [];
  for (let i = 0; i < meters.length; i += 1) {
    const meter = meters[i] ?? "";
    const paid = units[3 * i] ?? 0;
    const more = paid - (units[3 * i + 1] ?? 0);
    const left = units[3 * i + 2] ?? 0;
    charged.push({ meter, units: paid });
    if (more > 0) overage.push({ meter, units: more });
    if (more < 0 && !partial) released.push({ meter, units: -more });
    if (left > 0) uncharged.push({ meter, units: left });
  }
  return { op: "commit", charged, released, overage, late, verdict, uncharged };
}

export function releaseAnswer({ meters, units }: Tally): ReleaseAnswer {
  const released: Amount[] = [];
  for (const [i, meter] of meters.entries()) {
    const left = (units[3 * i + 1] ?? 0) - (units[3 * i] ?? 0);
    if (left > 0) released.push({ meter, units: left });
  }
  return { op: "release", released };
}
