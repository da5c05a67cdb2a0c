/**
 * Commit and Release: the end of a reservation, or a running total on the way (S19–S24).
 *
 * What was reserved decides which limits are charged; the commit decides how much. A held meter that a last
 * commit does not state is charged as it was reserved, and in a partial one it waits (S21, S22).
 */
import { derive } from "../core/money/derive.ts";
import { unitsOf, type Amount, type Commit, type Release } from "../core/operation.ts";
import { isRejection, reject, type Rejection } from "../core/rejection.ts";
import { DAY } from "../core/time.ts";
import type { Units } from "../core/units.ts";
import type { CommitAnswer, ReleaseAnswer, Verdict } from "../core/verdict.ts";
import type { Caller } from "../ports/quota.ts";
import { findShares, giveBack, letGo, paySharesAt, tellOverage, unchargedOf } from "./charge.ts";
import { statementOf } from "./content.ts";
import type { Core } from "./core.ts";
import type { Tenant } from "./tenants.ts";
import type { Turn } from "./turn.ts";
import { recordEnding } from "./ending.ts";
import type { Now } from "./now.ts";
import { askedAgain, checkMeters } from "./prepare.ts";
import { isLive, type Hold, type Reservation, type Settled } from "./reservations.ts";
import { newRuling, ruleSuspension, ruleUnits } from "./ruling.ts";
import type { Standing } from "./standing.ts";
import { capsAt, verdictOf } from "./verdicts.ts";
import {
  ALLOWED,
  commitAnswer,
  lineOf,
  releaseAnswer,
  reservedOf,
  tallyOf,
  unpackTally,
} from "./tally.ts";

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
    if (limit?.rule.shape.kind !== hold.limit.rule.shape.kind) continue;
    if (core.accounts.find(tenant, limit, hold.bucket, now)) hold.limit = limit;
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

interface Stated {
  readonly amounts: readonly Amount[];
  /** A limit counts dollars, and nobody said what its model costs. */
  readonly isUnpriced: boolean;
}

/** What the commit states, its derived meters included. */
function statedBy(core: Core, reservation: Reservation, op: Commit): Stated | Rejection {
  const { amounts, usage } = op;
  if (!usage && amounts.length === 0) return { amounts, isUnpriced: false };
  const { lines } = reservation;
  const held = (meter: string): boolean => reservedOf(lines, meter) !== undefined;
  const unknownMeter = checkMeters(core, amounts, "amounts", held);
  if (unknownMeter) return unknownMeter;
  const derived = derive(
    core.policy.tariff,
    { action: reservation.action, amounts, usage },
    "commit",
  );
  if (isRejection(derived)) return derived;
  const dollars = reservation.holds.some(({ meter }) => meter === "usd_micros");
  return { amounts: derived.amounts, isUnpriced: derived.unpriced !== "" && dollars };
}

/** Undefined: it waits for the store, and is decided again in another turn. */
export function commit(core: Core, turn: Turn, op: Commit): CommitAnswer | Rejection | undefined {
  const found = findReservation(core, turn.caller, op.reservationId);
  if (isRejection(found)) return found;
  if (!isLive(found)) {
    return found.state === "committed" && found.statement === statementOf(op)
      ? commitAnswer(unpackTally(found), false)
      : settledOtherwise(found);
  }
  rebind(core, found, turn.now);
  const stated = statedBy(core, found, op);
  if (isRejection(stated)) return stated;
  for (const { meter } of stated.amounts) lineOf(found.lines, meter);
  core.reservations.changed(found);
  const total = (meter: string): Units | undefined =>
    unitsOf(stated.amounts, meter) ?? (op.partial ? undefined : reservedOf(found.lines, meter));
  const shares = findShares({ core, turn }, found.holds, total, "refuse");
  if ("lacking" in shares) {
    turn.suspend({ wants: [shares.lacking], ttlMs: 0 });
    return undefined;
  }
  if ("rejectedBy" in shares) return rejectedBy(shares.rejectedBy);
  for (const hold of found.holds) unlapse(found, hold);
  paySharesAt(core, shares);
  if (stated.isUnpriced) core.telemetry.unpriced();
  const isListed = (meter: string): boolean => meter !== "requests" || countsRequests(found);
  for (const line of found.lines) {
    const actual = total(line.meter);
    if (actual === undefined) continue;
    line.stated = true;
    line.uncharged += unchargedOf(shares, line.meter);
    const charged = Math.max(line.charged, actual - line.uncharged); // (TA1)
    if (isListed(line.meter)) core.telemetry.charged(line.meter, charged - line.charged);
    line.charged = charged;
  }
  tellOverage(core, shares);
  return op.partial ? runOn(core, turn, found) : finish(core, turn, found, op);
}

const rejectedBy = ({ limit }: Hold): Rejection =>
  reject(
    "OVERAGE_REJECTED",
    `limit "${limit.name}" takes no more than was reserved and is left (overage: reject)`,
    "amounts",
  );

const countsRequests = ({ holds }: Reservation): boolean =>
  holds.some(({ meter }) => meter === "requests");

/** A partial commit: the rest stays open, and the expiry is renewed by the reservation's ttl. */
function runOn(core: Core, turn: Turn, reservation: Reservation): CommitAnswer {
  const late = reservation.state === "expired";
  if (late) for (const hold of reservation.holds) hold.lease.lapsed += hold.held;
  else renew(core, turn.now, { reservation, deadline: turn.now.mono + reservation.ttlMs });
  const verdict = standingVerdict(core, turn, reservation);
  const { lines } = reservation;
  const tallied = { lines, countsRequests: countsRequests(reservation), late, verdict };
  return commitAnswer(tallyOf(tallied, false), true);
}

/** The last commit: the reservation is over. */
function finish(core: Core, turn: Turn, reservation: Reservation, op: Commit): CommitAnswer {
  const { now } = turn;
  const late = reservation.state === "expired";
  for (const hold of reservation.holds) giveBack(core, hold);
  const verdict = standingVerdict(core, turn, reservation);
  const { lines } = reservation;
  const tally = tallyOf({ lines, countsRequests: countsRequests(reservation), late, verdict });
  for (const hold of reservation.holds) letGo(core, hold, now, reservation);
  recordEnding(core, reservation.circuits, { id: reservation.id, outcome: op.outcome }, now);
  core.telemetry.reservationEnded(late ? "late" : "committed");
  core.reservations.end(
    reservation,
    { state: "committed", tally, statement: statementOf(op) },
    now.mono,
  );
  return commitAnswer(tally, false);
}

/** A hold that was kept past expiry is a hold again, to be paid or given back. */
export function unlapse(reservation: Reservation, hold: Hold): void {
  if (reservation.state === "expired") hold.lease.lapsed -= hold.held;
}

/** What a Check of nothing more would say now: caps, notices, debt. */
function standingVerdict(core: Core, turn: Turn, reservation: Reservation): Verdict {
  const { caller, now } = turn;
  const interesting = reservation.holds.some((hold) => mayMatter(hold, now));
  const tenant = core.tenants.get(reservation.tenant);
  if (!tenant || (!interesting && tenant.policy.blocked === "")) return ALLOWED;
  const standings = standingsNow(core, tenant, reservation, now);
  core.funds.flush();
  const ruling = newRuling();
  ruleSuspension(ruling, tenant);
  ruleUnits(ruling, standings, now);
  ruling.shadow.length = 0;
  const asked = askedAgain({ caller, tenant }, reservation, []);
  const caps = ruling.refusals.length > 0 ? undefined : capsAt(standings, false);
  if (ruling.refusals.length === 0 && !caps) return ALLOWED;
  const decisionId = ruling.refusals.length > 0 ? core.rng.id() : "";
  return verdictOf({ core, turn, now, asked }, { standings, ruling, caps, decisionId });
}

/** Whether a limit could have something to say: steps, or debt, or a period that is not the reservation's (S24). */
const mayMatter = ({ limit, lease }: Hold, now: Now): boolean =>
  now.latest >= lease.spec.end ||
  limit.rule.at.length > 0 ||
  lease.view.debt > 0 ||
  lease.overage > 0 ||
  (lease.spec.kind === "rate" && (lease.beyond > 0 || lease.view.available < 0));

/** Where the same limits stand today: the period of the reservation may be over (S24). */
function standingsNow(
  core: Core,
  tenant: Tenant,
  { holds }: Reservation,
  now: Now,
): readonly Standing[] {
  return holds.flatMap(({ limit, bucket, scope }) => {
    const isDropped = !tenant.policy.limits.includes(limit);
    if (isDropped || limit.rule.shape.kind === "concurrency") return [];
    const account = core.accounts.find(tenant, limit, bucket, now);
    return account ? [{ limit, bucket, scope, need: 0, lease: account.lease }] : [];
  });
}

/** Less than this tells nothing: the clocks are read in whole ms, and slewed. */
const STOOD = 250;

/** Pushes the expiry out, to 24 h after the reservation was made at most (S25). */
export function renew(
  core: Core,
  now: Now,
  { reservation, deadline }: { readonly reservation: Reservation; readonly deadline: number },
): void {
  const latest = reservation.createdMono + DAY;
  const renewed = Math.min(
    Math.max(deadline, reservation.deadline),
    Math.max(latest, reservation.deadline),
  );
  const ttlMs = renewed - now.mono;
  const shown = reservation.expiresAt + renewed - reservation.deadline;
  const stood = now.wall + ttlMs - shown; // for how long the machine did, since its caller was told
  reservation.expiresAt = stood > STOOD ? shown + stood : shown;
  core.reservations.renew(reservation, renewed);
  for (const { lease } of reservation.holds) core.funds.prolong(lease, ttlMs);
  for (const { circuit } of reservation.circuits) {
    if (circuit.trial?.id === reservation.id) circuit.trial.expiresAt = renewed;
  }
}

export function release(core: Core, turn: Turn, op: Release): ReleaseAnswer | Rejection {
  const found = findReservation(core, turn.caller, op.reservationId);
  if (isRejection(found)) return found;
  if (!isLive(found)) {
    if (found.state === "forgone") return { op: "release", released: [] };
    return found.state === "released" ? releaseAnswer(unpackTally(found)) : settledOtherwise(found);
  }
  if (found.state === "expired") return { op: "release", released: [] };
  return releaseOpen(core, found, turn.now);
}

/** What is still held goes back; what partial commits charged stays charged. */
export function releaseOpen(core: Core, reservation: Reservation, now: Now): ReleaseAnswer {
  const { lines } = reservation;
  const counted = countsRequests(reservation);
  const tally = tallyOf({ lines, countsRequests: counted, late: false, verdict: ALLOWED });
  for (const hold of reservation.holds) {
    giveBack(core, hold);
    letGo(core, hold, now, reservation);
  }
  recordEnding(core, reservation.circuits, { id: reservation.id, outcome: "void" }, now);
  core.telemetry.reservationEnded("released");
  core.reservations.end(reservation, { state: "released", tally }, now.mono);
  return releaseAnswer(tally);
}
