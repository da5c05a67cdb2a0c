/**
 * What a limit means. The shape has been checked before (see node.ts); here amounts become units, times
 * milliseconds, defaults are filled in, and what cannot stand together is refused. A problem is reported,
 * never thrown, and a stand-in value goes on, so that one pass finds them all.
 */
import { SECOND, HOUR } from "../time.ts";
import { isUnits, type Units } from "../units.ts";
import type {
  CalendarUnit,
  LimitRule,
  LimitShape,
  Mode,
  PeriodRule,
  StoreLossRule,
} from "./document.ts";
import { readMatch, readPer, type Levels } from "./level.ts";
import { at, flagAt, isMap, isPresent, refuse, show, textAt, type Spot } from "./node.ts";
import {
  INSTANT_ALLOWED,
  MONEY_METER,
  parseDuration,
  parseInstant,
  parseShare,
  shareOf,
} from "./notation.ts";
import { readAmount, readDuration, requireAmount, requireDuration } from "./scalar.ts";
import { allowedWords } from "./suggestion.ts";
import { readSteps } from "./validate-step.ts";

export interface RuleContext {
  readonly levels: Levels;
  /** Of the platform: `per` may name the tenant. */
  readonly platform: boolean;
}

const SHAPES = ["rate", "budget", "concurrency", "request"] as const;
export const CALENDAR_UNITS = [
  "minute",
  "hour",
  "day",
  "week",
  "month",
  "quarter",
  "year",
] as const;
/** How long a bucket of `period: once` lives without use, where `ttl` is not given. */
const DEFAULT_TTL_MS = 24 * HOUR;
const BLOCKING: LimitShape = { kind: "request", max: 0 };

export const readMode = (spot: Spot): Mode => (textAt(spot) || "enforce") as Mode;
export const readPerOf = (spot: Spot, { levels, platform }: RuleContext): string[] =>
  readPer(spot, platform ? levels.platformPer : levels.per);

/** A limit of a plan, of the platform, or of a tenant once it has been laid over its plan's. */
export function readLimit(spot: Spot, context: RuleContext): LimitRule {
  const shape = readShape(spot);
  const meter = readMeter(at(spot, "meter"), shape);
  const isMoney = meter === MONEY_METER;
  const maxDebt = readAmount(at(spot, "max_debt"), isMoney);
  return {
    name: textAt(at(spot, "name")),
    meter: shape.kind === "concurrency" ? "" : meter,
    match: readMatch(at(spot, "match"), context.levels),
    per: readPerOf(at(spot, "per"), context),
    shape,
    overage: readOverage(spot, shape),
    carryDebt: flagAt(at(spot, "carry_debt")),
    ...(maxDebt === undefined ? {} : { maxDebt }),
    mode: readMode(at(spot, "mode")),
    at: readSteps(at(spot, "at"), shape),
    onExpiry: textAt(at(spot, "on_expiry")) === "charge" ? "charge" : "release",
    onStoreLoss: readStoreLoss(at(spot, "on_store_loss"), shape, isMoney),
  };
}

function readMeter(spot: Spot, shape: LimitShape): string {
  if (shape.kind !== "concurrency")
    isPresent(spot, "the meter that is counted, as requests, tokens, usd_micros");
  return textAt(spot);
}

function readShape(spot: Spot): LimitShape {
  // Money is allowed where the meter is not known, too: its absence is reported by itself.
  const meter = at(spot, "meter").node;
  const isMoney = typeof meter !== "string" || meter === MONEY_METER;
  const given = SHAPES.filter((shape) => at(spot, shape).node !== undefined);
  if (given.length !== 1 && isMap(spot.node)) {
    const found = given.length === 0 ? "none of them" : given.join(" and ");
    refuse(spot, `exactly one of ${SHAPES.join(", ")}`, found);
  }
  const shapes = given.map((kind) => readShapeOf(kind, at(spot, kind), isMoney));
  return shapes[0] ?? BLOCKING;
}

function readShapeOf(kind: (typeof SHAPES)[number], spot: Spot, isMoney: boolean): LimitShape {
  switch (kind) {
    case "rate": {
      const units = requireAmount(at(spot, "units"), isMoney);
      const everyMs = requireDuration(at(spot, "every"));
      return { kind, units, everyMs, burst: readAmount(at(spot, "burst"), isMoney) ?? units };
    }
    case "budget":
      return readBudget(spot, isMoney);
    case "concurrency":
      return { kind, max: requireAmount(at(spot, "max"), false) };
    case "request":
      return { kind, max: requireAmount(at(spot, "max"), isMoney) };
  }
}

function readBudget(spot: Spot, isMoney: boolean): LimitShape {
  const units = requireAmount(at(spot, "units"), isMoney);
  const period = readPeriod(spot);
  const rollover = readRollover(at(spot, "rollover"), units, isMoney);
  const overdraft = readAmount(at(spot, "overdraft"), isMoney) ?? 0;
  if (period.kind === "once" && rollover > 0)
    refuse(at(spot, "rollover"), "nothing (what is once has no next period)");
  if (!isUnits(units + rollover + overdraft)) {
    refuse(
      spot,
      "at most 2^53−1 for units, rollover and overdraft together",
      `${units + rollover + overdraft} together`,
    );
  }
  return { kind: "budget", units, period, rollover, overdraft };
}

function readRollover(spot: Spot, units: Units, isMoney: boolean): Units {
  const ppm = parseShare(textAt(spot));
  if (ppm === undefined) return readAmount(spot, isMoney) ?? 0;
  const rollover = shareOf(units, ppm);
  if (isUnits(rollover)) return rollover;
  refuse(spot, "a share that is at most 2^53−1 units");
  return 0;
}

const PERIOD_WORDS = [...CALENDAR_UNITS, "once"];
const PERIOD_ALLOWED = "or a length from 1s to 3660d, as 5h";
const isCalendarUnit = (word: string): word is CalendarUnit =>
  (CALENDAR_UNITS as readonly string[]).includes(word);
const ANCHORED_UNITS: readonly string[] = ["month", "quarter", "year"];

function readPeriod(budget: Spot): PeriodRule {
  const spot = at(budget, "period");
  const word = textAt(spot);
  const lengthMs = parseDuration(word);
  const isLength = lengthMs !== undefined && lengthMs >= SECOND;
  const known = isLength || PERIOD_WORDS.includes(word);
  if (
    isPresent(spot, `${PERIOD_WORDS.join(", ")}, ${PERIOD_ALLOWED}`) &&
    typeof spot.node === "string" &&
    !known
  ) {
    refuse(spot, `${allowedWords(word, PERIOD_WORDS)}, ${PERIOD_ALLOWED}`);
  }
  const anchor = readAnchor(
    at(budget, "anchor"),
    !known || isLength || ANCHORED_UNITS.includes(word),
  );
  const ttl = at(budget, "ttl");
  const ttlMs = readDuration(ttl, SECOND) ?? DEFAULT_TTL_MS;
  if (known && word !== "once" && ttl.node !== undefined)
    refuse(ttl, "nothing (ttl is for period: once alone)");
  if (word === "once") return { kind: "once", ttlMs };
  if (isLength) return { kind: "length", lengthMs, ...anchor };
  return { kind: "calendar", unit: isCalendarUnit(word) ? word : "day", ...anchor };
}

function readAnchor(spot: Spot, isAllowed: boolean): { anchor?: number } {
  if (spot.node !== undefined && !isAllowed) {
    refuse(spot, "nothing (an anchor is for lengths, month, quarter and year)");
    return {};
  }
  if (typeof spot.node !== "string") return {};
  const anchor = parseInstant(spot.node);
  if (anchor !== undefined) return { anchor };
  refuse(spot, INSTANT_ALLOWED);
  return {};
}

function readOverage(spot: Spot, shape: LimitShape): LimitRule["overage"] {
  const overage = (textAt(at(spot, "overage")) || "debt") as LimitRule["overage"];
  if (overage === "debt") return overage;
  if (shape.kind === "rate") refuse(at(spot, "overage"), "debt (a rate knows no other)");
  for (const key of ["carry_debt", "max_debt"]) {
    const field = at(spot, key);
    if (field.node !== undefined && field.node !== false)
      refuse(field, `nothing (${key} is for overage: debt alone)`);
  }
  return overage;
}

function readStoreLoss(spot: Spot, shape: LimitShape, isMoney: boolean): StoreLossRule {
  const word = isMap(spot.node) ? [...spot.node.keys()].join(" and ") : textAt(spot);
  if (isMap(spot.node) && spot.node.size !== 1) {
    refuse(spot, "exactly one of share, allow", spot.node.size === 0 ? undefined : word);
  }
  if ((word === "share" || spot.node === "share") && shape.kind !== "rate") {
    refuse(spot, "deny, allow (share is for rates alone)", show("share"));
  }
  if (word === "") return shape.kind === "rate" ? { kind: "share" } : { kind: "deny" };
  if (word !== "share" && word !== "allow") return { kind: "deny" };
  const ceiling = at(spot, word);
  const maxUnits = readAmount(at(ceiling, "max_units"), isMoney);
  const forMs = readDuration(at(ceiling, "for"));
  return {
    kind: word,
    ...(maxUnits === undefined ? {} : { maxUnits }),
    ...(forMs === undefined ? {} : { forMs }),
  };
}
