/**
 * The shape of a policy document, in zod: what kind of value each key takes, and no key that is not listed.
 * The JSON Schema is made from it (json-schema.ts), so that editors and the validator agree. Every message is
 * the "allowed" part of a problem.
 *
 * Mappings arrive as Maps. A mapping with fixed keys is checked as an object; a table, whose keys its author
 * makes up, stays a Map, since zod's records skip the key `__proto__`.
 *
 * Whether a key is required is left to the reader of meaning: a tenant's limit may leave out whatever its
 * plan's limit says. The schema marks what is required for editors alone.
 */
import * as z from "zod";
import {
  KIND_PATTERN,
  KIND_PATTERN_ALLOWED,
  NAME,
  NAME_ALLOWED,
  NAME_PATTERN,
  NAME_PATTERN_ALLOWED,
  TENANT,
  TENANT_ALLOWED,
} from "../../core/policy/level.ts";
import {
  AMOUNT,
  AMOUNT_ALLOWED,
  DECIMAL,
  DECIMAL_ALLOWED,
  DURATION,
  DURATION_ALLOWED,
  INSTANT,
  INSTANT_ALLOWED,
  PLAIN_AMOUNT,
  SHARE,
} from "../../core/policy/notation.ts";
import { allowedWords } from "../../core/policy/suggestion.ts";
import { API_VERSION, KIND } from "../../core/policy/validate.ts";
import { CALENDAR_UNITS } from "../../core/policy/validate-limit.ts";

type Fields = Readonly<Record<string, z.ZodType>>;

const objectOf = (value: unknown): unknown =>
  value instanceof Map ? Object.fromEntries(value) : value;

/** A mapping with these keys and no other. The message of an unknown key lists the keys that there are. */
function mapping<T extends Fields>(fields: T) {
  const keys = Object.keys(fields);
  const error = (issue: { readonly code: string }): string =>
    issue.code === "unrecognized_keys" ? keys.join(", ") : `a mapping with ${keys.join(", ")}`;
  return z.preprocess(objectOf, z.strictObject(fields, { error }));
}

/** Marks an issue of a table as one of the key, not of the value under it. */
export const ON_KEY = { onKey: true };

function key(pattern: RegExp, allowed: string) {
  return z
    .string()
    .refine((text) => pattern.test(text), { error: allowed, params: ON_KEY })
    .meta({ pattern: pattern.source });
}

const table = <V extends z.ZodType>(keys: z.ZodString, values: V, allowed: string) =>
  z.map(keys, values, { error: allowed });

const list = <T extends z.ZodType>(item: T, allowed: string) => z.array(item, { error: allowed });

const text = (allowed: string) => z.string({ error: allowed }).min(1, { error: allowed });
const matching = (pattern: RegExp, allowed: string) =>
  z.string({ error: allowed }).regex(pattern, { error: allowed });
const flag = z.boolean({ error: "true or false" });

function word<const T extends readonly [string, ...string[]]>(...words: T) {
  return z.enum(words, {
    error: (issue) =>
      typeof issue.input === "string" ? allowedWords(issue.input, words) : words.join(", "),
  });
}

const wholeAllowed = "a whole number from 0 to 2^53−1";
const whole = z.int({ error: wholeAllowed }).min(0, { error: wholeAllowed });
const count = z.int({ error: "a whole number from 1" }).min(1, { error: "a whole number from 1" });

/** A number from 0, or text of that pattern; each part says the same, since zod may report either. */
function numeric(number: z.ZodNumber, pattern: RegExp, error: string) {
  return z.union([number.min(0, { error }), matching(pattern, error)], { error });
}
/** Units of a meter that is not known here. */
const amountAllowed = `${AMOUNT_ALLOWED}; $12.50 for the meter usd_micros`;
const amount = numeric(z.int({ error: amountAllowed }), AMOUNT, amountAllowed);
/** Units that are never money. */
const units = numeric(z.int({ error: AMOUNT_ALLOWED }), PLAIN_AMOUNT, AMOUNT_ALLOWED);
const duration = matching(DURATION, DURATION_ALLOWED);
const shareAllowed = "a share, as 80%";
const share = matching(SHARE, shareAllowed);
const decimal = numeric(z.number({ error: DECIMAL_ALLOWED }), DECIMAL, DECIMAL_ALLOWED);
const kinds = matching(KIND_PATTERN, KIND_PATTERN_ALLOWED);
const names = matching(NAME_PATTERN, NAME_PATTERN_ALLOWED);

const periodAllowed = `${CALENDAR_UNITS.join(", ")}, once, or a length from 1s to 3660d, as 5h`;
const period = z.union([z.enum([...CALENDAR_UNITS, "once"]), z.string({ error: periodAllowed })], {
  error: periodAllowed,
});

const mode = word("enforce", "soft", "shadow").describe(
  "enforce refuses; soft is counted and its steps apply, but it never refuses; shadow is evaluated and reported alone.",
);

/** In a tenant, null takes a key of the plan's rule away. */
type Wrap = (field: z.ZodType) => z.ZodType;
const given: Wrap = (field) => field.optional();
const givenOrNull: Wrap = (field) => field.nullable().optional();
const same: Wrap = (field) => field;

const patternsAllowed = "a pattern or a list of patterns";
const pattern = text(patternsAllowed);
const patterns = z.union([pattern, z.array(pattern)], { error: patternsAllowed });
/** A table has no key that must be there: `same` and `given` say the same of its values. */
const match = (optional: Wrap) =>
  table(
    z.string(),
    optional === givenOrNull ? patterns.nullable() : patterns,
    "a mapping from levels to patterns",
  ).describe("Which operations: all must match; * and ? are wildcards. Absent: everything.");
const per = list(text("a level"), "a list of levels").describe(
  "A separate bucket for each value of these levels. An operation that lacks one is not counted.",
);

const caps = mapping({
  max_output_tokens: units.optional(),
  fallback_model: names.optional(),
  tool_allowlist: list(names, "a list of tools").optional(),
  tool_denylist: list(names, "a list of tools").optional(),
  max_steps_remaining: units.optional(),
  cooldown: duration.optional(),
  notice: text("a text for the end user").optional(),
});

const step = mapping({
  used: share.describe("Share of the budget from which on the step applies, up to 1000%."),
  caps: caps.optional(),
  notify: flag.optional(),
});

const ceiling = mapping({ max_units: amount.optional(), for: duration.optional() });
const storeLossAllowed = "deny, share, allow, or share or allow with max_units and for";
const storeLoss = z.union(
  [
    z.enum(["deny", "share", "allow"]),
    mapping({ share: ceiling.optional(), allow: ceiling.optional() }),
  ],
  { error: storeLossAllowed },
);

function limit(required: Wrap, optional: Wrap) {
  const rollover = z.union([amount, share], { error: `${amountAllowed}; or a share, as 50%` });
  return mapping({
    name: matching(NAME, NAME_ALLOWED).describe(
      "Usage is kept under it: leave numbers that may change out.",
    ),
    meter: optional(matching(NAME, NAME_ALLOWED)).describe(
      "What is counted: requests, tokens, usd_micros, or one of your own.",
    ),
    match: optional(match(optional)),
    per: optional(per),
    rate: optional(
      mapping({ units: required(amount), every: required(duration), burst: optional(amount) }),
    ).describe("Token bucket: units refilled evenly over every; burst is its capacity."),
    budget: optional(
      mapping({
        units: required(amount),
        period: required(period),
        anchor: optional(matching(INSTANT, INSTANT_ALLOWED)),
        ttl: optional(duration).describe(
          "Of period: once. How long a bucket lives without use; default 24h.",
        ),
        rollover: optional(rollover),
        overdraft: optional(amount),
      }),
    ).describe("At most units for each period."),
    concurrency: optional(mapping({ max: required(units) })).describe(
      "At most max open reservations.",
    ),
    request: optional(mapping({ max: required(amount) })).describe(
      "At most max units in one operation.",
    ),
    overage: optional(word("debt", "cap", "reject")),
    carry_debt: optional(flag),
    max_debt: optional(amount),
    mode: optional(mode),
    at: optional(list(step, "a list of steps")),
    on_expiry: optional(word("release", "charge")),
    on_store_loss: optional(storeLoss),
  });
}

function breaker(required: Wrap, optional: Wrap) {
  return mapping({
    name: matching(NAME, NAME_ALLOWED),
    match: optional(match(optional)),
    per: optional(per),
    errors: required(share),
    of: required(count),
    window: required(duration),
    open: required(duration),
    mode: optional(mode),
  });
}

function loop(required: Wrap, optional: Wrap) {
  return mapping({
    name: matching(NAME, NAME_ALLOWED),
    match: optional(match(optional)),
    per: optional(per),
    repeats: required(count),
    window: required(duration),
    mode: optional(mode),
  });
}

const actions = table(
  key(KIND_PATTERN, KIND_PATTERN_ALLOWED),
  list(names, "a list of names"),
  "a mapping from kinds to lists of names",
);

const replaced = {
  mode: mode.optional(),
  allow: actions.optional().describe("Absent: everything. Present: only what is listed."),
  deny: actions.optional().describe("Wins over allow."),
  on_deny: mapping({
    message: text("a text").optional(),
    url: text("a text").optional(),
  }).optional(),
};

const plan = mapping({
  limits: list(limit(same, given), "a list of limits").optional(),
  breakers: list(breaker(same, given), "a list of breakers").optional(),
  loops: list(loop(same, given), "a list of loops").optional(),
  ...replaced,
});

const apiKey = mapping({
  id: matching(/^[A-Za-z0-9_.-]{1,64}$/, "1 to 64 of A-Z a-z 0-9 _ . -"),
  sha256: matching(/^[0-9a-f]{64}$/, "64 lower-case hexadecimal digits: the SHA-256 of the key"),
});

const tenant = mapping({
  plan: text("the name of a plan").optional(),
  uid: matching(TENANT, TENANT_ALLOWED)
    .optional()
    .describe("What usage is kept under; default: the name."),
  timezone: text("a time zone of the IANA database").optional(),
  suspended: flag.optional(),
  deleted: flag.optional(),
  keys: list(apiKey, "a list of keys").optional(),
  limits: list(limit(givenOrNull, givenOrNull), "a list of limits")
    .optional()
    .describe("Laid over the plan's limits of the same name, key by key; null removes a key."),
  breakers: list(breaker(givenOrNull, givenOrNull), "a list of breakers").optional(),
  loops: list(loop(givenOrNull, givenOrNull), "a list of loops").optional(),
  ...replaced,
});

const tokenPrices = {
  input: decimal.optional(),
  output: decimal.optional(),
  cache_read: decimal.optional(),
  cache_write: decimal.optional(),
  reasoning: decimal.optional(),
};

const price = mapping({
  model: names,
  ...tokenPrices,
  call: decimal.optional().describe("US dollars a call, alone or on top of tokens."),
  tiers: list(mapping({ above: units, ...tokenPrices }), "a list of tiers").optional(),
});

const unpriced = z.union(
  [
    z.enum(["deny", "allow"]),
    mapping({ charge: amount.optional(), input: decimal.optional(), output: decimal.optional() }),
  ],
  { error: "deny, allow, {charge: $0.50}, or {input: 2.50, output: 10.00}" },
);

/** The document. Values are Maps, lists and scalars, as yaml.ts composes them. */
export const POLICY_SCHEMA = mapping({
  apiVersion: z.literal(API_VERSION, { error: API_VERSION }),
  kind: z.literal(KIND, { error: KIND }),
  revision: whole.optional().describe("Grows with every change."),
  mode: mode.optional(),
  timezone: text("a time zone of the IANA database").optional().describe("IANA name; default UTC."),
  default_plan: text("the name of a plan")
    .optional()
    .describe("Plan of a tenant that is not listed."),
  dimensions: list(matching(NAME, NAME_ALLOWED), "a list of names")
    .optional()
    .describe("Levels beyond the fixed ones that limits may name."),
  unpriced: unpriced.optional(),
  estimate: mapping({
    output_tokens: amount.optional(),
    bytes_per_token: decimal.optional(),
  }).optional(),
  require_usage: list(kinds, "a list of kinds").optional().describe("Kinds that must state usage."),
  prices: list(price, "a list of prices")
    .optional()
    .describe("US dollars per million tokens; the first match wins."),
  limits: list(limit(same, given), "a list of limits")
    .optional()
    .describe("Of the platform, over all tenants."),
  breakers: list(breaker(same, given), "a list of breakers").optional(),
  plans: table(
    key(/^.{1,128}$/, "1 to 128 characters"),
    plan,
    "a mapping from names to plans",
  ).optional(),
  tenants: table(key(TENANT, TENANT_ALLOWED), tenant, "a mapping from names to tenants").optional(),
});

/** Parts of the document that have a name of their own in its JSON Schema, each after those it is made of. */
export const NAMED_PARTS: Readonly<Record<string, z.ZodType>> = {
  amount,
  units,
  duration,
  share,
  decimal,
  mode,
  period,
  match: match(given),
  matchOverride: match(givenOrNull),
  step,
  actions,
  limit: limit(same, given),
  breaker: breaker(same, given),
  loop: loop(same, given),
  limitOverride: limit(givenOrNull, givenOrNull),
  plan,
  tenant,
};
