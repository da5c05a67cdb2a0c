/**
 * Scopes: where a limit attaches, and the canonical text of it (semantics S8).
 *
 * The levels of an operation are the subject's (tenant, five fixed ones, dimensions by key) and then the
 * action's kind and name. A limit's scope names every level that its `match` fixes to one value or its `per`
 * tells apart, always in the canonical order: "tenant:acme/workflow:chat/run:r-7/name:gpt-4o". A limit of the
 * platform begins with "platform". Narrower means: more levels in the scope.
 *
 *   SC1  Equal levels give equal text, whatever order the policy names them in.
 *   SC2  "/" and "%" inside values are escaped, so that no value can forge another scope.
 */
import type { Action, Subject } from "./operation.ts";
import type { MatchRule } from "./policy/document.ts";

const FIXED = ["tenant", "workspace", "app", "workflow", "agent", "toolset"] as const;

/** The uid under which the platform's limits keep their usage; no tenant's name or uid can hold a "/". */
export const PLATFORM_UID = "/platform";

/** Reads the value of one level; "" where the operation does not have it. */
export type LevelReader = (subject: Subject, action: Action) => string;

/** `level`: a fixed one, `action`, `name`, or a dimension. (`tag` has many values: see match.ts.) */
export function levelReader(level: string): LevelReader {
  switch (level) {
    case "tenant":
      return (subject) => subject.tenant;
    case "workspace":
      return (subject) => subject.workspace;
    case "app":
      return (subject) => subject.app;
    case "workflow":
      return (subject) => subject.workflow;
    case "agent":
      return (subject) => subject.agent;
    case "toolset":
      return (subject) => subject.toolset;
    case "action":
      return (_, action) => action.kind;
    case "name":
      return (_, action) => action.name;
    default:
      return (subject) => subject.dimensions.get(level) ?? "";
  }
}

/** True for the levels that a subject carries: all but action, name and tag. */
export const isSubjectLevel = (level: string): boolean =>
  level !== "action" && level !== "name" && level !== "tag";

function rank(level: string): number {
  const fixed = (FIXED as readonly string[]).indexOf(level);
  if (fixed >= 0) return fixed;
  if (level === "action") return FIXED.length + 1;
  if (level === "name") return FIXED.length + 2;
  return FIXED.length;
}

const compare = (a: string, b: string): number => rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0);

const escape = (value: string): string =>
  value.includes("%") || value.includes("/")
    ? value.replaceAll("%", "%25").replaceAll("/", "%2F")
    : value;

/** The text of a limit's scope for one operation, and how narrow it is. */
export interface ScopeShape {
  /** Levels in the scope: the tenant is one, the platform none. */
  readonly depth: number;
  /** `tenant`: the tenant's name. Levels of `per` that the operation lacks are left out. */
  text(tenant: string, subject: Subject, action: Action): string;
}

export interface ScopeSource {
  readonly match: readonly MatchRule[];
  readonly per: readonly string[];
}

const isOneValue = (rule: MatchRule): boolean =>
  rule.level !== "tag" && rule.patterns.length === 1 && !/[*?]/.test(rule.patterns[0] ?? "*");

/** Compiles the scope of a limit, breaker or loop. `root`: "tenant", or "platform" for the platform's. */
export function scopeShape(source: ScopeSource, root: "tenant" | "platform"): ScopeShape {
  const fixed = new Map<string, string>();
  for (const rule of source.match) {
    if (isOneValue(rule)) fixed.set(rule.level, escape(rule.patterns[0] ?? ""));
  }
  const levels = [...new Set([...fixed.keys(), ...source.per])].sort(compare);
  const parts = levels.map((level) => ({
    prefix: `/${level}:`,
    fixed: fixed.get(level),
    read: level === "tenant" ? undefined : levelReader(level),
  }));
  return {
    depth: levels.length + (root === "tenant" ? 1 : 0),
    text(tenant, subject, action) {
      let text = root === "platform" ? "platform" : `tenant:${tenant}`;
      for (const part of parts) {
        const value = part.fixed ?? (part.read ? escape(part.read(subject, action)) : tenant);
        if (value !== "") text += part.prefix + value;
      }
      return text;
    },
  };
}
