/** Reserve: hold the estimate in every limit that applies, all or nothing. */
import type { Reserve } from "../core/operation.ts";
import { isRejection, reject, type Rejection } from "../core/rejection.ts";
import type { Caps, ReserveAnswer } from "../core/verdict.ts";
import type { Done } from "../ports/quota.ts";
import { countCall, decide, holdAll } from "./admit.ts";
import { fit, leastOf } from "./best-effort.ts";
import { isRefused, type Case, type Decided } from "./case.ts";
import type { Core } from "./core.ts";
import { amountsOf, look, readsFirst, withRequests } from "./look.ts";
import { lookAt, standingsOf } from "./places.ts";
import { prepare } from "./prepare.ts";
import { hasTakers } from "./lease.ts";
import type { Reservation } from "./reservations.ts";
import { newRuling, ruleEarly, ruleSize, ruleUnits } from "./ruling.ts";
import { newLine } from "./tally.ts";
import type { Turn } from "./turn.ts";
import { capsAt, decision } from "./verdicts.ts";

export function reserve(core: Core, turn: Turn, op: Reserve, done: Done<ReserveAnswer>): void {
  const asked = prepare(core, turn.caller, op, "estimate");
  if (isRejection(asked)) return done(asked);
  const the: Case = { core, turn, now: turn.now, asked };
  if (op.bestEffort) reserveBestEffort(the, op, done);
  else reserveAll(the, op, done);
}

/** `cut`: what best effort has cut already. */
function reserveAll(the: Case, op: Reserve, done: Done<ReserveAnswer>, cut?: Cut): void {
  if (op.dryRun) {
    if (readsFirst(the)) return;
    return done(withoutHold(the, look(the), cut));
  }
  const full = tooManyReservations(the);
  if (full) return done(full);
  const decided = decide(the, op.ttlMs);
  if (!decided) return;
  if (isRejection(decided)) done(decided);
  else if (isRefused(decided)) done(withoutHold(the, decided));
  else done(admitted(the, op, decided, cut));
}

/** Best effort looks first, and then asks for no more than it saw; when less is left by then, for that (S10). */
function reserveBestEffort(the: Case, op: Reserve, done: Done<ReserveAnswer>): void {
  const { core, now } = the;
  if (readsFirst(the)) return;
  const standings = lookAt(the, standingsOf(the));
  core.funds.flush();
  const early = { standings, ruling: ruleEarly(the, standings) };
  if (isRefused(early)) {
    ruleUnits(early.ruling, standings, now);
    return done(withoutHold(the, early));
  }
  const fitted = fit(the, standings);
  if (fitted) {
    const { cutTo, limit } = fitted;
    const cut = cutTo === undefined ? undefined : { tokens: cutTo, limit };
    return reserveAll({ ...the, asked: fitted.asked, takesLess: true }, op, done, cut);
  }
  const ruling = newRuling();
  const least = leastOf(the, standings);
  ruleSize(ruling, least, now);
  ruleUnits(ruling, least, now);
  if (ruling.refusals.length === 0) ruleSize(ruling, standings, now);
  if (ruling.refusals.length === 0) ruleUnits(ruling, standings, now);
  done(withoutHold(the, { standings, ruling }));
}

/** Output tokens that best effort holds, and the limit that asked for the cut. */
interface Cut {
  readonly tokens: number;
  readonly limit: string;
}

/** A cut of output tokens is a cap like any other: the tighter one holds. */
function capsWith(caps: Caps | undefined, cut: Cut | undefined): Caps | undefined {
  if (!cut) return caps;
  if (!caps) return { ...NO_CAPS, maxOutputTokens: cut.tokens, limit: cut.limit };
  const most = caps.maxOutputTokens;
  return { ...caps, maxOutputTokens: most === 0 ? cut.tokens : Math.min(most, cut.tokens) };
}

const NO_CAPS: Caps = {
  maxOutputTokens: 0,
  fallbackModel: "",
  toolAllowlist: [],
  toolDenylist: [],
  maxStepsRemaining: 0,
  notice: "",
  limit: "",
};

/** The answer of a refusal or a dry run. */
function withoutHold(the: Case, decided: Decided, cut?: Cut): ReserveAnswer {
  const refused = isRefused(decided);
  const caps = refused ? undefined : capsWith(capsAt(decided.standings, true), cut);
  const verdict = decision(the, "reserve", { ...decided, caps, decisionId: the.core.rng.id() });
  const reserved = refused ? [] : amountsOf(the.asked, decided.standings);
  return { op: "reserve", verdict, reservationId: "", reserved };
}

function tooManyReservations({ core, asked }: Case): Rejection | undefined {
  const { reservations, bounds } = core;
  const { uid, name } = asked.tenant.policy;
  if (reservations.liveOf(uid) >= bounds.reservationsPerTenant) {
    return reject("TOO_MANY_RESERVATIONS", `tenant "${name}" has too many open reservations`);
  }
  return reservations.liveCount() >= bounds.reservationsMax
    ? reject("TOO_MANY_RESERVATIONS", "this sidecar has too many open reservations")
    : undefined;
}

// Past this line nothing is refused.
function admitted(the: Case, op: Reserve, decided: Decided, cut?: Cut): ReserveAnswer {
  const { core } = the;
  const { standings } = decided;
  const reservation = open(the, op, decided);
  const caps = capsWith(capsAt(standings, false), cut);
  const verdict = decision(the, "reserve", { ...decided, caps, decisionId: core.rng.id() });
  return {
    op: "reserve",
    verdict,
    reservationId: reservation.id,
    expiresAt: reservation.expiresAt,
    reserved: amountsOf(the.asked, standings),
  };
}

function open(the: Case, { ttlMs }: Reserve, decided: Decided): Reservation {
  const { core, asked, now } = the;
  const id = core.rng.id();
  const deadline = now.mono + ttlMs;
  const holds = holdAll(core, decided);
  const circuits = countCall(the, { id, expiresAt: deadline });
  const reservation: Reservation = {
    id,
    sequence: core.reservations.nextSequence(),
    uid: asked.tenant.policy.uid,
    tenant: asked.tenant.policy.name,
    subject: asked.subject,
    // With the model that was asked for, which a commit need not name again.
    action: asked.action,
    lines: withRequests(asked).map(({ meter, units }) => newLine(meter, units)),
    holds,
    circuits,
    createdAt: now.wall,
    createdMono: now.mono,
    ttlMs,
    generation: core.policy.generation,
    state: "open",
    deadline,
    slot: -1,
    expiresAt: now.wall + ttlMs,
    keys: undefined,
  };
  for (const { lease } of holds) if (hasTakers(lease.spec)) lease.takers.add(reservation);
  core.reservations.add(reservation);
  return reservation;
}
