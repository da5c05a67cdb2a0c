/** Check and Explain: what would be decided, without creating or changing anything. */
import type { Amount, Check, Request } from "../core/operation.ts";
import { isRejection } from "../core/rejection.ts";
import type { CheckAnswer, Explanation } from "../core/verdict.ts";
import type { Done } from "../ports/quota.ts";
import { absentUnits } from "./absent.ts";
import { isRefused, type Case, type Decided } from "./case.ts";
import type { Core } from "./core.ts";
import type { Lease } from "./lease.ts";
import { keepsAccount } from "./ledger-spec.ts";
import { hearsFirst, lookAt, standingsOf } from "./places.ts";
import { prepare, type Prepared } from "./prepare.ts";
import { ruleEarly, ruleSize, ruleUnits } from "./ruling.ts";
import type { Standing } from "./standing.ts";
import type { Turn } from "./turn.ts";
import { capsAt, decision, verdictOf, type Opinion } from "./verdicts.ts";

/** True: the operation waits for the store, and is decided in another turn. */
export function readsFirst(the: Case): boolean {
  const { core, turn, asked, now } = the;
  if (!core.funds.isShared) return false;
  const leases: Lease[] = [];
  const keys: string[] = [];
  for (const { limit, bucket, lease } of standingsOf(the)) {
    if (lease) leases.push(lease);
    else if (keepsAccount(limit)) {
      keys.push(core.accounts.spec(asked.tenant, limit, bucket, now).key);
    }
  }
  return hearsFirst(core, turn, { leases, keys });
}

export function look(the: Case): Decided {
  const standings = lookAt(the, standingsOf(the));
  the.core.funds.flush();
  const ruling = ruleEarly(the, standings);
  ruleSize(ruling, standings, the.now);
  const { funds } = the.core;
  const absent = funds.isLost() ? absentUnits(the, { standings }, 0, true) : undefined;
  ruleUnits(ruling, standings, the.now, absent?.refusals);
  return { standings, ruling, ...absent };
}

function opinionOf({ core }: Case, decided: Decided): Opinion {
  return isRefused(decided)
    ? { ...decided, decisionId: core.rng.id() }
    : { ...decided, caps: capsAt(decided.standings, true), decisionId: "" };
}

export function check(core: Core, turn: Turn, op: Check, done: Done<CheckAnswer>): void {
  const asked = prepare(core, turn.caller, op, "estimate");
  if (isRejection(asked)) return done(asked);
  const the: Case = { core, turn, now: turn.now, asked };
  if (readsFirst(the)) return;
  done({ op: "check", verdict: decision(the, "check", opinionOf(the, look(the))) });
}

export function explain(core: Core, turn: Turn, request: Request, done: Done<Explanation>): void {
  const asked = prepare(core, turn.caller, { ...request, verbose: true }, "estimate");
  if (isRejection(asked)) return done(asked);
  const the: Case = { core, turn, now: turn.now, asked };
  if (readsFirst(the)) return;
  const decided = look(the);
  done({
    verdict: verdictOf(the, opinionOf(the, decided)),
    plan: asked.tenant.policy.plan,
    policyVersion: core.policy.version,
    derived: amountsOf(asked, decided.standings),
  });
}

/** The amounts as answers list them: `requests` wherever a limit counts it (S1). */
export function amountsOf(asked: Prepared, standings: readonly Standing[]): readonly Amount[] {
  const counted = standings.some(({ limit }) => limit.meter === "requests");
  return counted ? withRequests(asked) : asked.amounts;
}

/** All that is asked, `requests` included. */
export function withRequests({ amounts, requests }: Prepared): readonly Amount[] {
  const stated = amounts.some(({ meter }) => meter === "requests");
  return stated ? amounts : [...amounts, { meter: "requests", units: requests }];
}
