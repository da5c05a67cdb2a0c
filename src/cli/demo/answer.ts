/** What the demo reads out of the sidecar's answers. */
import { type Amount, type Denial, DenyReason, type Verdict } from "../../gen/imprest/v1/quota.ts";

/** 0 where nothing was charged. */
export const microsOf = (amounts: readonly Amount[]): number =>
  Number(amounts.find(({ meter }) => meter === "usd_micros")?.units ?? 0n);

/** "BUDGET_EXHAUSTED"; "REASON_99" for one that this version does not know. */
export const reasonOf = (denial: Denial): string =>
  Object.entries(DenyReason).find(([, number]) => number === denial.reason)?.[0] ??
  `REASON_${String(denial.reason)}`;

/** What a limit or loop in shadow mode would have refused. */
export const findShadowDenial = (verdict: Verdict | undefined, limit: string): Denial | undefined =>
  verdict?.limits.find((status) => status.shadow && status.limit === limit)?.wouldDeny;
