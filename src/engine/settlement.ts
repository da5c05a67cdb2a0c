/**
 * Commit and Release: the end of a reservation, or a running total on the way (S19–S24).
 *
 * What was reserved decides which limits are charged; the commit decides how much. A held meter that a last
 * commit does not state is charged as it was reserved, and in a partial one it waits (S21, S22).
 */
import { derive } from "../core/money/derive.ts";
import type { Commit, Release } from "../core/operation.ts";
import { isRejection, reject, type Rejection } from "../core/rejection.ts";
import { DAY } from "../core/time.ts";
import type { Units } from "../core/units.ts";
import type { CommitAnswer, ReleaseAnswer, Verdict } from "../core/verdict.ts";
import type { Caller } from "../ports/quota.ts";
import { findShares, giveBack, letGo, paySharesAt, tellOverage, unchargedOf } from "./charge.ts";
import { isSameStatement } from "./content.ts";
import type { Core } from "./core.ts";
import type { Turn } from "./turn.ts";
import { recordEnding } from "./ending.ts";
import type { Now } from "./now.ts";
import { checkMeters, type Prepared } from "./prepare.ts";
import type { Hold, Reservation, Settled } from "./reservations.ts";
import { newRuling, ruleSuspension, ruleUnits } from "./ruling.ts";
import type { Standing } from "./standing.ts";
import { capsAt, verdictOf } from "./verdicts.ts";
import { ALLOWED, commitAnswer, releaseAnswer, tallyOf } from "./tally.ts";

const isLive = (found: Reservation | Settled): found is Reservation =>
  found.state === "open" || found.state === "expired";

/** The caller's reservation by its id; another tenant's is unknown (S26). */
export function findReservation(
  core: Core,
  caller: Caller,
  id: string,
): Reservation | Settled | Rejection {
  const found = core.reservations.get(id);
  return found && (caller.tenant === "" || caller.tenant === found.tenant) ? found : unknown();
}

/** After a reload: the same limits, with the numbers and rules of today. */
export function rebind(core: Core, reservation: Reservation, now: Now): void {
  if (reservation.generation === core.policy.generation) return;
  reservation.generation = core.policy.generation;
  const tenant = core.tenants.get(reservation.tenant);
  if (!tenant) return;
  for (const hold of reservation.holds) {
    const { key, platform } = hold.limit;
    const limit = tenant.policy.limits.find((one) => one.key === key && one.platform === platform);
    if (!limit || !core.accounts.find(tenant, limit, hold.bucket, now)) continue;
    if (limit.rule.shape.kind === hold.limit.rule.shape.kind) hold.limit = limit;
  }
}

const unknown = (): Rejection =>
  reject(
    "RESERVATION_UNKNOWN",
    "no reservation of this id is known to this sidecar",
    "reservation_id",
  );

const settledOtherwise = (settled: Settled): Rejection =>
  settled.state === "forgone"
    ? reject(
        "RESERVATION_EXPIRED",
        "the reservation expired and its grace is over",
        "reservation_id",
      )
    : reject("ALREADY_SETTLED", `the reservation is already ${settled.state}`, "reservation_id");

/** What the commit states, by meter, its derived meters included. */
function statedBy(
  core: Core,
  reservation: Reservation,
  op: Commit,
): ReadonlyMap<string, Units> | Rejection {
  const { usage } = op;
  if (!usage && op.amounts.length === 0) return new Map();
  const unknownMeter = checkMeters(core, op.amounts, "amounts");
  if (unknownMeter) return unknownMeter;
  const request = { action: reservation.action, amounts: op.amounts, usage };
  const derived = derive(core.policy.tariff, request, "commit");
  if (isRejection(derived)) return derived;
  if (derived.unpriced !== "") core.telemetry.unpriced();
  return new Map(derived.amounts.map(({ meter, units }) => [meter, units]));
}

export function commit(core: Core, turn: Turn, op: Commit): CommitAnswer | Rejection {
  const found = findReservation(core, turn.caller, op.reservationId);
  if (isRejection(found)) return found;
  if (!isLive(found)) {
    return found.state === "committed" && isSameStatement(found, op)
      ? commitAnswer(found, false)
      : settledOtherwise(found);
  }
  rebind(core, found, turn.now);
  const stated = statedBy(core, found, op);
  if (isRejection(stated)) return stated;
  const reserved = new Map(found.amounts.map(({ meter, units }) => [meter, units]));
  const total = (meter: string): Units | undefined =>
    stated.get(meter) ?? (op.partial ? undefined : (reserved.get(meter) ?? 0));
  const shares = findShares(core, found.holds, (hold) => total(hold.meter), "refuse");
  if ("rejectedBy" in shares) {
    const { limit } = shares.rejectedBy;
    return reject(
      "OVERAGE_REJECTED",
      `limit "${limit.name}" takes no more than was reserved and is left (overage: reject)`,
      "amounts",
    );
  }
  const before = new Map(found.charged);
  for (const hold of found.holds) unlapse(found, hold);
  paySharesAt(core, shares);
  for (const meter of new Set([...reserved.keys(), ...stated.keys()])) {
    const actual = total(meter);
    if (actual === undefined) continue;
    const was = before.get(meter) ?? 0;
    const uncharged = (found.uncharged.get(meter) ?? 0) + unchargedOf(shares, meter);
    const charged = Math.max(was, actual - uncharged);
    found.charged.set(meter, charged);
    if (uncharged > 0) found.uncharged.set(meter, uncharged);
    core.telemetry.charged(meter, charged - was);
  }
  tellOverage(core, shares);
  return op.partial ? runOn(core, turn, found) : finish(core, turn, found, op);
}

/** A partial commit: the rest stays open, and the expiry is renewed by the reservation's ttl. */
function runOn(core: Core, turn: Turn, reservation: Reservation): CommitAnswer {
  const { now } = turn;
  if (reservation.state === "open") {
    renew(core, reservation, now.mono + reservation.ttlMs);
  } else {
    for (const hold of reservation.holds) hold.lease.lapsed += hold.held;
  }
  const tally = tallyOf(reservation, standingVerdict(core, turn, reservation));
  return commitAnswer(tally, true, (meter) => reservation.charged.has(meter));
}

/** The last commit: the reservation is over. */
function finish(core: Core, turn: Turn, reservation: Reservation, op: Commit): CommitAnswer {
  const { now } = turn;
  const late = reservation.state === "expired";
  for (const hold of reservation.holds) giveBack(core, hold);
  const tally = tallyOf(reservation, standingVerdict(core, turn, reservation));
  for (const hold of reservation.holds) letGo(core, hold, now, reservation);
  recordEnding(core, reservation.circuits, { id: reservation.id, outcome: op.outcome }, now);
  core.telemetry.reservationEnded(late ? "late" : "committed");
  core.reservations.end(reservation, { state: "committed", tally, stated: op }, now.mono);
  return commitAnswer(tally, false);
}

/** A hold that was kept past expiry is a hold again, to be paid or given back. */
export function unlapse(reservation: Reservation, hold: Hold): void {
  if (reservation.state === "expired") hold.lease.lapsed -= hold.held;
}

/** What a Check of nothing more would say now: caps, notices, debt. */
function standingVerdict(core: Core, { caller, now }: Turn, reservation: Reservation): Verdict {
  const interesting = reservation.holds.some(
    ({ limit, lease }) =>
      limit.rule.at.length > 0 ||
      lease.view.debt > 0 ||
      lease.overage > 0 ||
      lease.spec.kind === "rate",
  );
  const tenant = core.tenants.get(reservation.tenant);
  if (!tenant || (!interesting && tenant.policy.blocked === "")) return ALLOWED;
  core.funds.flush();
  const standings = standingsOfHolds(reservation);
  const ruling = newRuling();
  ruleSuspension(ruling, tenant);
  ruleUnits(ruling, standings, now);
  ruling.shadow.length = 0;
  const { subject, action, amounts } = reservation;
  const request = { subject, action, amounts, usage: undefined, verbose: false };
  const asked: Prepared = {
    caller,
    tenant,
    request,
    subject,
    action,
    amounts: [],
    requests: 0,
    unpriced: "",
    outputTokens: undefined,
  };
  const caps = ruling.refusals.length > 0 ? undefined : capsAt(standings, false);
  if (ruling.refusals.length === 0 && !caps) return ALLOWED;
  const decisionId = ruling.refusals.length > 0 ? core.rng.id() : "";
  return verdictOf({ core, now, asked }, { standings, ruling, caps, decisionId });
}

const standingsOfHolds = (reservation: Reservation): Standing[] =>
  reservation.holds
    .filter(({ lease }) => lease.spec.kind !== "slots")
    .map(({ limit, lease, scope }) => ({
      limit,
      bucket: "",
      scope,
      need: 0,
      lease,
    }));

/** Pushes the expiry out, to 24 h after the reservation was made at most (S25). */
export function renew(core: Core, reservation: Reservation, deadline: number): void {
  const latest = reservation.createdMono + DAY;
  const renewed = Math.min(
    Math.max(deadline, reservation.deadline),
    Math.max(latest, reservation.deadline),
  );
  reservation.expiresAt += renewed - reservation.deadline;
  core.reservations.renew(reservation, renewed);
  for (const { circuit } of reservation.circuits) {
    if (circuit.trial?.id === reservation.id) circuit.trial.expiresAt = renewed;
  }
}

export function release(core: Core, turn: Turn, op: Release): ReleaseAnswer | Rejection {
  const found = findReservation(core, turn.caller, op.reservationId);
  if (isRejection(found)) return found;
  if (!isLive(found)) {
    if (found.state === "forgone") return { op: "release", released: [] };
    return found.state === "released" ? releaseAnswer(found) : settledOtherwise(found);
  }
  if (found.state === "expired") return { op: "release", released: [] };
  return releaseOpen(core, found, turn.now);
}

/** What is still held goes back; what partial commits charged stays charged. */
export function releaseOpen(core: Core, reservation: Reservation, now: Now): ReleaseAnswer {
  const tally = tallyOf(reservation, ALLOWED);
  for (const hold of reservation.holds) {
    giveBack(core, hold);
    letGo(core, hold, now, reservation);
  }
  recordEnding(core, reservation.circuits, { id: reservation.id, outcome: "void" }, now);
  core.telemetry.reservationEnded("released");
  core.reservations.end(reservation, { state: "released", tally }, now.mono);
  return releaseAnswer(tally);
}
