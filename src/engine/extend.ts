/** Extend: the heartbeat of a long action, and more units for it, all or nothing (S25). */
import { unitsOf, type Amount, type Extend } from "../core/operation.ts";
import { isRejection, reject, type Rejection } from "../core/rejection.ts";
import { MAX_UNITS } from "../core/units.ts";
import type { ExtendAnswer } from "../core/verdict.ts";
import type { Done } from "../ports/quota.ts";
import { decideUnits, holdFor } from "./admit.ts";
import { isRefused, type Case, type Decided } from "./case.ts";
import type { Core } from "./core.ts";
import { keepsAccount } from "./ledger-spec.ts";
import { askedAgain, checkMeters } from "./prepare.ts";
import type { Hold, Reservation } from "./reservations.ts";
import { newRuling, ruleSize, ruleSuspension } from "./ruling.ts";
import { findReservation, rebind, renew } from "./settlement.ts";
import type { Standing } from "./standing.ts";
import { lineOf, reservedOf } from "./tally.ts";
import type { Tenant } from "./tenants.ts";
import type { Turn } from "./turn.ts";
import { capsAt, decision } from "./verdicts.ts";

/** A hold, and where it stands with what is added as its need. */
interface More {
  readonly hold: Hold;
  readonly standing: Standing;
}

export function extend(core: Core, turn: Turn, op: Extend, done: Done<ExtendAnswer>): void {
  const { now } = turn;
  const found = openReservation(core, turn, op);
  if (isRejection(found)) return done(found);
  const tenant = core.tenants.get(found.tenant);
  if (!tenant) return done(reject("UNKNOWN_TENANT", "the policy no longer knows the tenant"));
  const unknownMeter = checkMeters(core, op.add, "add");
  if (unknownMeter) return done(unknownMeter);
  rebind(core, found, now);
  const the: Case = {
    core,
    turn,
    now,
    asked: askedAgain({ caller: turn.caller, tenant }, found, op.add),
  };
  const more = moreOf(found, op.add);
  const standings = more.map(({ standing }) => standing);
  const sized: Decided = { standings, ruling: newRuling() };
  ruleSuspension(sized.ruling, tenant);
  ruleSize(sized.ruling, [...standings, ...maxima(tenant, found, op.add)], now);
  if (isRefused(sized)) return done(answer(the, found, sized));
  const decided = decideUnits(the, sized, found.deadline + op.byMs - now.mono);
  if (!decided) return;
  if (!isRefused(decided)) {
    holdMore(core, found, more, { add: op.add, fallen: decided.fallen });
    renew(core, now, { reservation: found, deadline: found.deadline + op.byMs });
  }
  done(answer(the, found, decided));
}

function answer(the: Case, reservation: Reservation, decided: Decided): ExtendAnswer {
  const refused = isRefused(decided);
  const caps = refused ? undefined : capsAt(decided.standings, false);
  const decisionId = refused ? the.core.rng.id() : "";
  const verdict = decision(the, "extend", { ...decided, caps, decisionId });
  return { op: "extend", verdict, expiresAt: reservation.expiresAt };
}

function openReservation(core: Core, turn: Turn, op: Extend): Reservation | Rejection {
  const found = findReservation(core, turn.caller, op.reservationId);
  if (isRejection(found)) return found;
  if (found.state === "open") return found;
  return found.state === "expired" || found.state === "forgone"
    ? reject("RESERVATION_EXPIRED", "the reservation has expired", "reservation_id")
    : reject("ALREADY_SETTLED", `the reservation is already ${found.state}`, "reservation_id");
}

/** Limits of a meter that is not added are not asked: a heartbeat needs no room. */
function moreOf(reservation: Reservation, add: readonly Amount[]): More[] {
  return reservation.holds.flatMap((hold) => {
    const need = unitsOf(add, hold.meter);
    if (need === undefined) return [];
    const { limit, bucket, scope, lease } = hold;
    return [{ hold, standing: { limit, bucket, scope, need, lease } }];
  });
}

/** Request maxima hold for all that one reservation takes, however often it is extended. */
function maxima(tenant: Tenant, reservation: Reservation, add: readonly Amount[]): Standing[] {
  const { subject, action, lines } = reservation;
  return tenant.policy.limits.flatMap((limit) => {
    const added = unitsOf(add, limit.meter);
    if (added === undefined || keepsAccount(limit)) return [];
    if (!limit.matcher.applies(subject, action)) return [];
    const need = added + (reservedOf(lines, limit.meter) ?? 0);
    const scope = limit.scope.text(tenant.policy.name, subject, action);
    return [{ limit, bucket: "", scope, need, lease: undefined }];
  });
}

// Past this line nothing is refused.
function holdMore(
  core: Core,
  reservation: Reservation,
  more: readonly More[],
  { add, fallen }: { readonly add: readonly Amount[]; readonly fallen: Decided["fallen"] },
): void {
  for (const { hold, standing } of more) {
    hold.held += holdFor(core, standing, hold.lease, fallen);
  }
  for (const { meter, units } of add) addTo(reservation, meter, units);
}

/** What one reservation holds of a meter stops at 2^53−1, like every other count. */
function addTo({ lines }: Reservation, meter: string, units: number): void {
  const line = lineOf(lines, meter);
  line.reserved = Math.min(line.reserved + units, MAX_UNITS);
}
