/** The core's answers as wire messages. */
import type { Amount } from "../../core/operation.ts";
import { isRejection, REASONS, type Rejection } from "../../core/rejection.ts";
import type { EpochMs } from "../../core/time.ts";
import type * as core from "../../core/verdict.ts";
import { Decision, DecisionSource, DenyReason } from "../../gen/imprest/v1/quota.ts";
import type * as wire from "../../gen/imprest/v1/quota.ts";
import type { Timestamp } from "../../gen/google/protobuf/timestamp.ts";
import type { ReservationPage } from "../../ports/quota.ts";
import { codeOf } from "./code.ts";
import { toDuration, toTimestamp } from "./length.ts";

const DECISIONS = {
  allow: Decision.ALLOW,
  allow_with_caps: Decision.ALLOW_WITH_CAPS,
  deny: Decision.DENY,
} as const;

const SOURCES = {
  lease: DecisionSource.LEASE,
  store: DecisionSource.STORE,
  fallback: DecisionSource.FALLBACK,
} as const;

const NO_AMOUNTS: readonly wire.Amount[] = [];

function writeAmounts(amounts: readonly Amount[]): readonly wire.Amount[] {
  if (amounts.length === 0) return NO_AMOUNTS;
  return amounts.map(({ meter, units }) => ({ meter, units: BigInt(units) }));
}

const writeMoment = (at: EpochMs | undefined): Timestamp | undefined =>
  at === undefined ? undefined : toTimestamp(at);

export function writeDenial(denial: core.Denial): wire.Denial {
  const { retryAfterMs } = denial;
  return {
    reason: DenyReason[denial.reason],
    limit: denial.limit,
    scope: denial.scope,
    meter: denial.meter,
    limitUnits: BigInt(denial.limitUnits),
    remainingUnits: BigInt(denial.remainingUnits),
    requestedUnits: BigInt(denial.requestedUnits),
    retryAfter: retryAfterMs === undefined ? undefined : toDuration(retryAfterMs),
    resetsAt: writeMoment(denial.resetsAt),
    message: denial.message,
    helpUrl: denial.helpUrl,
  };
}

function writeCaps(caps: core.Caps): wire.Caps {
  return {
    maxOutputTokens: BigInt(caps.maxOutputTokens),
    fallbackModel: caps.fallbackModel,
    toolAllowlist: caps.toolAllowlist,
    toolDenylist: caps.toolDenylist,
    maxStepsRemaining: BigInt(caps.maxStepsRemaining),
    cooldown: caps.cooldownMs === undefined ? undefined : toDuration(caps.cooldownMs),
    notice: caps.notice,
    limit: caps.limit,
  };
}

const writeStatus = (status: core.LimitStatus): wire.LimitStatus => ({
  limit: status.limit,
  scope: status.scope,
  meter: status.meter,
  limitUnits: BigInt(status.limitUnits),
  remainingUnits: BigInt(status.remainingUnits),
  resetsAt: writeMoment(status.resetsAt),
  shadow: status.shadow,
  wouldDeny: status.wouldDeny && writeDenial(status.wouldDeny),
});

const NO_LIMITS: readonly wire.LimitStatus[] = [];

export function writeVerdict(verdict: core.Verdict): wire.Verdict {
  return {
    decision: DECISIONS[verdict.decision],
    denial: verdict.denial && writeDenial(verdict.denial),
    caps: verdict.caps && writeCaps(verdict.caps),
    source: SOURCES[verdict.source],
    degraded: verdict.degraded,
    limits: verdict.limits.length === 0 ? NO_LIMITS : verdict.limits.map(writeStatus),
    decisionId: verdict.decisionId,
  };
}

export const writeCheck = (answer: core.CheckAnswer): wire.CheckResponse => ({
  verdict: writeVerdict(answer.verdict),
});

export const writeReserve = (answer: core.ReserveAnswer): wire.ReserveResponse => ({
  verdict: writeVerdict(answer.verdict),
  reservationId: answer.reservationId,
  expiresAt: writeMoment(answer.expiresAt),
  reserved: writeAmounts(answer.reserved),
});

export const writeCommit = (answer: core.CommitAnswer): wire.CommitResponse => ({
  charged: writeAmounts(answer.charged),
  released: writeAmounts(answer.released),
  overage: writeAmounts(answer.overage),
  late: answer.late,
  verdict: writeVerdict(answer.verdict),
  uncharged: writeAmounts(answer.uncharged),
});

export const writeRelease = (answer: core.ReleaseAnswer): wire.ReleaseResponse => ({
  released: writeAmounts(answer.released),
});

export const writeExtend = (answer: core.ExtendAnswer): wire.ExtendResponse => ({
  verdict: writeVerdict(answer.verdict),
  expiresAt: toTimestamp(answer.expiresAt),
});

export const writeConsume = (answer: core.ConsumeAnswer): wire.ConsumeResponse => ({
  verdict: writeVerdict(answer.verdict),
  charged: writeAmounts(answer.charged),
});

export const writeError = (rejection: Rejection): wire.OperationError => ({
  code: codeOf(REASONS[rejection.reason]),
  reason: rejection.reason,
  message: rejection.message,
});

/** One result of a Batch or Stream. */
export function writeResult(answer: core.Answer | Rejection): wire.OperationResult {
  if (isRejection(answer)) return { result: { $case: "error", value: writeError(answer) } };
  switch (answer.op) {
    case "check":
      return { result: { $case: "check", value: writeCheck(answer) } };
    case "reserve":
      return { result: { $case: "reserve", value: writeReserve(answer) } };
    case "commit":
      return { result: { $case: "commit", value: writeCommit(answer) } };
    case "release":
      return { result: { $case: "release", value: writeRelease(answer) } };
    case "extend":
      return { result: { $case: "extend", value: writeExtend(answer) } };
    case "consume":
      return { result: { $case: "consume", value: writeConsume(answer) } };
  }
}

const writeBalance = (balance: core.Balance): wire.Balance => ({
  limit: balance.limit,
  scope: balance.scope,
  meter: balance.meter,
  limitUnits: BigInt(balance.limitUnits),
  spentUnits: BigInt(balance.spentUnits),
  leasedUnits: BigInt(balance.leasedUnits),
  remainingUnits: BigInt(balance.remainingUnits),
  debtUnits: BigInt(balance.debtUnits),
  resetsAt: writeMoment(balance.resetsAt),
  localAvailableUnits: BigInt(balance.localAvailableUnits),
  localReservedUnits: BigInt(balance.localReservedUnits),
  quarantinedUnits: BigInt(balance.quarantinedUnits),
});

export const writeBalances = (balances: readonly core.Balance[]): wire.GetBalanceResponse => ({
  balances: balances.map(writeBalance),
});

export const writeExplanation = (explanation: core.Explanation): wire.ExplainResponse => ({
  verdict: writeVerdict(explanation.verdict),
  plan: explanation.plan,
  policyVersion: explanation.policyVersion,
  derived: writeAmounts(explanation.derived),
});

const writeReservation = (view: core.ReservationView): wire.Reservation => ({
  reservationId: view.reservationId,
  // The wire type asks for a mutable map, and nothing here changes it.
  subject: { ...view.subject, dimensions: new Map(view.subject.dimensions) },
  action: view.action,
  reserved: writeAmounts(view.reserved),
  charged: writeAmounts(view.charged),
  createdAt: toTimestamp(view.createdAt),
  expiresAt: toTimestamp(view.expiresAt),
});

export const writePage = (page: ReservationPage): wire.ListReservationsResponse => ({
  reservations: page.reservations.map(writeReservation),
  nextPageToken: page.nextPageToken,
});
