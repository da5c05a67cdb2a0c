/**
 * What a reservation came to, meter by meter, and the answer that says so. A tally is what is remembered of a
 * settled reservation: the first answer is made from it again when the call is repeated (S20).
 */
import type { Amount } from "../core/operation.ts";
import type { CommitAnswer, ReleaseAnswer, Verdict } from "../core/verdict.ts";
import type { Reservation } from "./reservations.ts";

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
export const NO_TALLY: Tally = {
  meters: [],
  units: [],
  late: false,
  verdict: ALLOWED,
};

/** `requests` is listed where a limit counts it (S1). */
const counts = (reservation: Reservation, meter: string): boolean =>
  meter !== "requests" || reservation.holds.some((hold) => hold.meter === meter);

/** As things stand. */
export function tallyOf(reservation: Reservation, verdict: Verdict): Tally {
  const meters: string[] = [];
  const units: number[] = [];
  const add = (meter: string, reserved: number): void => {
    meters.push(meter);
    const { charged, uncharged } = reservation;
    units.push(charged.get(meter) ?? 0, reserved, uncharged.get(meter) ?? 0);
  };
  for (const { meter, units: reserved } of reservation.amounts) {
    if (counts(reservation, meter)) add(meter, reserved);
  }
  for (const meter of reservation.charged.keys()) {
    if (counts(reservation, meter) && !meters.includes(meter)) add(meter, 0);
  }
  // Copies have no room to grow: this is what is remembered of 100,000 reservations.
  const late = reservation.state === "expired";
  return { meters: meters.slice(), units: units.slice(), late, verdict };
}

/** `listed`: the meters that have been charged so far; in a last commit that is all of them. */
export function commitAnswer(
  tally: Tally,
  partial: boolean,
  listed: (meter: string) => boolean = () => true,
): CommitAnswer {
  const charged: Amount[] = [];
  const released: Amount[] = [];
  const overage: Amount[] = [];
  const uncharged: Amount[] = [];
  for (const [i, meter] of tally.meters.entries()) {
    if (!listed(meter)) continue;
    const [paid = 0, reserved = 0, left = 0] = tally.units.slice(3 * i, 3 * i + 3);
    charged.push({ meter, units: paid });
    if (paid > reserved) overage.push({ meter, units: paid - reserved });
    if (paid < reserved && !partial) released.push({ meter, units: reserved - paid });
    if (left > 0) uncharged.push({ meter, units: left });
  }
  const { late, verdict } = tally;
  return { op: "commit", charged, released, overage, late, verdict, uncharged };
}

export function releaseAnswer(tally: Tally): ReleaseAnswer {
  const released: Amount[] = [];
  for (const [i, meter] of tally.meters.entries()) {
    const [paid = 0, reserved = 0] = tally.units.slice(3 * i, 3 * i + 2);
    if (reserved > paid) released.push({ meter, units: reserved - paid });
  }
  return { op: "release", released };
}
