/**
 * From asking to holding: the part of Reserve and Consume past which nothing is refused.
 *
 *   AD1  A refused operation changes no balance anywhere (all or nothing).
 *   AD2  Enforced limits hold units that were granted; soft and shadow ones count beyond (S10a, S11).
 */
import { closedCircuit, letThrough } from "../core/limit/breaker.ts";
import { countRepeat } from "../core/limit/loop.ts";
import { DRAINING, isRejection, type Rejection } from "../core/rejection.ts";
import type { DurationMs } from "../core/time.ts";
import { isCuttable } from "./best-effort.ts";
import type { BookedBreaker } from "./books.ts";
import { isRefused, type Case, type Decided } from "./case.ts";
import type { Core } from "./core.ts";
import { countable, free, hold, holdBeyond, type Lease } from "./lease.ts";
import { openLeases, standingsOf } from "./places.ts";
import { absentUnits, pending } from "./absent.ts";
import { look } from "./look.ts";
import type { Hold, Reservation } from "./reservations.ts";
import { breakerBooks, breakerKey, loopKey, ruleEarly, ruleSize, ruleUnits } from "./ruling.ts";
import { isTooLarge, type Standing } from "./standing.ts";
import type { Want } from "./turn.ts";
import { tellSteps } from "./verdicts.ts";

/**
 * Decides whether the operation may go on, with its units granted (not yet held) if so. `ttlMs`: how long they
 * may be held. Undefined: it waits for the store, and is decided again in another turn.
 */
export function decide(the: Case, ttlMs: DurationMs): Decided | Rejection | undefined {
  const found = standingsOf(the);
  const ruling = ruleEarly(the, found);
  if (isRefused({ standings: found, ruling }) || neverFits(found)) return look(the);
  const standings = openLeases(the, found);
  if (isRejection(standings)) return standings;
  if (the.core.isDraining) return DRAINING; // (EN4)
  ruleSize(ruling, standings, the.now);
  return decideUnits(the, { standings, ruling }, ttlMs);
}

/** Gets the units of every limit, or rules why not. Undefined: it waits for the store. */
export function decideUnits(the: Case, decided: Decided, ttlMs: DurationMs): Decided | undefined {
  const { core, turn, now } = the;
  const { standings, ruling } = decided;
  const outcome = core.funds.ask(standings, turn, ttlMs);
  if (outcome === "wait") {
    turn.suspend({ wants: wantsOf(the, standings), ttlMs });
    return undefined;
  }
  const absent = outcome === "short" ? absentUnits(the, decided, ttlMs) : undefined;
  ruleUnits(ruling, standings, now, absent?.refusals);
  if (turn.ticket?.isGone()) ruling.refusals.push(pending()); // (S28) nobody is there to take it
  return absent ? { ...decided, fallen: absent.fallen, source: absent.source } : decided;
}

const neverFits = (found: readonly Standing[]): boolean =>
  found.some((standing) => standing.limit.mode === "enforce" && isTooLarge(standing));

/** What has to be here: the units of enforced limits, of others no more than the store's word. */
function wantsOf({ takesLess = false }: Case, standings: readonly Standing[]): Want[] {
  const wants: Want[] = [];
  for (const { lease, limit, need } of standings) {
    if (!lease) continue;
    const units = limit.mode === "enforce" ? need : 0;
    wants.push({ lease, units, takesLess: takesLess && isCuttable(limit.meter) });
  }
  return wants;
}

/** Holds the units of every limit. Past this line nothing is refused. */
export function holdAll(core: Core, { standings, fallen }: Decided): Hold[] {
  const holds: Hold[] = [];
  for (const standing of standings) {
    const { limit, bucket, lease, scope } = standing;
    if (!lease) continue;
    const held = holdFor(core, standing, lease, fallen);
    lease.holds++;
    holds.push({ limit, bucket, lease, scope, meter: limit.meter, held, charged: 0 });
  }
  return holds;
}

/** Holds what one limit is asked for; returns what is held. */
export function holdFor(
  core: Core,
  standing: Standing,
  lease: Lease,
  fallen: Decided["fallen"],
): number {
  const { limit, need } = standing;
  const isFallen = fallen?.has(standing) ?? false;
  if (isFallen) core.funds.countFallback(lease, need);
  const held = holdAt(lease, need, limit.mode === "enforce" && !isFallen);
  core.funds.touch(lease);
  tellSteps(core, limit, lease);
  return held;
}

/** `granted`: all units are free here; otherwise what is lacking counts beyond. Returns what is held. */
export function holdAt(lease: Lease, units: number, granted: boolean): number {
  const lacking = granted ? 0 : Math.max(0, units - free(lease));
  const beyond = countable(lease, lacking);
  if (beyond > 0) holdBeyond(lease, beyond);
  hold(lease, units - lacking);
  return units - lacking + beyond;
}

export type Circuits = Reservation["circuits"];

/** A call as its breakers know it. */
export interface Trial {
  readonly id: string;
  /** When it ends on its own (mono). */
  readonly expiresAt: number;
}

/** Counts the call at its loops and breakers. */
export function countCall(the: Case, trial: Trial): Circuits {
  countRepeats(the);
  const { asked, now } = the;
  const circuits: { breaker: Circuits[number]["breaker"]; circuit: BookedBreaker["state"] }[] = [];
  for (const breaker of asked.tenant.policy.breakers) {
    if (!breaker.matcher.applies(asked.subject, asked.action)) continue;
    const home = breakerBooks(breaker, the);
    const key = breakerKey(breaker, asked);
    let booked = home.breakers.get(key);
    if (!booked) {
      const owner = asked.tenant.books;
      home.breakers.set(key, (booked = { state: closedCircuit(), owner, rule: breaker.rule }));
      owner.live++;
    }
    booked.rule = breaker.rule;
    letThrough(booked.state, trial, now.mono);
    circuits.push({ breaker, circuit: booked.state });
  }
  return circuits;
}

function countRepeats({ asked, now }: Case): void {
  const { subject, action, tenant } = asked;
  if (action.fingerprint === "") return;
  const { books } = tenant;
  for (const loop of tenant.policy.loops) {
    if (!loop.matcher.applies(subject, action)) continue;
    const key = loopKey(loop, asked);
    let booked = books.loops.get(key);
    if (!booked) {
      books.loops.set(key, (booked = { state: { at: [] }, rule: loop.rule }));
      books.live++;
    }
    booked.rule = loop.rule;
    countRepeat(booked.state, loop.rule, now.mono);
  }
}
