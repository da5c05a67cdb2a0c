/**
 * The shape of a request: every bound of S33, and S2 and S5 as far as the message alone can show them. Each
 * function returns the first thing that is wrong, in the order of the fields, or `undefined`.
 *
 * What depends on the policy is not looked at here: known meters (S3), models that differ (S4), estimates.
 */
import { reject, type Rejection } from "../../core/rejection.ts";
import { DAY, SECOND } from "../../core/time.ts";
import { isUnits } from "../../core/units.ts";
import type { Duration } from "../../gen/google/protobuf/duration.ts";
import type * as wire from "../../gen/imprest/v1/quota.ts";
import { lengthMs } from "./length.ts";
import { isLonger, isMangled, isName, LEVEL, LOWER, quote, VALUE } from "./text.ts";

export type Flaw = Rejection | undefined;

const MOST_AMOUNTS = 64;
const MOST_DIMENSIONS = 16;
const MOST_TAGS = 16;
const MOST_LABELS = 16;
const MOST_NAME = 64;
const MOST_LEVEL = 128;
const MOST_TEXT = 256;
const MOST_FINGERPRINT = 128;
const MOST_RESERVATION_ID = 64;

const FIXED_LEVELS = ["tenant", "workspace", "app", "workflow", "agent", "toolset"] as const;
const FIXED = new Set<string>(FIXED_LEVELS);

const badName = (text: string, allowed: string, field: string): Rejection =>
  reject("BAD_NAME", `${field} is ${quote(text)}; allowed: ${allowed}`, field);

function badSize(size: number, most: number, what: string, field: string): Rejection {
  return reject("BAD_SIZE", `${field} has ${size} ${what}; allowed: at most ${most}`, field);
}

/** A text without an alphabet of its own: a length, and UTF-8. */
export function badText(text: string, most: number, field: string): Flaw {
  if (text === "") return undefined;
  if (isMangled(text)) return badName(text, "valid UTF-8", field);
  return isLonger(text, most) ? badSize(text.length, most, "characters", field) : undefined;
}

export const badKey = (key: string): Flaw => badText(key, MOST_TEXT, "idempotency_key");
export const badReason = (reason: string): Flaw => badText(reason, MOST_TEXT, "reason");
export const badPageToken = (token: string): Flaw => badText(token, MOST_TEXT, "page_token");

export function badReservationId(id: string): Flaw {
  return id === ""
    ? reject("MISSING_FIELD", "reservation_id is empty", "reservation_id")
    : badText(id, MOST_RESERVATION_ID, "reservation_id");
}

export function badSubject(subject: wire.Subject | undefined): Flaw {
  if (subject === undefined) return undefined;
  for (const level of FIXED_LEVELS) {
    const value = subject[level];
    if (value !== "" && !isName(value, LEVEL, MOST_LEVEL)) {
      return badName(value, "[A-Za-z0-9_.@-]{1,128}", `subject.${level}`);
    }
  }
  return subject.dimensions.size === 0 ? undefined : badDimensions(subject.dimensions);
}

function badDimensions(dimensions: ReadonlyMap<string, string>): Flaw {
  if (dimensions.size > MOST_DIMENSIONS) {
    return badSize(dimensions.size, MOST_DIMENSIONS, "entries", "subject.dimensions");
  }
  for (const [key, value] of dimensions) {
    if (key === "" || !isName(key, LOWER, MOST_NAME)) {
      return badName(key, "keys of [a-z0-9_.-]{1,64}", "subject.dimensions");
    }
    if (FIXED.has(key)) {
      const allowed = `a key that is no fixed level; say subject.${key}`;
      return badName(key, allowed, "subject.dimensions");
    }
    if (value === "" || !isName(value, VALUE, MOST_TEXT)) {
      return badName(value, "[A-Za-z0-9_.@:/+|,-]{1,256}", `subject.dimensions[${key}]`);
    }
  }
  return undefined;
}

export function badAction(action: wire.Action | undefined): Flaw {
  if (action === undefined) return undefined;
  if (!isName(action.kind, LOWER, MOST_NAME)) {
    return badName(action.kind, "[a-z0-9_.-]{0,64}", "action.kind");
  }
  if (!isName(action.name, VALUE, MOST_TEXT)) {
    return badName(action.name, "[A-Za-z0-9_.@:/+|,-]{0,256}", "action.name");
  }
  if (action.tags.length > MOST_TAGS) {
    return badSize(action.tags.length, MOST_TAGS, "tags", "action.tags");
  }
  for (const [i, tag] of action.tags.entries()) {
    if (!isName(tag, LOWER, MOST_NAME)) {
      return badName(tag, "[a-z0-9_.-]{0,64}", `action.tags[${i}]`);
    }
  }
  return badText(action.fingerprint, MOST_FINGERPRINT, "action.fingerprint");
}

export function badAmounts(amounts: readonly wire.Amount[], field: string): Flaw {
  if (amounts.length > MOST_AMOUNTS) {
    return badSize(amounts.length, MOST_AMOUNTS, "entries", field);
  }
  for (let i = 0; i < amounts.length; i += 1) {
    const flaw = badAmount(amounts, i, field);
    if (flaw !== undefined) return flaw;
  }
  return undefined;
}

function badAmount(amounts: readonly wire.Amount[], i: number, field: string): Flaw {
  const amount = amounts[i];
  if (amount === undefined) return undefined;
  const { meter, units } = amount;
  if (meter === "" || !isName(meter, LOWER, MOST_NAME)) {
    return badName(meter, "[a-z0-9_.-]{1,64}", `${field}[${i}].meter`);
  }
  // An int64 that is no safe integer becomes a number that is none either: the test is exact.
  if (!isUnits(Number(units))) {
    const path = `${field}[${i}].units`;
    return reject("BAD_AMOUNT", `${path} is ${units}; allowed: 0 to 2^53-1`, path);
  }
  for (let earlier = 0; earlier < i; earlier += 1) {
    if (amounts[earlier]?.meter === meter) {
      const path = `${field}[${i}].meter`;
      return reject("DUPLICATE_METER", `${path}: ${quote(meter)} is given twice`, path);
    }
  }
  return undefined;
}

const COUNTS = [
  ["inputTokens", "input_tokens"],
  ["outputTokens", "output_tokens"],
  ["cacheReadTokens", "cache_read_tokens"],
  ["cacheWriteTokens", "cache_write_tokens"],
  ["reasoningTokens", "reasoning_tokens"],
  ["inputBytes", "input_bytes"],
  ["outputBytes", "output_bytes"],
] as const;

export function badUsage(usage: wire.ModelUsage | undefined): Flaw {
  if (usage === undefined) return undefined;
  if (!isName(usage.model, VALUE, MOST_TEXT)) {
    return badName(usage.model, "[A-Za-z0-9_.@:/+|,-]{0,256}", "usage.model");
  }
  for (const [key, name] of COUNTS) {
    const count = usage[key];
    if (count === undefined || isUnits(Number(count))) continue;
    const path = `usage.${name}`;
    return reject("BAD_USAGE", `${path} is ${count}; allowed: 0 to 2^53-1`, path);
  }
  return badParts(usage);
}

/** S5. Where the whole is absent it is estimated or 0, which only the engine knows. */
function badParts(usage: wire.ModelUsage): Flaw {
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens } = usage;
  if (inputTokens !== undefined && cacheReadTokens + cacheWriteTokens > inputTokens) {
    const path = cacheReadTokens > inputTokens ? "cache_read_tokens" : "cache_write_tokens";
    const message = "cache_read_tokens and cache_write_tokens are parts of input_tokens";
    return reject("BAD_USAGE", `usage: ${message}, and above it`, `usage.${path}`);
  }
  if (outputTokens !== undefined && reasoningTokens > outputTokens) {
    const message = "usage: reasoning_tokens is a part of output_tokens, and above it";
    return reject("BAD_USAGE", message, "usage.reasoning_tokens");
  }
  return undefined;
}

export function badTtl(ttl: Duration | undefined): Flaw {
  if (ttl === undefined) return undefined;
  const ms = lengthMs(ttl);
  const fits = ms !== undefined && ms >= SECOND && ms <= DAY;
  return fits ? undefined : badLength(ttl, "1 s to 24 h", "ttl");
}

/** Of `by` and `latency`: any length from 0. */
export function badSpan(span: Duration | undefined, field: string): Flaw {
  if (span === undefined) return undefined;
  const ms = lengthMs(span);
  return ms !== undefined && ms >= 0 ? undefined : badLength(span, "0 or longer", field);
}

function badLength(length: Duration, allowed: string, field: string): Rejection {
  const found = `${length.seconds} s and ${length.nanos} ns`;
  return reject("BAD_TTL", `${field} is ${found}; allowed: ${allowed}`, field);
}

export function badLabels(labels: ReadonlyMap<string, string>): Flaw {
  if (labels.size === 0) return undefined;
  if (labels.size > MOST_LABELS) return badSize(labels.size, MOST_LABELS, "entries", "labels");
  for (const [key, value] of labels) {
    const flaw =
      badText(key, MOST_NAME, "labels") ?? badText(value, MOST_TEXT, `labels[${quote(key)}]`);
    if (flaw !== undefined) return flaw;
  }
  return undefined;
}

/** An enum number that the contract does not have. `count`: how many it has, from 0. */
export function badEnum(value: number, count: number, field: string): Flaw {
  if (value >= 0 && value < count) return undefined;
  return reject("BAD_ENUM", `${field} is ${value}; allowed: 0 to ${count - 1}`, field);
}
