/** Breakers, loops, and the lists of what is allowed and denied. */
import type { ActionList, BreakerRule, LoopRule } from "./document.ts";
import { readMatch } from "./level.ts";
import { at, isMap, pairs, textAt, textsAt, type Spot } from "./node.ts";
import { PPM } from "./notation.ts";
import { requireCount, requireDuration, requireShare } from "./scalar.ts";
import { readMode, readPerOf, type RuleContext } from "./validate-limit.ts";

export function readBreaker(spot: Spot, context: RuleContext): BreakerRule {
  return {
    name: textAt(at(spot, "name")),
    match: readMatch(at(spot, "match"), context.levels),
    per: readPerOf(at(spot, "per"), context),
    errorsPpm: requireShare(at(spot, "errors"), 1, PPM),
    of: requireCount(at(spot, "of")),
    windowMs: requireDuration(at(spot, "window")),
    openMs: requireDuration(at(spot, "open")),
    mode: readMode(at(spot, "mode")),
  };
}

export function readLoop(spot: Spot, context: RuleContext): LoopRule {
  return {
    name: textAt(at(spot, "name")),
    match: readMatch(at(spot, "match"), context.levels),
    per: readPerOf(at(spot, "per"), context),
    repeats: requireCount(at(spot, "repeats")),
    windowMs: requireDuration(at(spot, "window")),
    mode: readMode(at(spot, "mode")),
  };
}

/** `allow` or `deny`; `undefined` where there is none. */
export function readActions(spot: Spot): ActionList | undefined {
  if (!isMap(spot.node)) return undefined;
  return { entries: pairs(spot).map(([kind, names]) => ({ kind, names: textsAt(names) })) };
}
