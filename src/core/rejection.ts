/**
 * A rejection: the request itself was wrong, or cannot be decided. It is a value, never thrown, and never a
 * denial (a denial is a normal answer, see verdict.ts). Reasons are a closed table; none is ever reused.
 */
import type { DurationMs } from "./time.ts";

/** Every reason, with the canonical gRPC code that it travels under. */
export const REASONS = {
  BAD_NAME: "INVALID_ARGUMENT",
  BAD_AMOUNT: "INVALID_ARGUMENT",
  DUPLICATE_METER: "INVALID_ARGUMENT",
  UNKNOWN_METER: "INVALID_ARGUMENT",
  MODEL_MISMATCH: "INVALID_ARGUMENT",
  BAD_USAGE: "INVALID_ARGUMENT",
  BAD_TTL: "INVALID_ARGUMENT",
  BAD_ENUM: "INVALID_ARGUMENT",
  BAD_SIZE: "INVALID_ARGUMENT",
  EMPTY_OPERATION: "INVALID_ARGUMENT",
  MISSING_TENANT: "INVALID_ARGUMENT",
  MISSING_FIELD: "INVALID_ARGUMENT",
  NOT_ALLOWED_HERE: "INVALID_ARGUMENT",
  MISSING_CREDENTIAL: "UNAUTHENTICATED",
  BAD_CREDENTIAL: "UNAUTHENTICATED",
  EXPIRED_CREDENTIAL: "UNAUTHENTICATED",
  WRONG_TENANT: "PERMISSION_DENIED",
  MISSING_SCOPE: "PERMISSION_DENIED",
  UNKNOWN_TENANT: "NOT_FOUND",
  RESERVATION_UNKNOWN: "NOT_FOUND",
  ALREADY_SETTLED: "FAILED_PRECONDITION",
  RESERVATION_EXPIRED: "FAILED_PRECONDITION",
  OVERAGE_REJECTED: "FAILED_PRECONDITION",
  IDEMPOTENCY_CONFLICT: "ALREADY_EXISTS",
  DRAINING: "UNAVAILABLE",
  TOO_MANY_RESERVATIONS: "RESOURCE_EXHAUSTED",
  TOO_MANY_BUCKETS: "RESOURCE_EXHAUSTED",
  TOO_MANY_STREAMS: "RESOURCE_EXHAUSTED",
} as const;

export type RejectionReason = keyof typeof REASONS;
export type RejectionCode = (typeof REASONS)[RejectionReason];

export interface Rejection {
  readonly rejected: true;
  readonly reason: RejectionReason;
  /** One sentence: the offending value (cut short) and what is allowed. */
  readonly message: string;
  /** Path of the offending field as a caller writes it: "amounts[0].units". Absent: no single field. */
  readonly field?: string;
  /** Set where a retry helps. */
  readonly retryAfterMs?: DurationMs;
}

export function reject(reason: RejectionReason, message: string, field?: string): Rejection {
  return field === undefined
    ? { rejected: true, reason, message }
    : { rejected: true, reason, message, field };
}

/** Soon: another process takes the address over, or this one is back. */
const BACK_MS: DurationMs = 1_000;

export const DRAINING: Rejection = {
  rejected: true,
  reason: "DRAINING",
  message: "the sidecar is draining and takes no new calls",
  retryAfterMs: BACK_MS,
};

export const isRejection = (value: object): value is Rejection => "rejected" in value;
