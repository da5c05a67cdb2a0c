/**
 * Where an operation stands at each limit that applies to it, and what refuses it there.
 *
 * The classes of refusal and their order are policy.md's; this file finds the refusals of limits, and
 * core/refusal.ts picks the one that governs.
 */
import { unitsOf, type Action, type Amount, type Subject } from "../core/operation.ts";
import type { CompiledLimit } from "../core/policy/compile.ts";
import type { Refusal } from "../core/refusal.ts";
import { waitFor } from "../core/limit/rate.ts";
import type { DurationMs } from "../core/time.ts";
import { MAX_UNITS, type Units } from "../core/units.ts";
import type { DenyReason, LimitStatus } from "../core/verdict.ts";
import {
  available,
  booked,
  comingBack,
  debt,
  firstEnd,
  free,
  settled,
  type Lease,
} from "./lease.ts";
import type { Now } from "./now.ts";

export interface Standing {
  readonly limit: CompiledLimit;
  /** Values of `per`. */
  readonly bucket: string;
  readonly scope: string;
  /** Units of the meter that the operation takes; 1 for a slot. */
  readonly need: Units;
  /** `undefined` for a request maximum, and for a bucket that nobody has opened. */
  readonly lease: Lease | undefined;
}

/** What an operation asks for, after pricing. `requests` apart: it counts where a limit counts it (S1). */
export interface Asked {
  readonly subject: Subject;
  readonly action: Action;
  readonly amounts: readonly Amount[];
  readonly requests: Units;
}

/** Units of one meter in what is asked. */
export const unitsAsked = ({ amounts, requests }: Asked, meter: string): Units =>
  unitsOf(amounts, meter) ?? (meter === "requests" ? requests : 0);

/** What an operation takes of one limit. */
export const needAt = (limit: CompiledLimit, asked: Asked): Units =>
  limit.rule.shape.kind === "concurrency" ? 1 : unitsAsked(asked, limit.meter);

/** The capacity that a need must never exceed (policy.md: never fits); Infinity where there is none. */
function wholeCapacity(limit: CompiledLimit): number {
  const { shape } = limit.rule;
  switch (shape.kind) {
    case "request":
      return shape.max;
    case "rate":
      return shape.burst;
    case "budget":
      return shape.units + shape.overdraft + shape.rollover;
    case "concurrency":
      return Infinity;
  }
}

/** The end of the budget's period; `undefined` where it has none. */
const endOf = (lease: Lease | undefined): number | undefined =>
  lease && lease.spec.kind === "budget" && lease.spec.end < MAX_UNITS ? lease.spec.end : undefined;

interface Why {
  readonly reason: DenyReason;
  /** `undefined`: waiting does not help. */
  readonly waitMs: number | undefined;
}

/** A refusal by this limit, with its figures. */
export function refusalAt(standing: Standing, { reason, waitMs }: Why, now: Now): Refusal {
  const { limit, lease, need } = standing;
  const status = figures(standing, now);
  return {
    reason,
    limit: limit.name,
    scope: standing.scope,
    meter: limit.meter,
    limitUnits: status.limitUnits,
    remainingUnits: status.remainingUnits,
    requestedUnits: need,
    waitMs,
    resetsAt: reason === "REQUEST_TOO_LARGE" ? undefined : endOf(lease),
    depth: limit.scope.depth,
    order: limit.order,
    platform: limit.platform,
    label: limit.label,
  };
}

/** Above a request maximum or a whole capacity: it never fits. */
export const isTooLarge = ({ limit, need }: Standing): boolean => need > wholeCapacity(limit);

/** Whether the units are there; in debt nothing is, not even an amount of 0 (S7). */
export function fits(standing: Standing, now: Now): boolean {
  const { lease, limit, need } = standing;
  if (!lease) return true;
  const owes = limit.mode === "enforce" && lease.spec.kind !== "slots";
  if (owes && debt(lease, now.mono) > 0) return false;
  return need === 0 || need <= available(lease, now.mono);
}

/** Why the units are not there now, and for how long (S15). Only after {@link fits} said no. */
export function exhausted(standing: Standing, now: Now): Refusal {
  const { lease, need } = standing;
  if (!lease || lease.spec.kind === "budget") {
    // Of a period that is over nothing comes back.
    const isOver = lease !== undefined && lease.spec.end <= now.latest;
    const hasNext = lease && !isOver && endOf(lease) !== undefined;
    const start = hasNext ? startThatFits(lease, need) : undefined;
    const waitMs = start === undefined ? undefined : start - now.wall;
    return refusalAt(standing, { reason: "BUDGET_EXHAUSTED", waitMs }, now);
  }
  if (lease.spec.kind === "slots") {
    const waitMs = slotWait(lease, now);
    return refusalAt(standing, { reason: "CONCURRENCY_EXHAUSTED", waitMs }, now);
  }
  const { rate } = lease.view;
  const here = free(lease) + comingBack(lease) + booked(lease);
  const lacking = need - here + (lease.beyond - lease.toldBeyond);
  const waitMs = rate && waitFor(rate, lease.spec.refill, lacking, now.mono);
  return refusalAt(standing, { reason: "RATE_LIMITED", waitMs }, now);
}

/**
 * The start of the first period that has room: the next one, unless debt that is carried on takes more than its
 * units, or what is carried over has to add up. `undefined`: none ever has.
 */
function startThatFits({ spec, view, later }: Lease, need: Units): number | undefined {
  const lacking = need - view.nextAvailable;
  if (lacking <= 0) return spec.end;
  const most = spec.capacity + spec.overdraft + spec.rollover;
  if (!later || need > most || spec.capacity === 0) return undefined;
  return later(Math.ceil(lacking / spec.capacity));
}

/** What comes free elsewhere comes by way of the store. */
const BY_WAY_MS: DurationMs = 100;

/**
 * Until enough of those who hold slots have expired: of a lowered limit more than one must. Of slots that others in the
 * fleet hold the store tells the first that ends, and when all of them will have.
 */
function slotWait(lease: Lease, { mono }: Now): number | undefined {
  if (lease.spec.capacity === 0) return undefined;
  const needed = 1 - available(lease, mono);
  const end = needed === 1 ? firstFree(lease, mono) : endsOf(lease)[needed - 1];
  const until = end ?? lease.stock?.takenUntil;
  return until === undefined ? undefined : Math.max(1, until - mono);
}

const endsOf = ({ takers }: Lease): readonly number[] =>
  Array.from(takers, ({ deadline }) => deadline).sort((a, b) => a - b);

/** Here, or with another sidecar. */
function firstFree(lease: Lease, mono: number): number | undefined {
  const there = lease.stock ? Math.max(lease.stock.freesAt, mono + BY_WAY_MS) : Infinity;
  const first = Math.min(there, firstEnd(lease));
  return first === Infinity ? undefined : first;
}

interface Figures {
  readonly limitUnits: Units;
  readonly remainingUnits: number;
}

function figures({ limit, lease }: Standing, now: Now): Figures {
  if (lease) {
    return {
      limitUnits: lease.view.limit,
      remainingUnits: available(lease, now.mono) - lease.spec.overdraft,
    };
  }
  const most = wholeUnits(limit);
  return { limitUnits: most, remainingUnits: most };
}

/** Units of a limit that nobody has used. */
function wholeUnits(limit: CompiledLimit): Units {
  const { shape } = limit.rule;
  return shape.kind === "rate" ? shape.burst : shape.kind === "budget" ? shape.units : shape.max;
}

/** The limit as a caller sees it. `platform`: may see the figures of platform limits. */
export function statusOf(standing: Standing, platform: boolean, now: Now): LimitStatus {
  const { limit, lease, scope } = standing;
  const shown = platform || !limit.platform;
  const { limitUnits, remainingUnits } = figures(standing, now);
  const resetsAt = endOf(lease);
  return {
    limit: limit.name,
    scope,
    meter: limit.meter,
    limitUnits: shown ? limitUnits : 0,
    remainingUnits: shown ? remainingUnits : 0,
    ...(resetsAt !== undefined && { resetsAt }),
    shadow: limit.mode === "shadow",
  };
}

/** Settled by the fleet, and spent or held here (S9), `more` not yet held included. */
export const usedAt = (lease: Lease, more: Units): Units => settled(lease) + lease.reserved + more;
