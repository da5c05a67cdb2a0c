/** Consume: reserve and commit at once, where the cost is known. */
import type { Consume } from "../core/operation.ts";
import { isRejection, type Rejection } from "../core/rejection.ts";
import type { ConsumeAnswer } from "../core/verdict.ts";
import type { Done } from "../ports/quota.ts";
import { countCall, decide, holdAll } from "./admit.ts";
import { isRefused, type Case, type Decided } from "./case.ts";
import { chargeConsumed } from "./charge.ts";
import type { Core } from "./core.ts";
import { recordEnding } from "./ending.ts";
import { openLeases, standingsOf } from "./places.ts";
import { prepare } from "./prepare.ts";
import type { Hold } from "./reservations.ts";
import { newRuling } from "./ruling.ts";
import type { Turn } from "./turn.ts";
import { capsAt, decision } from "./verdicts.ts";

export function consume(core: Core, turn: Turn, op: Consume, done: Done<ConsumeAnswer>): void {
  const asked = prepare(core, turn.caller, op, "consume");
  if (isRejection(asked)) return done(asked);
  const the: Case = { core, turn, now: turn.now, asked };
  if (op.alreadySpent) return done(consumeSpent(the, op));
  const decided = decide(the, 0);
  if (!decided) return;
  if (isRejection(decided)) done(decided);
  else if (isRefused(decided)) {
    const verdict = decision(the, "consume", { ...decided, decisionId: core.rng.id() });
    done({ op: "consume", verdict, charged: [] });
  } else done(charge(the, op, decided, holdAll(core, decided)));
}

/** What has happened already: nothing is refused, the overage rules apply (S29a). */
function consumeSpent(the: Case, op: Consume): ConsumeAnswer | Rejection {
  const standings = openLeases(the, standingsOf(the));
  if (isRejection(standings)) return standings;
  const holds: Hold[] = [];
  for (const { limit, bucket, lease, scope } of standings) {
    if (!lease || lease.spec.kind === "slots") continue;
    lease.holds++;
    the.core.funds.touch(lease);
    holds.push({ limit, bucket, lease, scope, meter: limit.meter, held: 0, charged: 0 });
  }
  return charge(the, op, { standings, ruling: newRuling() }, holds);
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
