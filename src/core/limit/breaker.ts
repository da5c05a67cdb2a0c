/**
 * Circuit breaker: stops calls to what keeps failing (S14).
 *
 *   closed ──(≥ `of` outcomes in the window, share of errors reached)──► open ──(`openMs` later)──► trial
 *     ▲                                                                   ▲                          │
 *     └───────────────── its success ─────────────────────────────────────┼── its error or expiry ───┘
 *
 *   BR1  It opens only on an outcome, when at least `of` of them lie in the window.
 *   BR2  While open nothing passes; afterwards one trial passes at a time.
 *   BR3  Only the trial's own end closes or opens it again; a trial given back unused leaves room for another.
 *   BR4  At most {@link OUTCOMES_MAX} outcomes are kept: of a busier window the latest count.
 *
 * Example: errors 50 %, of 4. Outcomes ok, ok, error, error: open. `openMs` later the next call is the trial.
 */
import type { BreakerRule } from "../policy/document.ts";
import type { Outcome } from "../operation.ts";

/** Bounds memory for a bucket; `of` itself may be at most this. */
export const OUTCOMES_MAX = 4_096;

/** Changed in place: one owner, the engine. */
export interface Circuit {
  /** Outcomes in the window, oldest first. */
  readonly outcomes: { at: number; error: boolean }[];
  errors: number;
  /** Open until then; undefined: closed. */
  openUntil: number | undefined;
  /** Who is the trial, and when it ends on its own. */
  trial: { readonly id: string; expiresAt: number } | undefined;
}

export const closedCircuit = (): Circuit => ({
  outcomes: [],
  errors: 0,
  openUntil: undefined,
  trial: undefined,
});

/** Milliseconds until a call passes if nobody else goes first; 0: it passes now. */
export function breakerWait(circuit: Circuit, rule: BreakerRule, now: number): number {
  const { openUntil, trial } = circuit;
  if (openUntil === undefined) return 0;
  if (trial) return Math.max(1, trial.expiresAt + rule.openMs - now);
  return Math.max(0, openUntil - now);
}

/** A call was let through: the first one after `openMs` is the trial. */
export function letThrough(
  circuit: Circuit,
  call: { readonly id: string; readonly expiresAt: number },
  now: number,
): void {
  const { openUntil, trial } = circuit;
  if (openUntil !== undefined && openUntil <= now && !trial) circuit.trial = { ...call };
}

/** The end of a call; "void": given back unused or cancelled, which says nothing about the other side. */
export interface Ending {
  readonly id: string;
  readonly outcome: Outcome | "void" | "expired";
}

/** Returns true when this opened it. */
export function recordOutcome(
  circuit: Circuit,
  rule: BreakerRule,
  ending: Ending,
  now: number,
): boolean {
  const { outcome } = ending;
  if (circuit.openUntil !== undefined) {
    if (circuit.trial?.id !== ending.id) return false; // (BR3)
    circuit.trial = undefined;
    if (outcome === "success") reset(circuit, undefined);
    else if (outcome === "error" || outcome === "expired") reset(circuit, now + rule.openMs);
    return circuit.openUntil !== undefined && circuit.openUntil > now;
  }
  if (outcome !== "success" && outcome !== "error") return false;
  const error = outcome === "error";
  circuit.outcomes.push({ at: now, error });
  if (error) circuit.errors++;
  forget(circuit, rule, now);
  const seen = circuit.outcomes.length;
  if (seen < rule.of || circuit.errors / seen < rule.errorsPpm / 1e6) return false;
  reset(circuit, now + rule.openMs);
  return true;
}

function reset(circuit: Circuit, openUntil: number | undefined): void {
  circuit.outcomes.length = 0;
  circuit.errors = 0;
  circuit.openUntil = openUntil;
}

/** Drops what has left the window (BR4). */
function forget(circuit: Circuit, rule: BreakerRule, now: number): void {
  const { outcomes } = circuit;
  let gone = 0;
  while (gone < outcomes.length) {
    const oldest = outcomes[gone];
    if (!oldest || (oldest.at > now - rule.windowMs && outcomes.length - gone <= OUTCOMES_MAX))
      break;
    if (oldest.error) circuit.errors--;
    gone++;
  }
  if (gone > 0) outcomes.splice(0, gone);
}

/** Nothing in it matters any more; an open one that nobody tried for a whole window counts as closed. */
export function isBreakerIdle(circuit: Circuit, rule: BreakerRule, now: number): boolean {
  const { openUntil, trial, outcomes } = circuit;
  if (trial) return false;
  const last = openUntil ?? outcomes.at(-1)?.at ?? -Infinity;
  return last <= now - rule.windowMs;
}
