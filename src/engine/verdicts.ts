/** The verdict that a caller hears, and what is counted of it. */
import { capsOf, mergeCaps, stepsReached, type CapsOf } from "../core/caps.ts";
import type { OperationName } from "../core/operation.ts";
import type { CompiledLimit } from "../core/policy/compile.ts";
import { governing, toDenial } from "../core/refusal.ts";
import type { Caps, LimitStatus, Verdict } from "../core/verdict.ts";
import type { Case, Decided } from "./case.ts";
import type { Core } from "./core.ts";
import type { Lease } from "./lease.ts";
import { statusOf, usedAt, type Standing } from "./standing.ts";

/** What the budgets on their way up ask for; `more`: whether the operation's own units are not yet held. */
export function capsAt(standings: readonly Standing[], more: boolean): Caps | undefined {
  const asked: CapsOf[] = [];
  for (const { limit, lease, need } of standings) {
    const { rule } = limit;
    if (rule.at.length === 0 || !lease || limit.mode === "shadow") continue;
    const used = usedAt(lease, more ? need : 0);
    const caps = capsOf(rule.at, stepsReached(rule.at, used, lease.view.limit));
    const share = lease.view.limit > 0 ? used / lease.view.limit : Infinity;
    if (caps && Object.keys(caps).length > 0) asked.push({ limit: limit.name, used: share, caps });
  }
  return mergeCaps(asked);
}

/** Tells, once for each step and period, that a budget has reached it. */
export function tellSteps(core: Core, limit: CompiledLimit, lease: Lease): void {
  const { at } = limit.rule;
  if (at.length === 0 || limit.mode === "shadow") return;
  const reached = stepsReached(at, usedAt(lease, 0), lease.view.limit);
  for (; lease.notified < reached; lease.notified++) {
    const step = at[lease.notified];
    if (!step?.notify) continue;
    core.telemetry.thresholdReached(limit.label, step.used);
    core.log.info({ limit: limit.name, used: step.used, meter: limit.meter }, "threshold reached");
  }
}

export interface Opinion extends Decided {
  /** Of what was not refused. */
  readonly caps?: Caps | undefined;
  readonly decisionId: string;
}

/** The verdict as its caller may see it. */
export function verdictOf(the: Case, opinion: Opinion): Verdict {
  const { caller, tenant } = the.asked;
  const { ruling, caps, decisionId } = opinion;
  const refusal = governing(ruling.refusals);
  // No conditional spread: most verdicts are plain, and a literal costs a tenth of one with a spread in it.
  const plain: Verdict = {
    decision: refusal ? "deny" : caps ? "allow_with_caps" : "allow",
    source: opinion.source ?? (the.turn.ticket ? "store" : "lease"),
    degraded: the.core.funds.isLost(),
    limits: limitsOf(the, opinion),
    decisionId,
  };
  if (refusal) {
    const audience = { platform: caller.platform, onDeny: tenant.policy.onDeny };
    return { ...plain, denial: toDenial(refusal, audience) };
  }
  return caps ? { ...plain, caps } : plain;
}

const NO_LIMITS: readonly LimitStatus[] = [];

function limitsOf({ asked, now }: Case, opinion: Opinion): readonly LimitStatus[] {
  const { standings, ruling } = opinion;
  const { verbose } = asked.request;
  if (!verbose && ruling.shadow.length === 0) return NO_LIMITS;
  const { platform } = asked.caller;
  const audience = { platform, onDeny: undefined };
  const limits: LimitStatus[] = [];
  const told = new Set<Standing>();
  for (const { refusal, standing } of ruling.shadow) {
    const wouldDeny = toDenial(refusal, audience);
    if (!standing) {
      const { limit, scope, meter } = refusal;
      limits.push({
        limit,
        scope,
        meter,
        limitUnits: 0,
        remainingUnits: 0,
        shadow: true,
        wouldDeny,
      });
    } else if (!told.has(standing)) {
      told.add(standing);
      limits.push({ ...statusOf(standing, platform, now), shadow: true, wouldDeny });
    }
  }
  if (!verbose) return limits;
  const rest = standings.filter((standing) => !told.has(standing));
  return [...rest.map((standing) => statusOf(standing, platform, now)), ...limits];
}

/** The verdict of a decision, counted: {@link verdictOf} alone is what a Commit says of its limits. */
export function decision(the: Case, op: OperationName, opinion: Opinion): Verdict {
  const verdict = verdictOf(the, opinion);
  const { core, asked } = the;
  const { denial, source } = verdict;
  const tenant = asked.tenant.policy.name;
  const reason = denial?.reason ?? "";
  core.telemetry.decided({ op, decision: verdict.decision, reason, source, tenant });
  if (denial) {
    const refusal = governing(opinion.ruling.refusals);
    core.telemetry.denied(refusal?.label ?? "", denial.reason);
  }
  for (const { refusal } of opinion.ruling.shadow) core.telemetry.shadowDenied(refusal.label);
  const dollars = opinion.standings.some(({ limit }) => limit.meter === "usd_micros");
  if (asked.unpriced !== "" && dollars && !denial) core.telemetry.unpriced();
  return verdict;
}
