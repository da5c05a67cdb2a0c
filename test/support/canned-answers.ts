/** Verdicts that tests let a sidecar give. */
import { Decision, DenyReason } from "../../src/gen/imprest/v1/quota.ts";

/** 2026-12-01T00:00:00Z. */
export const RESETS = { seconds: 1_796_083_200n, nanos: 0 };

export const DENIED = {
  decision: Decision.DENY,
  decisionId: "d-1",
  denial: {
    reason: DenyReason.BUDGET_EXHAUSTED,
    limit: "dollars-per-month",
    scope: "tenant:acme",
    meter: "usd_micros",
    limitUnits: 5_000_000n,
    remainingUnits: 120_000n,
    requestedUnits: 250_000n,
    retryAfter: { seconds: 90n, nanos: 0 },
    resetsAt: RESETS,
    message: "The month is spent.",
    helpUrl: "https://example.com/upgrade",
  },
};

export const ALLOWED = { decision: Decision.ALLOW };
