/**
 * From asking to holding: the part of Reserve and Consume past which nothing is refused.
 *
 *   AD1  A refused operation changes no balance anywhere (all or nothing).
 *   AD2  Enforced limits hold units that were granted; soft and shadow ones count beyond (S10a, S11).
 */
import { countRepeat } from "../core/limit/loop.ts";
import { closedCircuit, letThrough } from "../core/limit/breaker.ts";
import { isRejection, reject, type Rejection } from "../core/rejection.ts";
import type { BookedBreaker } from "./accounts.ts";
import type { Core } from "./core.ts";
import { isFault, type Want } from "./funds.ts";
import { free, hold, holdBeyond } from "./lease.ts";
import type { Now } from "./now.ts";
import type { Prepared } from "./prepare.ts";
import type { Hold, Reservation } from "./reservations.ts";
import {
  breakerBooks,
  breakerKey,
  loopKey,
  lookAt,
  openAll,
  ruleEarly,
  ruleUnits,
  standingsOf,
  tellSteps,
  type Ruling,
} from "./ruling.ts";
import type { Standing } from "./standing.ts";

export interface Decided {
  readonly standings: readonly Standing[];
  readonly ruling: Ruling;
}

/** Decides whether the operation may go on, with its units granted (not yet held) if so. */
export function decide(
  core: Core,
  asked: Prepared,
  now: Now,
  done: (decided: Decided | Rejection) => void,
): void {
  const found = standingsOf(core, asked, now);
  const ruling = ruleEarly(core, asked, found, now);
  if (ruling.refusals.length > 0) {
    ruleUnits(ruling, lookAt(core, asked, found, now), now);
    return done({ standings: found, ruling });
  }
  const standings = openLeases(core, asked, found, now);
  if (isRejection(standings)) return done(standings);
  core.funds.ask(wantsOf(standings), (short) => {
    if (!isFault(short)) ruleUnits(ruling, standings, now);
    done({ standings, ruling });
  });
}

/** Opens what is missing and marks it as used. */
export function openLeases(
  core: Core,
  asked: Prepared,
  found: readonly Standing[],
  now: Now,
): readonly Standing[] | Rejection {
  const standings = openAll(core, asked, found, now);
  if (!standings) {
    const { name } = asked.tenant.policy;
    return reject("TOO_MANY_BUCKETS", `tenant "${name}" has too many live buckets for one more`);
  }
  for (const { lease } of standings) if (lease) lease.usedAt = now.mono;
  return standings;
}

/** What enforced limits lack here; new leases ask for nothing just to hear what the store knows. */
function wantsOf(standings: readonly Standing[]): Want[] {
  const wants: Want[] = [];
  for (const { lease, limit, need } of standings) {
    if (!lease) continue;
    const lacking = limit.mode === "enforce" ? Math.max(0, need - free(lease)) : 0;
    if (lacking > 0 || lease.dirty) wants.push({ lease, need: lacking });
  }
  return wants;
}

/** Holds the units of every limit. Past this line nothing is refused. */
export function holdAll(core: Core, standings: readonly Standing[]): Hold[] {
  const holds: Hold[] = [];
  for (const { limit, lease, need, scope } of standings) {
    if (!lease) continue;
    const short = need - free(lease);
    if (short > 0 && limit.mode !== "enforce") {
      holdBeyond(lease, short);
      if (need > short) hold(lease, need - short);
    } else hold(lease, need);
    lease.holds++;
    core.funds.touch(lease);
    tellSteps(core, limit, lease);
    holds.push({ limit, lease, scope, meter: limit.meter, held: need, charged: 0 });
  }
  return holds;
}

export type Circuits = Reservation["circuits"];

/** Counts the call at its loops and breakers; `id` and `expiresAt` (mono) name it if it is a trial. */
export function countCall(
  core: Core,
  asked: Prepared,
  call: { readonly id: string; readonly expiresAt: number },
  now: Now,
): Circuits {
  const { subject, action } = asked;
  const { books, policy } = asked.tenant;
  if (action.fingerprint !== "") {
    for (const loop of policy.loops) {
      if (!loop.matcher.applies(subject, action)) continue;
      const key = loopKey(loop, asked);
      let booked = books.loops.get(key);
      if (!booked) books.loops.set(key, (booked = { state: { at: [] }, rule: loop.rule }));
      if (booked.state.at.length === 0) books.live++;
      booked.rule = loop.rule;
      countRepeat(booked.state, loop.rule, now.mono);
    }
  }
  const circuits: { breaker: Circuits[number]["breaker"]; circuit: BookedBreaker["state"] }[] = [];
  for (const breaker of policy.breakers) {
    if (!breaker.matcher.applies(subject, action)) continue;
    const home = breakerBooks(core, breaker, asked);
    const key = breakerKey(breaker, asked);
    let booked = home.breakers.get(key);
    if (!booked) {
      home.breakers.set(key, (booked = { state: closedCircuit(), rule: breaker.rule }));
      home.live++;
    }
    booked.rule = breaker.rule;
    letThrough(booked.state, call, now.mono);
    circuits.push({ breaker, circuit: booked.state });
  }
  return circuits;
}
