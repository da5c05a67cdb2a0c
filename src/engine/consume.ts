/** Consume: reserve and commit at once, where the cost is known. */
import type { Consume } from "../core/operation.ts";
import { isRejection, type Rejection } from "../core/rejection.ts";
import type { ConsumeAnswer } from "../core/verdict.ts";
import type { Done } from "../ports/quota.ts";
import { countCall, decide, holdAll } from "./admit.ts";
import { isRefused, type Case, type Decided } from "./case.ts";
import { chargeConsumed, worthWaiting } from "./charge.ts";
import type { Core } from "./core.ts";
import { recordEnding } from "./ending.ts";
import { free } from "./lease.ts";
import { openLeases, standingsOf } from "./places.ts";
import { prepare } from "./prepare.ts";
import type { Hold } from "./reservations.ts";
import { newRuling } from "./ruling.ts";
import type { Standing } from "./standing.ts";
import type { Turn, Want } from "./turn.ts";
import { capsAt, decision } from "./verdicts.ts";

export function consume(core: Core, turn: Turn, op: Consume, done: Done<ConsumeAnswer>): void {
  const asked = prepare(core, turn.caller, op, "consume");
  if (isRejection(asked)) return done(asked);
  const the: Case = { core, turn, now: turn.now, asked };
  if (op.alreadySpent) {
    const answer = consumeSpent(the, op);
    return answer && done(answer);
  }
  const decided = decide(the, 0);
  if (!decided) return;
  if (isRejection(decided)) done(decided);
  else if (isRefused(decided)) {
    const verdict = decision(the, "consume", { ...decided, decisionId: core.rng.id() });
    done({ op: "consume", verdict, charged: [] });
  } else done(charge(the, op, decided, holdAll(core, decided)));
}

/** What has happened already: nothing is refused, the overage rules apply (S29a). */
function consumeSpent(the: Case, op: Consume): ConsumeAnswer | Rejection | undefined {
  const standings = openLeases(the, standingsOf(the));
  if (isRejection(standings)) return standings;
  const lacking = capped(the, standings);
  if (lacking) {
    the.turn.suspend({ wants: [lacking], ttlMs: 0 });
    return undefined;
  }
  const holds: Hold[] = [];
  for (const { limit, bucket, lease, scope } of standings) {
    if (!lease || lease.spec.kind === "slots") continue;
    lease.holds++;
    the.core.funds.touch(lease);
    holds.push({ limit, bucket, lease, scope, meter: limit.meter, held: 0, charged: 0 });
  }
  return charge(the, op, { standings, ruling: newRuling() }, holds);
}

/** What a limit that charges no more than is left has to be asked for first. */
function capped(the: Case, standings: readonly Standing[]): Want | undefined {
  for (const { limit, lease, need } of standings) {
    if (!lease || limit.mode !== "enforce" || limit.rule.overage !== "cap") continue;
    if (free(lease) >= need) continue;
    const units = worthWaiting(the, { limit, lease }, need);
    if (units > 0) return { lease, units };
  }
  return undefined;
}

// Past this line nothing is refused.
function charge(the: Case, op: Consume, decided: Decided, holds: readonly Hold[]): ConsumeAnswer {
  const { core, now } = the;
  const charged = chargeConsumed(the, holds);
  const id = core.rng.id();
  const circuits = countCall(the, { id, expiresAt: now.mono });
  recordEnding(core, circuits, { id, outcome: op.outcome }, now);
  const caps = capsAt(decided.standings, false);
  const verdict = decision(the, "consume", { ...decided, caps, decisionId: id });
  return { op: "consume", verdict, charged };
}
