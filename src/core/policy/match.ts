/**
 * Which operations a limit, breaker or loop is about: `match` (all rules must hold) and `per` (all levels must
 * be there). An absent level matches `*` alone.
 */
import type { Action, Subject } from "../operation.ts";
import { isSubjectLevel, levelReader, type LevelReader } from "../scope.ts";
import { compilePatterns } from "../wildcard.ts";
import type { ActionList, MatchRule } from "./document.ts";

/** The separator of `per` values in a bucket's key; no legal value holds it. */
const SEPARATOR = "\u0000";

type Test = (subject: Subject, action: Action) => boolean;

export interface Matcher {
  /** All of `match` holds and every level of `per` is there. */
  applies(subject: Subject, action: Action): boolean;
  /** The same, but conditions on action, name and tag are not looked at (balances, S30). */
  appliesToSubject(subject: Subject): boolean;
  /** The values of `per`, joined: tells the buckets of one limit apart. "" without `per`. */
  bucketOf(subject: Subject, action: Action): string;
  /** True where `per` names action or name, so that a subject alone does not tell the bucket. */
  readonly perAction: boolean;
  /** Whether a bucket, by the values that {@link bucketOf} joined, is one of this subject's. */
  ownsBucket(bucket: string, subject: Subject): boolean;
  /** The first condition that does not hold, for people: "match.workspace", "per.run"; "" where it applies. */
  whyNot(subject: Subject, action: Action): string;
}

const NO_ACTION: Action = { kind: "", name: "", tags: [], fingerprint: "" };

function anyOf(patterns: readonly string[]): (value: string) => boolean {
  const matches = compilePatterns(patterns);
  const matchesAbsent = patterns.includes("*");
  return (value) => (value === "" ? matchesAbsent : matches(value));
}

function testOf(rule: MatchRule): Test {
  const matches = anyOf(rule.patterns);
  if (rule.level === "tag") {
    return (_, action) => (action.tags.length === 0 ? matches("") : action.tags.some(matches));
  }
  const read = levelReader(rule.level);
  return (subject, action) => matches(read(subject, action));
}

export function createMatcher(match: readonly MatchRule[], per: readonly string[]): Matcher {
  const rules = match.map((rule) => ({ level: rule.level, test: testOf(rule) }));
  const levels = per.map((level) => ({ level, read: levelReader(level) }));
  const onSubject = rules.filter((rule) => isSubjectLevel(rule.level));
  const perSubject = levels.filter(({ level }) => isSubjectLevel(level));
  const [single] = levels;
  return {
    perAction: perSubject.length < levels.length,
    applies(subject, action) {
      for (const rule of rules) if (!rule.test(subject, action)) return false;
      for (const level of levels) if (level.read(subject, action) === "") return false;
      return true;
    },
    appliesToSubject: (subject) =>
      onSubject.every((rule) => rule.test(subject, NO_ACTION)) &&
      perSubject.every(({ read }) => read(subject, NO_ACTION) !== ""),
    bucketOf: bucketReader(
      levels.map(({ read }) => read),
      single?.read,
    ),
    ownsBucket(bucket, subject) {
      const values = bucket.split(SEPARATOR);
      return levels.every(
        ({ level, read }, i) => !isSubjectLevel(level) || values[i] === read(subject, NO_ACTION),
      );
    },
    whyNot(subject, action) {
      const rule = rules.find(({ test }) => !test(subject, action));
      if (rule) return `match.${rule.level}`;
      const level = levels.find(({ read }) => read(subject, action) === "");
      return level ? `per.${level.level}` : "";
    },
  };
}

function bucketReader(
  readers: readonly LevelReader[],
  single: LevelReader | undefined,
): LevelReader {
  if (single === undefined) return () => "";
  if (readers.length === 1) return single;
  return (subject, action) => readers.map((read) => read(subject, action)).join(SEPARATOR);
}

/** The values that {@link Matcher.bucketOf} joined, one for each level of `per`. */
export const bucketValues = (bucket: string): readonly string[] => bucket.split(SEPARATOR);

/** Compiles an allow or deny list to a test of (kind, name). S4: the name is action.name, else usage.model. */
export function actionTest(list: ActionList): (kind: string, name: string) => boolean {
  const entries = list.entries.map((entry) => ({
    kind: anyOf([entry.kind]),
    name: anyOf(entry.names),
  }));
  return (kind, name) => entries.some((entry) => entry.kind(kind) && entry.name(name));
}
