/**
 * The making of one verdict: which limits apply, who refuses, what caps hold.
 *
 *   RU1  Soft limits never refuse; shadow limits report what they would refuse and change nothing else (S11).
 *   RU2  `allow`, `deny` and unpriced models follow the mode of the plan or tenant; suspension that of the
 *        document.
 */
import { capsOf, mergeCaps, stepsReached, type CapsOf } from "../core/caps.ts";
import { breakerWait } from "../core/limit/breaker.ts";
import { loopWait } from "../core/limit/loop.ts";
import type { CompiledBreaker, CompiledLimit, CompiledLoop } from "../core/policy/compile.ts";
import type { Mode } from "../core/policy/document.ts";
import { governing, plainRefusal, toDenial, type Refusal } from "../core/refusal.ts";
import type { Caps, DenyReason, LimitStatus, Verdict } from "../core/verdict.ts";
import { keepsAccount, type Books } from "./accounts.ts";
import type { Core } from "./core.ts";
import { createLease, type Lease } from "./lease.ts";
import type { Now } from "./now.ts";
import type { Prepared } from "./prepare.ts";
import { exhausted, fits, isTooLarge, needAt, refusalAt, statusOf, usedAt, type Standing } from "./standing.ts";
import { freshView } from "../core/lease/ledger.ts";
import { PLATFORM } from "../core/scope.ts";

export interface Ruling {
  readonly refusals: Refusal[];
  /** What shadow limits would have refused. */
  readonly shadow: { readonly refusal: Refusal; readonly standing: Standing | undefined }[];
}

export const newRuling = (): Ruling => ({ refusals: [], shadow: [] });

function refuse(ruling: Ruling, mode: Mode, refusal: Refusal, standing?: Standing): void {
  if (mode === "enforce") ruling.refusals.push(refusal);
  else if (mode === "shadow") ruling.shadow.push({ refusal, standing });
}

/** Every limit that applies, with its account if there is one. */
export function standingsOf(core: Core, asked: Prepared, now: Now): Standing[] {
  const { tenant, subject, action } = asked;
  const standings: Standing[] = [];
  for (const limit of tenant.policy.limits) {
    if (limit.matcher.applies(subject, action)) standings.push(standingAt(core, asked, limit, now));
  }
  return standings;
}

function standingAt(core: Core, asked: Prepared, limit: CompiledLimit, now: Now): Standing {
  const { tenant, subject, action } = asked;
  const bucket = limit.matcher.bucketOf(subject, action);
  const account = keepsAccount(limit)
    ? core.accounts.find(tenant, limit, bucket, now)
    : undefined;
  const scope = account?.scope ?? limit.scope.text(tenant.policy.name, subject, action);
  const need = needAt(limit, asked);
  return { limit, bucket, scope, need, account, lease: account?.lease };
}

/** Opens the accounts that are missing; `undefined`: the tenant has too many. */
export function openAll(
  core: Core,
  asked: Prepared,
  standings: readonly Standing[],
  now: Now,
): Standing[] | undefined {
  const opened: Standing[] = [];
  for (const standing of standings) {
    const { limit, bucket } = standing;
    if (standing.account || !keepsAccount(limit)) opened.push(standing);
    else {
      const of = { bucket, subject: asked.subject, action: asked.action };
      const account = core.accounts.open(asked.tenant, limit, of, now);
      if (!account) return undefined;
      opened.push({ ...standing, account, lease: account.lease });
    }
  }
  return opened;
}

/** A look at limits that nobody opened: made-up leases, brought to what the store knows. Creates nothing (S31). */
export function lookAt(core: Core, asked: Prepared, standings: readonly Standing[], now: Now): Standing[] {
  return standings.map((standing) => {
    if (standing.lease || !keepsAccount(standing.limit)) return standing;
    const spec = core.accounts.spec(asked.tenant, standing.limit, standing.bucket, now);
    const lease = createLease(spec, freshView(spec, now.mono), now.mono);
    return { ...standing, lease };
  });
}

/** Refusals that need no units: who, what, priced or not, too large, breakers, loops. */
export function ruleEarly(
  core: Core,
  asked: Prepared,
  standings: readonly Standing[],
  now: Now,
  skipSize = false,
): Ruling {
  const ruling = newRuling();
  const { policy } = asked.tenant;
  if (policy.blocked !== "") {
    const mode = policy.documentMode === "shadow" ? "shadow" : "enforce";
    refuse(ruling, mode, plainRefusal("TENANT_SUSPENDED"));
  }
  if (!policy.allows(asked.action.kind, asked.action.name)) {
    refuse(ruling, policy.rulesMode, plainRefusal("ACTION_NOT_ALLOWED"));
  }
  ruleUnpriced(ruling, asked, standings);
  if (!skipSize) ruleSize(ruling, standings, now);
  ruleBreakers(core, ruling, asked, now);
  ruleLoops(ruling, asked, now);
  return ruling;
}

/** Above a maximum, or a whole capacity. */
export function ruleSize(ruling: Ruling, standings: readonly Standing[], now: Now): void {
  for (const standing of standings) {
    if (!isTooLarge(standing)) continue;
    const why = { reason: "REQUEST_TOO_LARGE", waitMs: undefined } as const;
    refuse(ruling, standing.limit.mode, refusalAt(standing, why, now), standing);
  }
}

/** S6: looked at only where an applying limit counts usd_micros; one that merely watches does not refuse. */
function ruleUnpriced(ruling: Ruling, asked: Prepared, standings: readonly Standing[]): void {
  if (asked.unpriced !== "deny") return;
  const counting = standings.filter(({ limit }) => limit.meter === "usd_micros");
  if (counting.length === 0) return;
  const watched = counting.every(({ limit }) => limit.mode === "shadow");
  const mode = watched ? "shadow" : asked.tenant.policy.rulesMode;
  refuse(ruling, mode, { ...plainRefusal("UNPRICED_MODEL"), meter: "usd_micros" });
}

/**
 * Refusals for want of units; limits whose size was refused already are left out. Also where something else
 * refuses: the wait has to cover it (RF3), and shadow limits have their say.
 */
export function ruleUnits(ruling: Ruling, standings: readonly Standing[], now: Now): void {
  for (const standing of standings) {
    if (standing.limit.mode === "soft" || isTooLarge(standing) || fits(standing, now)) continue;
    refuse(ruling, standing.limit.mode, exhausted(standing, now), standing);
  }
}

export const breakerKey = (breaker: CompiledBreaker, asked: Prepared): string =>
  `${breaker.name}\0${breaker.matcher.bucketOf(asked.subject, asked.action)}`;

export const breakerBooks = (core: Core, breaker: CompiledBreaker, asked: Prepared): Books =>
  breaker.platform ? core.accounts.books(PLATFORM) : asked.tenant.books;

function ruleBreakers(core: Core, ruling: Ruling, asked: Prepared, now: Now): void {
  for (const breaker of asked.tenant.policy.breakers) {
    if (!breaker.matcher.applies(asked.subject, asked.action)) continue;
    const circuit = breakerBooks(core, breaker, asked).breakers.get(breakerKey(breaker, asked));
    const waitMs = circuit ? breakerWait(circuit.state, breaker.rule, now.mono) : 0;
    if (waitMs > 0) refuse(ruling, breaker.mode, ruleRefusal(breaker, asked, "CIRCUIT_OPEN", waitMs));
  }
}

export const loopKey = (loop: CompiledLoop, asked: Prepared): string => {
  const { kind, name, fingerprint } = asked.action;
  const bucket = loop.matcher.bucketOf(asked.subject, asked.action);
  return `${loop.name}\0${bucket}\0${kind}\0${name}\0${fingerprint}`;
};

function ruleLoops(ruling: Ruling, asked: Prepared, now: Now): void {
  if (asked.action.fingerprint === "") return;
  for (const loop of asked.tenant.policy.loops) {
    if (!loop.matcher.applies(asked.subject, asked.action)) continue;
    const repeats = asked.tenant.books.loops.get(loopKey(loop, asked));
    const waitMs = repeats ? loopWait(repeats.state, loop.rule, now.mono) : 0;
    if (waitMs > 0) refuse(ruling, loop.mode, ruleRefusal(loop, asked, "LOOP_DETECTED", waitMs));
  }
}

function ruleRefusal(
  rule: CompiledBreaker | CompiledLoop,
  asked: Prepared,
  reason: DenyReason,
  waitMs: number,
): Refusal {
  return {
    ...plainRefusal(reason),
    limit: rule.name,
    scope: rule.scope.text(asked.tenant.policy.name, asked.subject, asked.action),
    limitUnits: "repeats" in rule.rule ? rule.rule.repeats : 0,
    waitMs,
    depth: rule.scope.depth,
    order: rule.order,
    platform: rule.platform,
    label: rule.label,
  };
}

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

export interface Opinion {
  readonly standings: readonly Standing[];
  readonly ruling: Ruling;
  readonly caps?: Caps | undefined;
  readonly decisionId: string;
  /** Whether every limit is listed, not only shadow denials. */
  readonly verbose: boolean;
}

/** The verdict as its caller may see it. */
export function verdictOf(asked: Prepared, opinion: Opinion, now: Now): Verdict {
  const { ruling, caps, decisionId } = opinion;
  const refusal = governing(ruling.refusals);
  const audience = { platform: asked.caller.platform, onDeny: asked.tenant.policy.onDeny };
  return {
    decision: refusal ? "deny" : caps ? "allow_with_caps" : "allow",
    ...(refusal && { denial: toDenial(refusal, audience) }),
    ...(!refusal && caps && { caps }),
    source: "lease",
    degraded: false,
    limits: limitsOf(asked, opinion, now),
    decisionId,
  };
}

const NO_LIMITS: readonly LimitStatus[] = [];

function limitsOf(asked: Prepared, opinion: Opinion, now: Now): readonly LimitStatus[] {
  const { standings, ruling, verbose } = opinion;
  if (!verbose && ruling.shadow.length === 0) return NO_LIMITS;
  const { platform } = asked.caller;
  const audience = { platform, onDeny: undefined };
  const limits: LimitStatus[] = [];
  const told = new Set<Standing>();
  for (const { refusal, standing } of ruling.shadow) {
    const wouldDeny = toDenial(refusal, audience);
    if (!standing) {
      const { limit, scope, meter } = refusal;
      limits.push({ limit, scope, meter, limitUnits: 0, remainingUnits: 0, shadow: true, wouldDeny });
    } else if (!told.has(standing)) {
      told.add(standing);
      limits.push({ ...statusOf(standing, platform, now), shadow: true, wouldDeny });
    }
  }
  if (!verbose) return limits;
  const rest = standings.filter((standing) => !told.has(standing));
  return [...rest.map((standing) => statusOf(standing, platform, now)), ...limits];
}
