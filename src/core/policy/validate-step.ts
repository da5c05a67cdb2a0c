/** Steps of a budget: from which share on, what is asked of the caller. */
import type { CapsRule, LimitShape, Step } from "./document.ts";
import { at, flagAt, isList, items, refuse, textAt, textsAt, type Spot } from "./node.ts";
import { PPM } from "./notation.ts";
import { readAmount, readDuration, requireShare } from "./scalar.ts";

/** 1000 %: a soft budget counts on past its end. */
const MOST_USED_PPM = 10 * PPM;

/** `at` of a limit, in ascending order. */
export function readSteps(spot: Spot, shape: LimitShape): Step[] {
  if (isList(spot.node) && shape.kind !== "budget")
    refuse(spot, "nothing (steps are for budgets alone)");
  const steps = items(spot).map((step): Step => {
    const caps = readCaps(at(step, "caps"));
    return {
      usedPpm: requireShare(at(step, "used"), 0, MOST_USED_PPM),
      used: textAt(at(step, "used")),
      notify: flagAt(at(step, "notify")),
      ...(caps === undefined ? {} : { caps }),
    };
  });
  return steps.sort((a, b) => a.usedPpm - b.usedPpm);
}

function readCaps(spot: Spot): CapsRule | undefined {
  if (spot.node === undefined) return undefined;
  const maxOutputTokens = readCap(at(spot, "max_output_tokens"));
  const maxStepsRemaining = readCap(at(spot, "max_steps_remaining"));
  const fallbackModel = textAt(at(spot, "fallback_model"));
  const toolAllowlist = readTools(at(spot, "tool_allowlist"));
  const toolDenylist = readTools(at(spot, "tool_denylist"));
  const cooldownMs = readDuration(at(spot, "cooldown"));
  const notice = textAt(at(spot, "notice"));
  return {
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    ...(fallbackModel === "" ? {} : { fallbackModel }),
    ...(toolAllowlist === undefined ? {} : { toolAllowlist }),
    ...(toolDenylist === undefined ? {} : { toolDenylist }),
    ...(maxStepsRemaining === undefined ? {} : { maxStepsRemaining }),
    ...(cooldownMs === undefined ? {} : { cooldownMs }),
    ...(notice === "" ? {} : { notice }),
  };
}

/** An answer says "no cap" by 0, so a cap of 0 could not be told from none. */
function readCap(spot: Spot): number | undefined {
  const cap = readAmount(spot, false);
  if (cap === 0) refuse(spot, "a whole number from 1 (0 would mean: no cap)");
  return cap;
}

/** An answer says "all tools" by an empty list, so an empty one here would not say what it seems to. */
function readTools(spot: Spot): string[] | undefined {
  if (!isList(spot.node)) return undefined;
  if (spot.node.length === 0) refuse(spot, "a list of at least one tool");
  return textsAt(spot);
}
