/**
 * Who refuses, and who would.
 *
 *   RU1  Soft limits never refuse; shadow limits report what they would refuse and change nothing else (S11).
 *   RU2  `allow`, `deny` and unpriced models follow the mode of the plan or tenant; suspension that of the
 *        document.
 */
import { breakerWait } from "../core/limit/breaker.ts";
import { loopWait } from "../core/limit/loop.ts";
import type { CompiledBreaker, CompiledLoop } from "../core/policy/compile.ts";
import type { Mode } from "../core/policy/document.ts";
import { plainRefusal, type Refusal } from "../core/refusal.ts";
import { PLATFORM_UID } from "../core/scope.ts";
import type { DenyReason } from "../core/verdict.ts";
import type { Books } from "./books.ts";
import type { Case } from "./case.ts";
import type { Now } from "./now.ts";
import type { Prepared } from "./prepare.ts";
import { exhausted, fits, isTooLarge, refusalAt, type Standing } from "./standing.ts";
import type { Tenant } from "./tenants.ts";

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

/** Refusals that need no units: who, what, priced or not, breakers, loops. {@link ruleSize} apart. */
export function ruleEarly(the: Case, standings: readonly Standing[]): Ruling {
  const ruling = newRuling();
  const { tenant, action } = the.asked;
  ruleSuspension(ruling, tenant);
  if (!tenant.policy.allows(action.kind, action.name)) {
    refuse(ruling, tenant.policy.rulesMode, plainRefusal("ACTION_NOT_ALLOWED"));
  }
  ruleUnpriced(ruling, the.asked, standings);
  ruleBreakers(ruling, the);
  ruleLoops(ruling, the);
  return ruling;
}

/** Suspended and deleted tenants are refused, unless the whole document is on trial. */
export function ruleSuspension(ruling: Ruling, { policy }: Tenant): void {
  if (policy.blocked === "") return;
  const mode = policy.documentMode === "shadow" ? "shadow" : "enforce";
  refuse(ruling, mode, plainRefusal("TENANT_SUSPENDED"));
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
 * refuses: the wait has to cover it (RF3), and shadow limits have their say. `absent`: limits whose units could
 * not be had, and why, if that refuses.
 */
export function ruleUnits(
  ruling: Ruling,
  standings: readonly Standing[],
  now: Now,
  absent?: ReadonlyMap<Standing, Refusal | undefined>,
): void {
  for (const standing of standings) {
    if (standing.limit.mode === "soft" || isTooLarge(standing)) continue;
    if (absent?.has(standing)) {
      const refusal = absent.get(standing);
      if (refusal) refuse(ruling, standing.limit.mode, refusal, standing);
      continue;
    }
    if (fits(standing, now)) continue;
    refuse(ruling, standing.limit.mode, exhausted(standing, now), standing);
  }
}

export const breakerKey = (breaker: CompiledBreaker, asked: Prepared): string =>
  `${breaker.name}\0${breaker.matcher.bucketOf(asked.subject, asked.action)}`;

export const breakerBooks = (breaker: CompiledBreaker, { core, asked }: Case): Books =>
  breaker.platform ? core.accounts.books(PLATFORM_UID) : asked.tenant.books;

function ruleBreakers(ruling: Ruling, the: Case): void {
  const { asked, now } = the;
  for (const breaker of asked.tenant.policy.breakers) {
    if (!breaker.matcher.applies(asked.subject, asked.action)) continue;
    const circuit = breakerBooks(breaker, the).breakers.get(breakerKey(breaker, asked));
    const waitMs = circuit ? breakerWait(circuit.state, breaker.rule, now.mono) : 0;
    if (waitMs === 0) continue;
    refuse(ruling, breaker.mode, ruleRefusal(breaker, asked, { reason: "CIRCUIT_OPEN", waitMs }));
  }
}

export const loopKey = (loop: CompiledLoop, asked: Prepared): string => {
  const { kind, name, fingerprint } = asked.action;
  const bucket = loop.matcher.bucketOf(asked.subject, asked.action);
  return `${loop.name}\0${bucket}\0${kind}\0${name}\0${fingerprint}`;
};

function ruleLoops(ruling: Ruling, { asked, now }: Case): void {
  if (asked.action.fingerprint === "") return;
  for (const loop of asked.tenant.policy.loops) {
    if (!loop.matcher.applies(asked.subject, asked.action)) continue;
    const repeats = asked.tenant.books.loops.get(loopKey(loop, asked));
    const waitMs = repeats ? loopWait(repeats.state, loop.rule, now.mono) : 0;
    if (waitMs === 0) continue;
    refuse(ruling, loop.mode, ruleRefusal(loop, asked, { reason: "LOOP_DETECTED", waitMs }));
  }
}

/** Whether counting this call would open a loop or breaker bucket that is not there yet. */
export function opensRule(the: Case): boolean {
  const { subject, action, tenant } = the.asked;
  const { breakers, loops } = tenant.policy;
  for (const breaker of breakers) {
    if (!breaker.matcher.applies(subject, action)) continue;
    if (!breakerBooks(breaker, the).breakers.has(breakerKey(breaker, the.asked))) return true;
  }
  if (action.fingerprint === "") return false;
  for (const loop of loops) {
    if (!loop.matcher.applies(subject, action)) continue;
    if (!tenant.books.loops.has(loopKey(loop, the.asked))) return true;
  }
  return false;
}

function ruleRefusal(
  rule: CompiledBreaker | CompiledLoop,
  asked: Prepared,
  { reason, waitMs }: { readonly reason: DenyReason; readonly waitMs: number },
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
