/**
 * The words of a step as an operation. Bare words are tenant, kind and name in this order ("-" skips one); `key=value`
 * is a level of the subject, a count of usage, an option, or else an amount of the meter `key`.
 *
 *   reserve acme run=r-1 llm.completion gpt-4o in=1200 out=300 ttl=30s key=k1 as A
 *   commit A usd_micros=700 partial         extend A by=30s usd_micros=100
 */
import type { Operation, Outcome, Request, UsageSource } from "../../src/core/operation.ts";
import type { Call } from "../../src/ports/quota.ts";
import {
  aCall,
  aCheck,
  aCommit,
  aConsume,
  anExtend,
  aRelease,
  aReserve,
  type SubjectLike,
} from "../support/builders.ts";
import { splitWords } from "./facts.ts";

export interface Words {
  readonly verb: string;
  readonly bare: readonly string[];
  readonly flags: ReadonlySet<string>;
  readonly options: ReadonlyMap<string, string>;
  /** Values of options that may be given more than once: `tag=`. */
  readonly tags: readonly string[];
  readonly subject: SubjectLike;
  readonly usage: Readonly<Record<string, number | string>> | undefined;
  readonly amounts: readonly { readonly meter: string; readonly units: number }[];
  readonly labels: ReadonlyMap<string, string>;
  /** `as NAME`: what the reservation is called from here on. */
  readonly alias: string;
}

const FLAGS = new Set(["dry_run", "best_effort", "verbose", "partial", "already_spent", "usage"]);
const LEVELS = new Set(["workspace", "app", "workflow", "agent", "toolset"]);
const DIMENSIONS = new Set(["run", "session", "user", "conversation"]);
const OPTIONS = new Set([
  "ttl",
  "key",
  "fingerprint",
  "outcome",
  "by",
  "caller",
  "reason",
  "counted",
]);
const USAGE: ReadonlyMap<string, string> = new Map([
  ["model", "model"],
  ["in", "inputTokens"],
  ["out", "outputTokens"],
  ["cache_read", "cacheReadTokens"],
  ["cache_write", "cacheWriteTokens"],
  ["reasoning", "reasoningTokens"],
  ["in_bytes", "inputBytes"],
  ["out_bytes", "outputBytes"],
]);

const UNITS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

/** `500ms`, `-1h`, `30d`. */
export function parseDuration(text: string): number {
  const [, count, unit] = /^(-?\d+)(ms|s|m|h|d)$/.exec(text) ?? [];
  const factor = UNITS.get(unit ?? "");
  if (count === undefined || factor === undefined) throw new Error(`"${text}" is no duration`);
  return Number(count) * factor;
}

/** The largest unit that gives a whole number: 90s, 36h, 1500ms. */
export function renderDuration(ms: number): string {
  const unit = [...UNITS].reverse().find(([, factor]) => ms % factor === 0 && ms !== 0);
  return unit === undefined ? `${ms}ms` : `${ms / unit[1]}${unit[0]}`;
}

export function parseCommand(command: string): Words {
  const [verb = "", ...rest] = splitWords(command);
  const named = rest.at(-2) === "as";
  const bare: string[] = [];
  const flags = new Set<string>();
  const options = new Map<string, string>();
  const tags: string[] = [];
  const levels: Record<string, string> = {};
  const dimensions = new Map<string, string>();
  const usage: Record<string, number | string> = {};
  const amounts: { meter: string; units: number }[] = [];
  const labels = new Map<string, string>();
  for (const word of named ? rest.slice(0, -2) : rest) {
    const equals = word.indexOf("=");
    const key = word.slice(0, Math.max(0, equals));
    const value = word.slice(equals + 1);
    const usageField = USAGE.get(key);
    if (equals <= 0) {
      if (FLAGS.has(word)) flags.add(word);
      else bare.push(word === "-" ? "" : word);
    } else if (LEVELS.has(key)) levels[key] = value;
    else if (DIMENSIONS.has(key)) dimensions.set(key, value);
    else if (key.startsWith("dim.")) dimensions.set(key.slice(4), value);
    else if (key.startsWith("label.")) labels.set(key.slice(6), value);
    else if (key === "tag") tags.push(value);
    else if (OPTIONS.has(key)) options.set(key, value);
    else if (usageField !== undefined)
      usage[usageField] = usageField === "model" ? value : Number(value);
    else amounts.push({ meter: key, units: Number(value) });
  }
  const hasUsage = flags.has("usage") || Object.keys(usage).length > 0;
  return {
    verb,
    bare,
    flags,
    options,
    tags,
    subject: { tenant: bare[0] ?? "", ...levels, dimensions },
    usage: hasUsage ? usage : undefined,
    amounts,
    labels,
    alias: named ? (rest.at(-1) ?? "") : "",
  };
}

/** `caller=acme` is that tenant alone; `caller=*` any tenant; both without the platform's figures (S16a). */
export function callOf(words: Words): Call {
  const caller = words.options.get("caller");
  if (caller === undefined) return aCall();
  return aCall({ tenant: caller === "*" ? "" : caller, platform: false });
}

export const requestOf = (words: Words): Omit<Request, "op"> => ({
  ...aCheck({
    subject: words.subject,
    action: {
      kind: words.bare[1] ?? "",
      name: words.bare[2] ?? "",
      tags: words.tags,
      fingerprint: words.options.get("fingerprint") ?? "",
    },
    amounts: words.amounts,
    ...(words.usage === undefined ? {} : { usage: words.usage }),
    verbose: words.flags.has("verbose"),
  }),
});

/** `idOf` turns a reservation's name in the scenario into its id. `undefined`: the verb is no operation. */
export function operationOf(words: Words, idOf: (alias: string) => string): Operation | undefined {
  const request = requestOf(words);
  const option = (name: string): string => words.options.get(name) ?? "";
  const id = idOf(words.bare[0] ?? "");
  const idempotencyKey = option("key");
  const outcome = (option("outcome") || "success") as Outcome;
  const usageSource = (option("counted") || "provider") as UsageSource;
  const settled = {
    amounts: words.amounts,
    ...(words.usage === undefined ? {} : { usage: words.usage }),
  };
  switch (words.verb) {
    case "check":
      return { ...aCheck(), ...request, op: "check" };
    case "reserve":
      return {
        ...aReserve({
          ...(option("ttl") === "" ? {} : { ttlMs: parseDuration(option("ttl")) }),
          idempotencyKey,
          dryRun: words.flags.has("dry_run"),
          bestEffort: words.flags.has("best_effort"),
        }),
        ...request,
        op: "reserve",
      };
    case "consume":
      return {
        ...aConsume({
          idempotencyKey,
          outcome,
          usageSource,
          labels: words.labels,
          alreadySpent: words.flags.has("already_spent"),
        }),
        ...request,
        op: "consume",
      };
    case "commit":
      return aCommit(id, {
        ...settled,
        idempotencyKey,
        outcome,
        usageSource,
        partial: words.flags.has("partial"),
        labels: words.labels,
      });
    case "release":
      return aRelease(id, { idempotencyKey, reason: option("reason") });
    case "extend":
      return anExtend(id, {
        byMs: option("by") === "" ? 0 : parseDuration(option("by")),
        add: words.amounts,
        idempotencyKey,
      });
    default:
      return undefined;
  }
}
