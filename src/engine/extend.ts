/** Extend: the heartbeat of a long action, and more units for it, all or nothing (S25). */
import { isRejection, reject, type Rejection } from "../core/rejection.ts";
import { plainRefusal } from "../core/refusal.ts";
import type { Amount, Extend } from "../core/operation.ts";
import type { ExtendAnswer } from "../core/verdict.ts";
import type { Done } from "../ports/quota.ts";
import { keepsAccount } from "./accounts.ts";
import type { Core } from "./core.ts";
import { tell, type Turn } from "./decisions.ts";
import { isFault } from "./funds.ts";
import { free, hold } from "./lease.ts";
import { checkMeters, type Prepared } from "./prepare.ts";
import type { Hold, Reservation } from "./reservations.ts";
import { capsAt, newRuling, ruleSize, ruleUnits, tellSteps, verdictOf, type Ruling } from "./ruling.ts";
import { findReservation, renew } from "./settlement.ts";
import { holdBeyond } from "./lease.ts";
import type { Standing } from "./standing.ts";
import type { Tenant } from "./tenants.ts";

interface More {
  readonly hold: Hold;
  /** With what is added as its need. */
  readonly standing: Standing;
}

export function extend(core: Core, turn: Turn, op: Extend, done: Done<ExtendAnswer>): void {
  const { now } = turn;
  const found = openReservation(core, turn, op);
  if (isRejection(found)) return done(found);
  const unknownMeter = checkMeters(core, op.add, "add");
  if (unknownMeter) return done(unknownMeter);
  const tenant = core.tenants.get(found.tenant);
  if (!tenant) return done(reject("UNKNOWN_TENANT", "the policy no longer knows the tenant"));
  const asked = askedOf(turn, tenant, found, op.add);
  const ruling = newRuling();
  if (tenant.policy.blocked !== "" && tenant.policy.documentMode !== "shadow") {
    ruling.refusals.push(plainRefusal("TENANT_SUSPENDED"));
  }
  const more = moreOf(found, op.add);
  ruleSize(ruling, [...more.map(({ standing }) => standing), ...maxima(tenant, found, op.add)], now);
  if (ruling.refusals.length > 0) return done(refused(core, asked, found, ruling, turn));
  const wants = more
    .filter(({ hold: { limit } }) => limit.mode === "enforce")
    .map(({ hold: { lease }, standing }) => ({
      lease,
      need: Math.max(0, standing.need - free(lease)),
    }))
    .filter(({ need }) => need > 0);
  core.funds.ask(wants, (short) => {
    if (!isFault(short)) ruleUnits(ruling, more.map(({ standing }) => standing), now);
    if (ruling.refusals.length > 0) return done(refused(core, asked, found, ruling, turn));
    holdMore(core, found, more, op.add);
    renew(core, found, found.deadline + op.byMs, now);
    const standings = more.map(({ standing }) => standing);
    const caps = capsAt(standings, false);
    const verdict = verdictOf(asked, { standings, ruling, caps, decisionId: "", verbose: false }, now);
    tell(core, "extend", asked, { standings, ruling }, verdict);
    done({ op: "extend", verdict, expiresAt: found.expiresAt });
  });
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
  return reservation.holds
    .filter(({ meter }) => add.some((amount) => amount.meter === meter))
    .map((one) => ({
      hold: one,
      standing: {
        limit: one.limit,
        bucket: "",
        scope: one.scope,
        need: add.find(({ meter }) => meter === one.meter)?.units ?? 0,
        account: undefined,
        lease: one.lease,
      },
    }));
}

/** Request maxima hold for all that one reservation takes, however often it is extended. */
function maxima(tenant: Tenant, reservation: Reservation, add: readonly Amount[]): Standing[] {
  const { subject, action } = reservation;
  return tenant.policy.limits.flatMap((limit) => {
    const added = add.find(({ meter }) => meter === limit.meter)?.units ?? 0;
    const applies = !keepsAccount(limit) && limit.matcher.applies(subject, action);
    if (added === 0 || !applies) return [];
    const held = reservation.amounts.find(({ meter }) => meter === limit.meter)?.units ?? 0;
    const scope = limit.scope.text(tenant.policy.name, subject, action);
    return [{ limit, bucket: "", scope, need: held + added, account: undefined, lease: undefined }];
  });
}

function holdMore(
  core: Core,
  reservation: Reservation,
  more: readonly More[],
  add: readonly Amount[],
): void {
  for (const { hold: one, standing } of more) {
    const { lease, limit } = one;
    const short = standing.need - free(lease);
    if (short > 0 && limit.mode !== "enforce") holdBeyond(lease, short);
    hold(lease, short > 0 && limit.mode !== "enforce" ? standing.need - short : standing.need);
    one.held += standing.need;
    core.funds.touch(lease);
    tellSteps(core, limit, lease);
  }
  const amounts = new Map(reservation.amounts.map(({ meter, units }) => [meter, units]));
  for (const { meter, units } of add) amounts.set(meter, (amounts.get(meter) ?? 0) + units);
  reservation.amounts = [...amounts].map(([meter, units]) => ({ meter, units }));
}

function refused(
  core: Core,
  asked: Prepared,
  reservation: Reservation,
  ruling: Ruling,
  { now }: Turn,
): ExtendAnswer {
  const decisionId = core.rng.id();
  const verdict = verdictOf(asked, { standings: [], ruling, decisionId, verbose: false }, now);
  tell(core, "extend", asked, { standings: [], ruling }, verdict);
  return { op: "extend", verdict, expiresAt: reservation.expiresAt };
}

function askedOf(
  { caller }: Turn,
  tenant: Tenant,
  reservation: Reservation,
  add: readonly Amount[],
): Prepared {
  const { subject, action } = reservation;
  return {
    caller,
    tenant,
    request: { subject, action, amounts: add, usage: undefined, verbose: false },
    subject,
    action,
    amounts: add,
    requests: 0,
    unpriced: "",
    outputTokens: undefined,
  };
}
