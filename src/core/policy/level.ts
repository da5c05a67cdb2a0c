/** The levels that a policy may name in `match` and `per`, and the texts that they can hold at all. */
import { refuse, refuseKey, items, isList, pairs, textAt, type Spot } from "./node.ts";
import { allowedWords } from "./suggestion.ts";
import type { MatchRule } from "./document.ts";

/** Below the tenant, in the canonical order. */
const FIXED_LEVELS = ["workspace", "app", "workflow", "agent", "toolset"] as const;
const ACTION_LEVELS = ["action", "name"] as const;
/** Names that `dimensions` may not take. */
export const RESERVED_LEVELS = ["tenant", ...FIXED_LEVELS, ...ACTION_LEVELS, "tag", "platform"];

/** Names of limits, meters and dimensions. */
export const NAME = /^[a-z0-9_.-]{1,64}$/;
export const NAME_ALLOWED = "1 to 64 of a-z 0-9 _ . -";
/** Names and uids of tenants. */
export const TENANT = /^[A-Za-z0-9_.@-]{1,128}$/;
export const TENANT_ALLOWED = "1 to 128 of A-Z a-z 0-9 _ . @ -";

// A pattern with a character that no value can have never matches: a limit that silently counts nothing.
export const KIND_PATTERN = /^[a-z0-9_.*?-]{1,64}$/;
export const KIND_PATTERN_ALLOWED = "1 to 64 of a-z 0-9 _ . - and the wildcards * ?";
const LEVEL_PATTERN = /^[A-Za-z0-9_.@*?-]{1,128}$/;
const LEVEL_PATTERN_ALLOWED = "1 to 128 of A-Z a-z 0-9 _ . @ - and the wildcards * ?";
export const NAME_PATTERN = /^[A-Za-z0-9_.@:/+|,*?-]{1,256}$/;
export const NAME_PATTERN_ALLOWED =
  "1 to 256 of A-Z a-z 0-9 _ . @ : / + | , - and the wildcards * ?";

/** Which levels a document knows. */
export interface Levels {
  /** For `match`. */
  readonly match: readonly string[];
  /** For `per` of a plan's or tenant's rules. */
  readonly per: readonly string[];
  /** For `per` of the platform's rules. */
  readonly platformPer: readonly string[];
}

export function levelsOf(dimensions: readonly string[]): Levels {
  const per = [...FIXED_LEVELS, ...ACTION_LEVELS, ...dimensions];
  return {
    match: [...FIXED_LEVELS, ...ACTION_LEVELS, "tag", ...dimensions],
    per,
    platformPer: ["tenant", ...per],
  };
}

function patternOf(level: string): readonly [RegExp, string] {
  if (level === "action" || level === "tag") return [KIND_PATTERN, KIND_PATTERN_ALLOWED];
  if ((FIXED_LEVELS as readonly string[]).includes(level))
    return [LEVEL_PATTERN, LEVEL_PATTERN_ALLOWED];
  return [NAME_PATTERN, NAME_PATTERN_ALLOWED];
}

/** `match` of a limit, breaker or loop. An empty mapping is everything. */
export function readMatch(spot: Spot, levels: Levels): MatchRule[] {
  return pairs(spot).flatMap(([level, value]) => {
    if (!levels.match.includes(level)) {
      refuseKey(value, allowedWords(level, levels.match));
      return [];
    }
    const [pattern, allowed] = patternOf(level);
    const texts = isList(value.node) ? items(value) : [value];
    if (texts.length === 0) refuse(value, "a pattern or a list of at least one");
    for (const text of texts) {
      if (typeof text.node === "string" && !pattern.test(text.node)) refuse(text, allowed);
    }
    return [{ level, patterns: texts.map(textAt) }];
  });
}

/** `per` of a limit, breaker or loop. */
export function readPer(spot: Spot, levels: readonly string[]): string[] {
  const seen = new Set<string>();
  for (const item of items(spot)) {
    if (typeof item.node !== "string") continue;
    if (!levels.includes(item.node)) refuse(item, allowedWords(item.node, levels));
    else if (seen.has(item.node)) refuse(item, "each level once");
    seen.add(item.node);
  }
  return [...seen];
}
