/**
 * Charging actuals: what a Commit or a Consume takes from the limits that were settled when it was decided.
 *
 * At each limit an actual is paid out of its hold, then out of free units, and the rest by the limit's overage
 * rule: debt (charged, and owed), cap (not charged), reject (the whole commit is refused). Soft and shadow
 * limits count it all and owe nothing.
 *
 *   CH1  One rejecting limit refuses the whole commit, and nothing is charged anywhere (S23).
 *   CH2  charged + uncharged = actual, for each meter.
 *   CH3  A running total never falls: a lower one changes nothing (S22).
 */
import type { Amount } from "../core/operation.ts";
import { MAX_UNITS, type Units } from "../core/units.ts";
import type { Case } from "./case.ts";
import type { Core } from "./core.ts";
import type { Timed } from "./deadline-heap.ts";
import { available, countable, free, pay, unhold } from "./lease.ts";
import type { Turn, Want } from "./turn.ts";
import type { Now } from "./now.ts";
import type { Hold } from "./reservations.ts";
import { tellSteps } from "./verdicts.ts";
import { withRequests } from "./look.ts";
import { unitsAsked } from "./standing.ts";

/** What one limit is charged beyond what it was before. */
export interface Share {
  readonly hold: Hold;
  readonly held: Units;
  readonly covered: Units;
  readonly beyond: Units;
  readonly uncharged: Units;
}

/** How limits with `overage: reject` are taken: "refuse" the commit, or, after the fact, charge as debt. */
type Strictness = "refuse" | "charge";

/**
 * Finds the units for `actual` (a total) at each hold; `undefined` for a meter that nothing states yet.
 * Returns the first hold whose limit rejects; units that were found are then simply free again.
 */
export function findShares(
  at: { readonly core: Core; readonly turn: Turn },
  holds: readonly Hold[],
  actual: (meter: string) => Units | undefined,
  strictness: Strictness,
): readonly Share[] | { readonly rejectedBy: Hold } | { readonly lacking: Want } {
  const { core } = at;
  const shares: Share[] = [];
  for (const hold of holds) {
    if (hold.lease.spec.kind === "slots") continue;
    const total = actual(hold.meter);
    if (total === undefined) continue;
    const due = Math.max(0, total - hold.charged); // (CH3)
    const held = Math.min(due, hold.held);
    const covered = cover(core, hold, due - held);
    const rest = due - held - covered;
    const { rule, mode } = hold.limit;
    const mayWait = rest > 0 && mode === "enforce" && rule.overage !== "debt";
    const lacking = mayWait && strictness === "refuse" ? worthWaiting(at, hold, due - held) : 0;
    if (lacking > 0) return { lacking: { lease: hold.lease, units: lacking } };
    if (rest > 0 && mode === "enforce" && rule.overage === "reject" && strictness === "refuse") {
      return { rejectedBy: hold };
    }
    const capped = mode === "enforce" && rule.overage === "cap";
    const beyond = capped ? 0 : countable(hold.lease, rest);
    shares.push({ hold, held, covered, beyond, uncharged: capped ? rest : 0 });
  }
  return shares;
}

/**
 * How many units are worth waiting for before a commit is refused or cut: all of them, and, where the limit
 * charges what is left, then that. 0: none.
 */
export function worthWaiting(
  { core, turn }: { readonly core: Core; readonly turn: Turn },
  { limit, lease }: Pick<Hold, "limit" | "lease">,
  units: Units,
): Units {
  const { ticket, now } = turn;
  if (!ticket && core.funds.couldCover(lease, units)) return units;
  if (limit.rule.overage !== "cap" || ticket?.isPartial) return 0;
  const left = Math.min(units, available(lease, now.mono));
  if (left <= free(lease) || !core.funds.couldCover(lease, left)) return 0;
  if (ticket) {
    ticket.isPartial = true;
    ticket.isOver = false;
    ticket.until = Infinity;
  }
  return left;
}

/** Free units for an overage. Soft and shadow limits ask for none: they count beyond. */
function cover(core: Core, { limit, lease }: Hold, units: Units): Units {
  return units === 0 || limit.mode !== "enforce" ? 0 : core.funds.cover(lease, units);
}

// Past this line nothing is refused.
export function paySharesAt(core: Core, shares: readonly Share[]): void {
  for (const { hold, held, covered, beyond, uncharged } of shares) {
    const { lease, limit } = hold;
    const owed = limit.mode === "enforce";
    pay(lease, { held, covered, beyond, owed });
    hold.held -= held;
    hold.charged = Math.min(hold.charged + held + covered + beyond + uncharged, MAX_UNITS);
    core.funds.touch(lease);
    tellSteps(core, limit, lease);
    const { maxDebt } = limit.rule;
    if (owed && beyond > 0 && maxDebt !== undefined && lease.view.debt + beyond > maxDebt) {
      core.telemetry.thresholdReached(limit.label, "max_debt");
      core.log.warn({ limit: limit.name, meter: limit.meter, maxDebt }, "debt above max_debt");
    }
  }
}

/** The most that any capped limit left uncharged of a meter. */
export function unchargedOf(shares: readonly Share[], meter: string): Units {
  let most = 0;
  for (const share of shares) {
    if (share.hold.meter === meter) most = Math.max(most, share.uncharged);
  }
  return most;
}

/** Gives back what is still held. A limit with `on_expiry: charge` is not asked here. */
export function giveBack(core: Core, hold: Hold): void {
  if (hold.held > 0) unhold(hold.lease, hold.held);
  hold.held = 0;
  core.funds.touch(hold.lease);
}

/** Lets go of a lease: the reservation that held it is over. */
export function letGo(core: Core, hold: Hold, now: Now, taker?: Timed): void {
  if (taker) hold.lease.takers.delete(taker);
  core.accounts.letGo(hold.lease, now);
}

/** Charges a Consume at once; its holds are over. A slot is given straight back (S12). */
export function chargeConsumed(
  { core, turn, asked, now }: Case,
  holds: readonly Hold[],
): readonly Amount[] {
  const shares = findShares({ core, turn }, holds, (meter) => unitsAsked(asked, meter), "charge");
  if ("rejectedBy" in shares || "lacking" in shares) return [];
  paySharesAt(core, shares);
  for (const hold of holds) {
    giveBack(core, hold);
    letGo(core, hold, now);
  }
  const counted = holds.some(({ meter }) => meter === "requests");
  const listed = counted ? withRequests(asked) : asked.amounts;
  const charged = listed.map(({ meter, units }) => ({
    meter,
    units: units - unchargedOf(shares, meter),
  }));
  for (const { meter, units } of charged) if (units > 0) core.telemetry.charged(meter, units);
  tellOverage(core, shares);
  return charged;
}

/** Overage is what no unit covered (S23): counted once a meter, by the limit where it was most. */
export function tellOverage(core: Core, shares: readonly Share[]): void {
  if (shares.every(({ beyond }) => beyond === 0)) return;
  const most = new Map<string, Units>();
  for (const { hold, beyond } of shares) {
    if (beyond === 0 || hold.limit.mode !== "enforce") continue;
    most.set(hold.meter, Math.max(most.get(hold.meter) ?? 0, beyond));
  }
  for (const [meter, units] of most) core.telemetry.overage(meter, units);
}
