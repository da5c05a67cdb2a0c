/** The flags that say who asks for what, and what of the messages they make. */
import {
  type Action,
  type Amount,
  ModelUsage,
  Outcome,
  Subject,
  UsageSource,
} from "../gen/imprest/v1/quota.ts";
import type { Problem } from "./configuration.ts";
import { many, optional, type Flag, type Reader, type Values } from "./flag.ts";
import { oneOf, pair, text } from "./reader.ts";

const MAX_UNITS = BigInt(Number.MAX_SAFE_INTEGER);

const POWERS = new Map([
  ["", 1n],
  ["k", 1_000n],
  ["M", 1_000_000n],
  ["G", 1_000_000_000n],
]);

const UNITS = "a whole number up to 2^53-1, also as 500k, 1M, 2G";

/** Units as the policy writes them: "1500", "500k". */
function readUnits(written: string): bigint | undefined {
  const [, digits, power] = /^(\d{1,16})([kMG]?)$/.exec(written) ?? [];
  if (digits === undefined) return undefined;
  const units = BigInt(digits) * (POWERS.get(power ?? "") ?? 1n);
  return units <= MAX_UNITS ? units : undefined;
}

/** "$12.50" is 12,500,000 usd_micros. */
function readDollars(written: string): bigint | undefined {
  const [, dollars, cents = ""] = /^\$(\d{1,10})(?:\.(\d{1,6}))?$/.exec(written) ?? [];
  if (dollars === undefined) return undefined;
  const units = BigInt(dollars) * 1_000_000n + BigInt(cents.padEnd(6, "0"));
  return units <= MAX_UNITS ? units : undefined;
}

const amount: Reader<Amount> = (written) => {
  const [, meter, value = ""] = /^([a-z0-9_.-]{1,64})=(.+)$/.exec(written) ?? [];
  if (meter === undefined) return { allowed: "METER=UNITS, such as tokens=1500" };
  const isMoney = meter === "usd_micros";
  const units = readUnits(value) ?? (isMoney ? readDollars(value) : undefined);
  return units === undefined
    ? {
        allowed: isMoney ? `${UNITS}, or dollars as '$12.50' (quoted, or a shell reads $1)` : UNITS,
      }
    : { value: { meter, units } };
};

const USAGE_COUNTS = new Map([
  ["input", "inputTokens"],
  ["output", "outputTokens"],
  ["cache_read", "cacheReadTokens"],
  ["cache_write", "cacheWriteTokens"],
  ["reasoning", "reasoningTokens"],
  ["input_bytes", "inputBytes"],
  ["output_bytes", "outputBytes"],
] as const);

const USAGE = `model=M and any of ${[...USAGE_COUNTS.keys()].join("=N, ")}=N, comma-separated, each once`;

const usage: Reader<ModelUsage> = (written) => {
  const stated = new Map<string, string | bigint>();
  // A model's name may hold a comma: only one before "key=" ends a part.
  for (const part of written.split(/,(?=[a-z_]+=)/)) {
    const [, key = "", value = ""] = /^([a-z_]+)=(.+)$/.exec(part) ?? [];
    const field = key === "model" ? key : USAGE_COUNTS.get(key as "input");
    const content = key === "model" ? value : readUnits(value);
    if (field === undefined || content === undefined || stated.has(field))
      return { allowed: USAGE };
    stated.set(field, content);
  }
  return { value: ModelUsage.fromPartial(Object.fromEntries(stated)) };
};

export const SUBJECT_FLAGS = {
  tenant: optional("T", "The tenant. May be left out where the sidecar serves one alone.", text),
  subject: many(
    "K=V",
    "A further level: workspace, app, workflow, agent, toolset, or a dimension such as run, session, user.",
    pair("LEVEL=NAME, such as run=r-7"),
  ),
};

export const ACTION_FLAGS = {
  action: optional("KIND", "What is about to be done: llm.completion, tool.call.", text),
  name: optional("NAME", "The model or the tool: gpt-4o, web.search.", text),
  tag: many("TAG", "A tag of the action.", text),
  fingerprint: optional("HASH", "Hash of the call's content, for loop detection.", text),
};

export const AMOUNT_FLAGS = {
  amount: many(
    "METER=UNITS",
    "Units of a meter: tokens=1500, tokens=500k, usd_micros='$0.25'.",
    amount,
  ),
  usage: optional(
    "LIST",
    "Tokens of a model call, from which amounts are derived: model=gpt-4o,input=800,output=200. Also cache_read, cache_write, reasoning, input_bytes, output_bytes.",
    usage,
  ),
};

export const LABEL_FLAG: Flag<readonly (readonly [string, string])[]> = many(
  "K=V",
  "A label, copied to the usage record.",
  pair("LABEL=VALUE, such as trace_id=4bf9"),
);

const OUTCOMES = {
  success: Outcome.SUCCESS,
  error: Outcome.ERROR,
  aborted: Outcome.ABORTED,
} as const;
const SOURCES = {
  provider: UsageSource.PROVIDER,
  estimated: UsageSource.ESTIMATED,
  reserved: UsageSource.RESERVED,
} as const;

export const OUTCOME_FLAG: Flag<"success" | "error" | "aborted" | undefined> = optional(
  "OUTCOME",
  "How the call ended: success, error (feeds the circuit breaker) or aborted.",
  oneOf("success", "error", "aborted"),
);
export const SOURCE_FLAG: Flag<"provider" | "estimated" | "reserved" | undefined> = optional(
  "WHO",
  "Who counted what is stated: provider, estimated or reserved.",
  oneOf("provider", "estimated", "reserved"),
);

export const outcomeOf = (name: keyof typeof OUTCOMES | undefined): Outcome =>
  name === undefined ? Outcome.UNSPECIFIED : OUTCOMES[name];
export const sourceOf = (name: keyof typeof SOURCES | undefined): UsageSource =>
  name === undefined ? UsageSource.UNSPECIFIED : SOURCES[name];

const LEVELS = ["workspace", "app", "workflow", "agent", "toolset"] as const;

export function subjectOf({ tenant = "", subject }: Values<typeof SUBJECT_FLAGS>): Subject {
  const levels = new Map(subject);
  const fixed = Object.fromEntries(LEVELS.map((level) => [level, levels.get(level) ?? ""]));
  for (const level of LEVELS) levels.delete(level);
  return { ...Subject.fromPartial(fixed), tenant, dimensions: levels };
}

export const actionOf = (values: Values<typeof ACTION_FLAGS>): Action => ({
  kind: values.action ?? "",
  name: values.name ?? "",
  tags: [...values.tag],
  fingerprint: values.fingerprint ?? "",
});

/** A level said twice: one of them would be dropped without a word. */
export function checkSubject({
  subject = [],
}: Partial<Values<typeof SUBJECT_FLAGS>>): readonly Problem[] {
  const levels = subject.map(([level]) => level);
  const twice = new Set(levels.filter((level, at) => levels.indexOf(level) !== at));
  const problems = [...twice].map((level) => ({
    where: "--subject",
    found: `${level} more than once`,
    allowed: "each level once",
  }));
  return levels.includes("tenant")
    ? [...problems, { where: "--subject", found: "tenant", allowed: "--tenant for the tenant" }]
    : problems;
}
