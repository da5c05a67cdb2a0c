/**
 * Loop detection: how often one call, by its fingerprint, was let through within a window (S14).
 *
 *   LO1  `repeats` equal calls pass within `windowMs`, and the next is refused until the oldest has left it.
 *   LO2  Only calls that were let through count; a shadow loop counts those past its own end as well.
 *   LO3  At most `repeats` moments are kept for a call, whatever comes.
 *
 * Example: repeats 2, window 10 s, calls at 0 s and 4 s. One at 5 s is refused for 5 s more; one at 10 s passes.
 */
import type { LoopRule } from "../policy/document.ts";

/** The latest moments of one call, oldest first. Changed in place: one owner, the engine. */
export interface Repeats {
  readonly at: number[];
}

/** Milliseconds until the call passes; 0: it passes now. */
export function loopWait(repeats: Repeats, rule: LoopRule, now: number): number {
  const oldest = repeats.at[repeats.at.length - rule.repeats];
  return oldest === undefined ? 0 : Math.max(0, oldest + rule.windowMs - now);
}

/** Counts a call that was let through. */
export function countRepeat(repeats: Repeats, rule: LoopRule, now: number): void {
  repeats.at.push(now);
  if (repeats.at.length > rule.repeats) repeats.at.splice(0, repeats.at.length - rule.repeats);
}

/** Nothing in it matters any more. */
export const isLoopOver = (repeats: Repeats, rule: LoopRule, now: number): boolean =>
  (repeats.at.at(-1) ?? -Infinity) + rule.windowMs <= now;
