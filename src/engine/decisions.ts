/** Check, Reserve, Consume and Explain: what they decide, and what they leave behind. */
import type { Amount, Check, Consume, Request, Reserve } from "../core/operation.ts";
import { isRejection, reject, type Rejection } from "../core/rejection.ts";
import type { Caps, CheckAnswer, ConsumeAnswer, Explanation, ReserveAnswer, Verdict } from "../core/verdict.ts";
import type { Caller, Done } from "../ports/quota.ts";
import { countCall, decide, holdAll, openLeases, type Decided } from "./admit.ts";
import { fit } from "./best-effort.ts";
import type { Core } from "./core.ts";
import type { Now } from "./now.ts";
import { prepare, type Prepared } from "./prepare.ts";
import type { Hold, Reservation } from "./reservations.ts";
import {
  capsAt,
  lookAt,
  newRuling,
  ruleEarly,
  ruleSize,
  ruleUnits,
  standingsOf,
  verdictOf,
} from "./ruling.ts";
import { chargeConsumed, type Charged } from "./charge.ts";
import { recordEnding } from "./ending.ts";
import type { Standing } from "./standing.ts";

export interface Turn {
  readonly caller: Caller;
  readonly now: Now;
}

/** A look at what would be decided, which creates and changes nothing. */
function look(core: Core, asked: Prepared, now: Now): Decided {
  const standings = lookAt(core, asked, standingsOf(core, asked, now), now);
  core.funds.flush();
  const ruling = ruleEarly(core, asked, standings, now);
  ruleUnits(ruling, standings, now);
  return { standings, ruling };
}

function opinionOf(asked: Prepared, decided: Decided, decisionId: string, now: Now): Verdict {
  const caps = decided.ruling.refusals.length > 0 ? undefined : capsAt(decided.standings, true);
  return verdictOf(asked, { ...decided, caps, decisionId, verbose: asked.request.verbose }, now);
}

const idOfDeny = (core: Core, decided: Decided): string =>
  decided.ruling.refusals.length > 0 ? core.rng.id() : "";

export function check(core: Core, turn: Turn, op: Check, done: Done<CheckAnswer>): void {
  const asked = prepare(core, turn.caller, op, "estimate");
  if (isRejection(asked)) return done(asked);
  const decided = look(core, asked, turn.now);
  const verdict = opinionOf(asked, decided, idOfDeny(core, decided), turn.now);
  tell(core, "check", asked, decided, verdict);
  done({ op: "check", verdict });
}

export function explain(core: Core, turn: Turn, request: Request, done: Done<Explanation>): void {
  const asked = prepare(core, turn.caller, { ...request, verbose: true }, "estimate");
  if (isRejection(asked)) return done(asked);
  const decided = look(core, asked, turn.now);
  done({
    verdict: opinionOf(asked, decided, idOfDeny(core, decided), turn.now),
    plan: asked.tenant.policy.plan,
    policyVersion: core.policy.version,
    derived: amountsOf(asked, decided.standings),
  });
}

/** The amounts as answers list them: `requests` wherever a limit counts it (S1). */
function amountsOf(asked: Prepared, standings: readonly Standing[]): readonly Amount[] {
  const { amounts, requests } = asked;
  if (amounts.some(({ meter }) => meter === "requests")) return amounts;
  if (!standings.some(({ limit }) => limit.meter === "requests")) return amounts;
  return [...amounts, { meter: "requests", units: requests }];
}

export function reserve(core: Core, turn: Turn, op: Reserve, done: Done<ReserveAnswer>): void {
  const { now } = turn;
  const asked = prepare(core, turn.caller, op, "estimate");
  if (isRejection(asked)) return done(asked);
  if (op.bestEffort) return reserveBestEffort(core, asked, op, now, done);
  if (op.dryRun) return done(withoutHold(core, asked, look(core, asked, now), now));
  const full = tooManyReservations(core, asked);
  if (full) return done(full);
  decide(core, asked, now, (decided) => {
    if (isRejection(decided)) return done(decided);
    if (decided.ruling.refusals.length > 0) return done(withoutHold(core, asked, decided, now));
    done(admitted(core, asked, decided, now));
  });
}

/** Best effort looks first, and then asks for no more than it saw. */
function reserveBestEffort(
  core: Core,
  asked: Prepared,
  op: Reserve,
  now: Now,
  done: Done<ReserveAnswer>,
): void {
  const found = standingsOf(core, asked, now);
  const ruling = ruleEarly(core, asked, found, now, true);
  if (ruling.refusals.length > 0) {
    return done(withoutHold(core, asked, { standings: found, ruling }, now));
  }
  const seen = lookAt(core, asked, found, now);
  core.funds.flush();
  const fitted = fit(core, asked, seen, now);
  if (!fitted) {
    const refused = newRuling();
    ruleSize(refused, seen, now);
    ruleUnits(refused, seen, now);
    return done(withoutHold(core, asked, { standings: seen, ruling: refused }, now));
  }
  const cut = fitted.cutTo === undefined ? undefined : { tokens: fitted.cutTo, limit: fitted.limit };
  if (op.dryRun) return done(withoutHold(core, fitted.asked, look(core, fitted.asked, now), now, cut));
  const full = tooManyReservations(core, asked);
  if (full) return done(full);
  decide(core, fitted.asked, now, (decided) => {
    if (isRejection(decided)) return done(decided);
    if (decided.ruling.refusals.length > 0) return done(withoutHold(core, asked, decided, now));
    done(admitted(core, fitted.asked, decided, now, cut));
  });
}

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
function withoutHold(
  core: Core,
  asked: Prepared,
  decided: Decided,
  now: Now,
  cut?: Cut,
): ReserveAnswer {
  const refused = decided.ruling.refusals.length > 0;
  const caps = refused ? undefined : capsWith(capsAt(decided.standings, true), cut);
  const verbose = asked.request.verbose;
  const verdict = verdictOf(asked, { ...decided, caps, decisionId: core.rng.id(), verbose }, now);
  tell(core, "reserve", asked, decided, verdict);
  const reserved = refused ? [] : amountsOf(asked, decided.standings);
  return { op: "reserve", verdict, reservationId: "", reserved };
}

function tooManyReservations(core: Core, asked: Prepared): Rejection | undefined {
  const { reservations, bounds } = core;
  const { uid, name } = asked.tenant.policy;
  if (reservations.openOf(uid) >= bounds.reservationsPerTenant) {
    return reject("TOO_MANY_RESERVATIONS", `tenant "${name}" has too many open reservations`);
  }
  return reservations.openCount() >= bounds.reservationsMax
    ? reject("TOO_MANY_RESERVATIONS", "this sidecar has too many open reservations")
    : undefined;
}

let sequence = 0;

// Past this line nothing is refused.
function admitted(
  core: Core,
  asked: Prepared,
  decided: Decided,
  now: Now,
  cut?: Cut,
): ReserveAnswer {
  const { standings } = decided;
  const id = core.rng.id();
  const { ttlMs } = asked.request as Reserve;
  const deadline = now.mono + ttlMs;
  const holds = holdAll(core, standings);
  const circuits = countCall(core, asked, { id, expiresAt: deadline }, now);
  const reservation: Reservation = {
    id,
    sequence: ++sequence,
    uid: asked.tenant.policy.uid,
    tenant: asked.tenant.policy.name,
    subject: asked.subject,
    action: asked.request.action,
    amounts: reservedAmounts(asked),
    holds,
    charged: new Map(),
    uncharged: new Map(),
    circuits,
    createdAt: now.wall,
    createdMono: now.mono,
    ttlMs,
    state: "open",
    deadline,
    slot: -1,
    expiresAt: now.wall + ttlMs,
    keys: undefined,
  };
  for (const { lease } of holds) if (lease.spec.kind === "slots") lease.takers.add(reservation);
  core.reservations.add(reservation);
  const caps = capsWith(capsAt(standings, false), cut);
  const verbose = asked.request.verbose;
  const verdict = verdictOf(asked, { ...decided, caps, decisionId: core.rng.id(), verbose }, now);
  tell(core, "reserve", asked, decided, verdict);
  return {
    op: "reserve",
    verdict,
    reservationId: id,
    expiresAt: reservation.expiresAt,
    reserved: amountsOf(asked, standings),
  };
}

/** All that was asked, `requests` included: what a silent commit is charged. */
const reservedAmounts = ({ amounts, requests }: Prepared): readonly Amount[] =>
  amounts.some(({ meter }) => meter === "requests")
    ? amounts
    : [...amounts, { meter: "requests", units: requests }];

export function consume(core: Core, turn: Turn, op: Consume, done: Done<ConsumeAnswer>): void {
  const { now } = turn;
  const asked = prepare(core, turn.caller, op, "consume");
  if (isRejection(asked)) return done(asked);
  if (op.alreadySpent) return done(consumeSpent(core, asked, op, now));
  decide(core, asked, now, (decided) => {
    if (isRejection(decided)) return done(decided);
    if (decided.ruling.refusals.length > 0) {
      const verdict = opinionOf(asked, decided, core.rng.id(), now);
      tell(core, "consume", asked, decided, verdict);
      return done({ op: "consume", verdict, charged: [] });
    }
    const holds = holdAll(core, decided.standings);
    done(consumed(core, asked, op, now, { decided, charged: chargeConsumed(core, holds, asked) }));
  });
}

/** What has happened already: nothing is refused, the overage rules apply (S29a). */
function consumeSpent(core: Core, asked: Prepared, op: Consume, now: Now): ConsumeAnswer | Rejection {
  const standings = openLeases(core, asked, standingsOf(core, asked, now), now);
  if (isRejection(standings)) return standings;
  const holds: Hold[] = [];
  for (const { limit, lease, scope } of standings) {
    if (!lease || lease.spec.kind === "slots") continue;
    lease.holds++;
    core.funds.touch(lease);
    holds.push({ limit, lease, scope, meter: limit.meter, held: 0, charged: 0 });
  }
  const decided: Decided = { standings, ruling: newRuling() };
  return consumed(core, asked, op, now, { decided, charged: chargeConsumed(core, holds, asked) });
}

interface Spent {
  readonly decided: Decided;
  readonly charged: Charged;
}

function consumed(
  core: Core,
  asked: Prepared,
  op: Consume,
  now: Now,
  { decided, charged }: Spent,
): ConsumeAnswer {
  const id = core.rng.id();
  const circuits = countCall(core, asked, { id, expiresAt: now.mono }, now);
  recordEnding(core, circuits, { id, outcome: op.outcome }, now);
  const caps = capsAt(decided.standings, false);
  const verbose = asked.request.verbose;
  const verdict = verdictOf(asked, { ...decided, caps, decisionId: id, verbose }, now);
  tell(core, "consume", asked, decided, verdict);
  return { op: "consume", verdict, charged: charged.amounts };
}

/** Counts a decision, and what shadow limits would have refused. */
export function tell(
  core: Core,
  op: "check" | "reserve" | "consume" | "extend",
  asked: Prepared,
  decided: Decided,
  verdict: Verdict,
): void {
  const { telemetry } = core;
  const { denial, decision, source } = verdict;
  const tenant = asked.tenant.policy.name;
  telemetry.decided({ op, decision, reason: denial?.reason ?? "", source, tenant });
  if (denial) {
    const refusal = decided.ruling.refusals.find(
      ({ limit, reason }) => limit === denial.limit && reason === denial.reason,
    );
    telemetry.denied(refusal?.label ?? "", denial.reason);
    core.log.debug({ op, tenant, limit: denial.limit, reason: denial.reason }, "denied");
  }
  for (const { refusal } of decided.ruling.shadow) telemetry.shadowDenied(refusal.label);
  if (asked.unpriced !== "" && decided.standings.some(({ limit }) => limit.meter === "usd_micros")) {
    telemetry.unpriced();
  }
}
