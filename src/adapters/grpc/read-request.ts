/** Requests from the wire in the core's own words: checked for shape, or the first thing that is wrong. */
import type * as core from "../../core/operation.ts";
import { isRejection, reject, type Rejection } from "../../core/rejection.ts";
import { MINUTE, type DurationMs } from "../../core/time.ts";
import type { Duration } from "../../gen/google/protobuf/duration.ts";
import type * as wire from "../../gen/imprest/v1/quota.ts";
import type { ReservationFilter } from "../../ports/quota.ts";
import { lengthMs } from "./length.ts";
import {
  badAction,
  badAmounts,
  badEnum,
  badKey,
  badLabels,
  badPageToken,
  badReason,
  badReservationId,
  badSpan,
  badSubject,
  badTtl,
  badUsage,
  type Flaw,
} from "./shape.ts";

const DEFAULT_TTL_MS: DurationMs = MINUTE;
const DEFAULT_PAGE = 100;
const MOST_PAGE = 1000;

/** By number; 0 (not given) is taken as the first of the contract's own (quota.proto). */
const OUTCOMES = ["success", "success", "error", "aborted"] as const;
const USAGE_SOURCES = ["provider", "provider", "estimated", "reserved"] as const;

const NO_DIMENSIONS: ReadonlyMap<string, string> = new Map();
const NO_SUBJECT: core.Subject = {
  tenant: "",
  workspace: "",
  app: "",
  workflow: "",
  agent: "",
  toolset: "",
  dimensions: NO_DIMENSIONS,
};
const NO_ACTION: core.Action = { kind: "", name: "", tags: [], fingerprint: "" };
const NO_AMOUNTS: readonly core.Amount[] = [];

/** The fields that all decided requests share. */
interface DecidedRequest {
  readonly subject: wire.Subject | undefined;
  readonly action: wire.Action | undefined;
  readonly amounts: readonly wire.Amount[];
  readonly usage: wire.ModelUsage | undefined;
}

const badRequest = (request: DecidedRequest): Flaw =>
  badSubject(request.subject) ??
  badAction(request.action) ??
  badAmounts(request.amounts, "amounts") ??
  badUsage(request.usage);

function toAmounts(amounts: readonly wire.Amount[]): readonly core.Amount[] {
  if (amounts.length === 0) return NO_AMOUNTS;
  return amounts.map((amount) => ({ meter: amount.meter, units: Number(amount.units) }));
}

const toCount = (count: bigint | undefined): number | undefined =>
  count === undefined ? undefined : Number(count);

function toUsage(usage: wire.ModelUsage | undefined): core.ModelUsage | undefined {
  if (usage === undefined) return undefined;
  return {
    model: usage.model,
    inputTokens: toCount(usage.inputTokens),
    outputTokens: toCount(usage.outputTokens),
    cacheReadTokens: Number(usage.cacheReadTokens),
    cacheWriteTokens: Number(usage.cacheWriteTokens),
    reasoningTokens: Number(usage.reasoningTokens),
    inputBytes: Number(usage.inputBytes),
    outputBytes: Number(usage.outputBytes),
  };
}

/** A part of a millisecond counts as a whole one. Only after the length was found legal. */
const toMs = (length: Duration): DurationMs => Math.ceil(lengthMs(length) ?? 0);

/** Subject and Action have the core's shape already; the decoder's objects are taken over as they are. */
const toSubject = (subject: wire.Subject | undefined): core.Subject => subject ?? NO_SUBJECT;
const toAction = (action: wire.Action | undefined): core.Action => action ?? NO_ACTION;

export function readCheck(request: wire.CheckRequest): core.Check | Rejection {
  return (
    badRequest(request) ?? {
      op: "check",
      subject: toSubject(request.subject),
      action: toAction(request.action),
      amounts: toAmounts(request.amounts),
      usage: toUsage(request.usage),
      verbose: request.verbose,
    }
  );
}

export function readReserve(request: wire.ReserveRequest): core.Reserve | Rejection {
  return (
    badRequest(request) ??
    badTtl(request.ttl) ??
    badKey(request.idempotencyKey) ?? {
      op: "reserve",
      subject: toSubject(request.subject),
      action: toAction(request.action),
      amounts: toAmounts(request.amounts),
      usage: toUsage(request.usage),
      verbose: request.verbose,
      ttlMs: request.ttl === undefined ? DEFAULT_TTL_MS : toMs(request.ttl),
      idempotencyKey: request.idempotencyKey,
      dryRun: request.dryRun,
      bestEffort: request.bestEffort,
    }
  );
}

export function readCommit(request: wire.CommitRequest): core.Commit | Rejection {
  return (
    badReservationId(request.reservationId) ??
    badAmounts(request.amounts, "amounts") ??
    badUsage(request.usage) ??
    badKey(request.idempotencyKey) ??
    badEnum(request.outcome, OUTCOMES.length, "outcome") ??
    badLabels(request.labels) ??
    badSpan(request.latency, "latency") ??
    badEnum(request.usageSource, USAGE_SOURCES.length, "usage_source") ?? {
      op: "commit",
      reservationId: request.reservationId,
      amounts: toAmounts(request.amounts),
      usage: toUsage(request.usage),
      idempotencyKey: request.idempotencyKey,
      outcome: OUTCOMES[request.outcome],
      partial: request.partial,
      labels: request.labels,
      latencyMs: request.latency === undefined ? undefined : toMs(request.latency),
      usageSource: USAGE_SOURCES[request.usageSource],
    }
  );
}

export function readRelease(request: wire.ReleaseRequest): core.Release | Rejection {
  const { reservationId, idempotencyKey, reason } = request;
  return (
    badReservationId(reservationId) ??
    badKey(idempotencyKey) ??
    badReason(reason) ?? { op: "release", reservationId, idempotencyKey, reason }
  );
}

export function readExtend(request: wire.ExtendRequest): core.Extend | Rejection {
  return (
    badReservationId(request.reservationId) ??
    badSpan(request.by, "by") ??
    badAmounts(request.add, "add") ??
    badKey(request.idempotencyKey) ?? {
      op: "extend",
      reservationId: request.reservationId,
      byMs: request.by === undefined ? 0 : toMs(request.by),
      add: toAmounts(request.add),
      idempotencyKey: request.idempotencyKey,
    }
  );
}

export function readConsume(request: wire.ConsumeRequest): core.Consume | Rejection {
  return (
    badRequest(request) ??
    badKey(request.idempotencyKey) ??
    badLabels(request.labels) ??
    badEnum(request.usageSource, USAGE_SOURCES.length, "usage_source") ??
    badEnum(request.outcome, OUTCOMES.length, "outcome") ?? {
      op: "consume",
      subject: toSubject(request.subject),
      action: toAction(request.action),
      amounts: toAmounts(request.amounts),
      usage: toUsage(request.usage),
      verbose: request.verbose,
      idempotencyKey: request.idempotencyKey,
      labels: request.labels,
      usageSource: USAGE_SOURCES[request.usageSource],
      alreadySpent: request.alreadySpent,
      outcome: OUTCOMES[request.outcome],
    }
  );
}

/** S34: a unary call and a Batch have no end of a stream that could release anything. */
export function readReserveAlone(request: wire.ReserveRequest): core.Reserve | Rejection {
  if (!request.releaseOnDisconnect) return readReserve(request);
  const message = "release_on_disconnect is for Stream alone";
  return reject("NOT_ALLOWED_HERE", message, "release_on_disconnect");
}

/** One operation of a Batch; the path of what is wrong begins with its place: "operations[3].". */
export function readBatched(operation: wire.Operation, index: number): core.Operation | Rejection {
  const { op } = operation;
  return op?.$case === "reserve"
    ? placed(readReserveAlone(op.value), op.$case, index)
    : readStreamed(operation, index);
}

/** The same of a Stream. */
export function readStreamed(operation: wire.Operation, index: number): core.Operation | Rejection {
  const { op } = operation;
  if (op !== undefined) return placed(readCase(op), op.$case, index);
  const field = `operations[${index}]`;
  return reject("EMPTY_OPERATION", `${field} states no operation that this sidecar knows`, field);
}

function placed<T extends core.Operation>(
  read: T | Rejection,
  op: string,
  index: number,
): T | Rejection {
  if (!isRejection(read) || read.field === undefined) return read;
  return { ...read, field: `operations[${index}].${op}.${read.field}` };
}

function readCase(op: NonNullable<wire.Operation["op"]>): core.Operation | Rejection {
  switch (op.$case) {
    case "check":
      return readCheck(op.value);
    case "reserve":
      return readReserve(op.value);
    case "commit":
      return readCommit(op.value);
    case "release":
      return readRelease(op.value);
    case "extend":
      return readExtend(op.value);
    case "consume":
      return readConsume(op.value);
  }
}

export function readExplain(request: wire.ExplainRequest): core.Request | Rejection {
  return (
    badRequest(request) ?? {
      subject: toSubject(request.subject),
      action: toAction(request.action),
      amounts: toAmounts(request.amounts),
      usage: toUsage(request.usage),
      verbose: true,
    }
  );
}

export function readBalanceSubject(request: wire.GetBalanceRequest): core.Subject | Rejection {
  return badSubject(request.subject) ?? toSubject(request.subject);
}

export function readFilter(request: wire.ListReservationsRequest): ReservationFilter | Rejection {
  const { subject, pageSize, pageToken } = request;
  const flaw = badSubject(subject) ?? badPageToken(pageToken);
  if (flaw !== undefined) return flaw;
  if (pageSize < 0 || pageSize > MOST_PAGE) {
    const message = `page_size is ${pageSize}; allowed: 1 to ${MOST_PAGE}, or 0 for ${DEFAULT_PAGE}`;
    return reject("BAD_SIZE", message, "page_size");
  }
  return { subject: toSubject(subject), pageSize: pageSize || DEFAULT_PAGE, pageToken };
}
