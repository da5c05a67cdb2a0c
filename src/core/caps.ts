/**
 * Steps of a budget on its way up, and how the caps of several limits become one (S9).
 *
 *   CA1  A step is reached when used ÷ limit is at least its share. All reached steps apply, later ones
 *        override field by field.
 *   CA2  Of several limits the tighter cap holds: least of numbers, intersection of allow-lists, union of
 *        deny-lists, longest cooldown.
 *   CA3  fallback_model, notice and the name of the limit come from the limit nearest its end.
 *
 * Example: limit 100, steps at 80 % {max_output_tokens: 1024} and 95 % {fallback_model: m}. Used 96: both apply.
 */
import type { CapsRule, Step } from "./policy/document.ts";
import type { Units } from "./units.ts";
import type { Caps } from "./verdict.ts";

/** What one limit asks for, and how near its end it is. */
export interface CapsOf {
  readonly limit: string;
  /** used ÷ limit; Infinity for a limit of 0. */
  readonly used: number;
  readonly caps: CapsRule;
}

/** Number of steps that are reached; they are in ascending order. */
export function stepsReached(steps: readonly Step[], used: Units, limit: Units): number {
  let reached = 0;
  for (const step of steps) {
    if (limit > 0 && used / limit < step.usedPpm / 1e6) break;
    reached++;
  }
  return reached;
}

/** The caps of the first `reached` steps; `undefined`: they ask for nothing. */
export function capsOf(steps: readonly Step[], reached: number): CapsRule | undefined {
  let caps: CapsRule | undefined;
  for (let i = 0; i < reached; i++) {
    const step = steps[i]?.caps;
    if (step) caps = caps ? { ...caps, ...step } : step;
  }
  return caps;
}

/** Merges what several limits ask for; `undefined` for none. */
export function mergeCaps(asked: readonly CapsOf[]): Caps | undefined {
  if (asked.length === 0) return undefined;
  const byEnd = [...asked].sort((a, b) => b.used - a.used);
  const nearest = <K extends keyof CapsRule>(field: K): CapsRule[K] | undefined =>
    byEnd.find(({ caps }) => caps[field] !== undefined)?.caps[field];
  const all = <K extends keyof CapsRule>(field: K): NonNullable<CapsRule[K]>[] =>
    asked.flatMap(({ caps }) => (caps[field] === undefined ? [] : [caps[field]])) as NonNullable<
      CapsRule[K]
    >[];
  const cooldowns = all("cooldownMs");
  const allowed = commonTo(all("toolAllowlist"));
  // An empty list on the wire means "no list": that no tool is left must be said the other way round.
  const none = allowed?.length === 0 ? ["*"] : [];
  return {
    maxOutputTokens: least(all("maxOutputTokens")),
    fallbackModel: nearest("fallbackModel") ?? "",
    toolAllowlist: allowed ?? [],
    toolDenylist: [...new Set([...all("toolDenylist").flat(), ...none])],
    maxStepsRemaining: least(all("maxStepsRemaining")),
    ...(cooldowns.length > 0 && { cooldownMs: Math.max(...cooldowns) }),
    notice: nearest("notice") ?? "",
    limit: byEnd[0]?.limit ?? "",
  };
}

const least = (numbers: readonly number[]): number =>
  numbers.length === 0 ? 0 : Math.min(...numbers);

function commonTo(lists: readonly (readonly string[])[]): readonly string[] | undefined {
  const [first, ...rest] = lists;
  return first?.filter((tool) => rest.every((list) => list.includes(tool)));
}
