/**
 * What a caller hears. A denial is a value in a normal answer; only ALLOW and ALLOW_WITH_CAPS mean "go on".
 */
import type { Action, Amount, Subject } from "./operation.ts";
import type { DurationMs, EpochMs } from "./time.ts";
import type { Units } from "./units.ts";

export type Decision = "allow" | "allow_with_caps" | "deny";

/** Reasons in order of precedence: of several refusals the first in this list governs. */
export const DENY_REASONS = [
  "TENANT_SUSPENDED",
  "ACTION_NOT_ALLOWED",
  "UNPRICED_MODEL",
  "REQUEST_TOO_LARGE",
  "CIRCUIT_OPEN",
  "LOOP_DETECTED",
  "BUDGET_EXHAUSTED",
  "CONCURRENCY_EXHAUSTED",
  "RATE_LIMITED",
  "STORE_UNAVAILABLE",
  "LEASE_PENDING",
] as const;
export type DenyReason = (typeof DENY_REASONS)[number];

export interface Denial {
  readonly reason: DenyReason;
  /** Name of the limit, breaker or loop in the policy; "" where none refused (suspended, not allowed). */
  readonly limit: string;
  readonly scope: string;
  readonly meter: string;
  readonly limitUnits: Units;
  /** May be negative. */
  readonly remainingUnits: number;
  readonly requestedUnits: Units;
  /** Absent: no retry will help. A promise (S15). */
  readonly retryAfterMs?: DurationMs;
  /** End of the period, where there is one. */
  readonly resetsAt?: EpochMs;
  readonly message: string;
  readonly helpUrl: string;
}

export interface Caps {
  /** 0: no cap. */
  readonly maxOutputTokens: Units;
  readonly fallbackModel: string;
  readonly toolAllowlist: readonly string[];
  readonly toolDenylist: readonly string[];
  readonly maxStepsRemaining: Units;
  readonly cooldownMs?: DurationMs;
  readonly notice: string;
  /** The limit that asked. */
  readonly limit: string;
}

/** lease: local units; store: waited for the store; fallback: store lost, the limit's own policy answered. */
export type DecisionSource = "lease" | "store" | "fallback";

export interface LimitStatus {
  readonly limit: string;
  readonly scope: string;
  readonly meter: string;
  readonly limitUnits: Units;
  readonly remainingUnits: number;
  readonly resetsAt?: EpochMs;
  readonly shadow: boolean;
  /** Shadow limits only. */
  readonly wouldDeny?: Denial;
}

export interface Verdict {
  readonly decision: Decision;
  /** Deny only. */
  readonly denial?: Denial;
  /** Allow with caps only. */
  readonly caps?: Caps;
  readonly source: DecisionSource;
  readonly degraded: boolean;
  /** Filled when asked for (verbose); shadow denials always. */
  readonly limits: readonly LimitStatus[];
  /** "" except on Reserve, Consume and every deny. */
  readonly decisionId: string;
}

export interface CheckAnswer {
  readonly op: "check";
  readonly verdict: Verdict;
}
export interface ReserveAnswer {
  readonly op: "reserve";
  readonly verdict: Verdict;
  /** "" on deny and dry run. */
  readonly reservationId: string;
  readonly expiresAt?: EpochMs;
  readonly reserved: readonly Amount[];
}
export interface CommitAnswer {
  readonly op: "commit";
  readonly charged: readonly Amount[];
  readonly released: readonly Amount[];
  readonly overage: readonly Amount[];
  readonly late: boolean;
  readonly verdict: Verdict;
  readonly uncharged: readonly Amount[];
}
export interface ReleaseAnswer {
  readonly op: "release";
  readonly released: readonly Amount[];
}
export interface ExtendAnswer {
  readonly op: "extend";
  readonly verdict: Verdict;
  readonly expiresAt: EpochMs;
}
export interface ConsumeAnswer {
  readonly op: "consume";
  readonly verdict: Verdict;
  readonly charged: readonly Amount[];
}
export type Answer =
  | CheckAnswer
  | ReserveAnswer
  | CommitAnswer
  | ReleaseAnswer
  | ExtendAnswer
  | ConsumeAnswer;

export interface Balance {
  readonly limit: string;
  readonly scope: string;
  readonly meter: string;
  readonly limitUnits: Units;
  readonly spentUnits: Units;
  readonly leasedUnits: Units;
  /** Negative: debt. */
  readonly remainingUnits: number;
  readonly debtUnits: Units;
  readonly resetsAt?: EpochMs;
  readonly localAvailableUnits: Units;
  readonly localReservedUnits: Units;
  readonly quarantinedUnits: Units;
}

export interface Explanation {
  /** Its limits are always filled. */
  readonly verdict: Verdict;
  readonly plan: string;
  readonly policyVersion: string;
  /** Amounts after pricing. */
  readonly derived: readonly Amount[];
}

export interface ReservationView {
  readonly reservationId: string;
  readonly subject: Subject;
  readonly action: Action;
  readonly reserved: readonly Amount[];
  /** By partial commits so far. */
  readonly charged: readonly Amount[];
  readonly createdAt: EpochMs;
  readonly expiresAt: EpochMs;
}
