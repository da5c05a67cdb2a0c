/**
 * The calendar of a policy: which period of a rule a moment lies in, in a tenant's time zone.
 *
 * A period is worked out once and then kept until it ends, so that in the steady state the answer is two
 * look-ups and a comparison. It is kept twice: by the identity of its rule, which is what a decision finds,
 * and by what the rule says, because at the end of a month ten thousand tenants whose rules say the same
 * should not each have it worked out (about 20 µs).
 */
import { Temporal } from "temporal-polyfill";
import type { PeriodRule } from "../../core/policy/document.ts";
import type { EpochMs } from "../../core/time.ts";
import type { Calendar, Period } from "../../ports/calendar.ts";
import { clockPeriodAt, offsetSpanAt, type OffsetSpan } from "./clock-periods.ts";
import { datePeriodAt, startOf } from "./date-periods.ts";

const ONCE: Period = { label: "once", start: 0, end: Number.MAX_SAFE_INTEGER };

/** Periods shared by what their rules say: zones × rules of a document. Past it they are worked out again. */
const SHARED_MAX = 4096;

export function createCalendar(): Calendar {
  const byRule = new WeakMap<PeriodRule, Map<string, Period>>();
  const shared = new Map<string, Period>();
  const spans = new Map<string, OffsetSpan>();
  const epochs = new Map<string, EpochMs>();
  const zones = new Set<string>();

  function offsetSpan(zone: string, now: EpochMs): OffsetSpan {
    let span = spans.get(zone);
    if (span === undefined || now < span.from || now >= span.to) {
      span = offsetSpanAt(zone, now);
      spans.set(zone, span);
    }
    return span;
  }

  /** The start of 1970 in `zone`: what lengths are counted from where a rule has no anchor. */
  function epochOf(zone: string): EpochMs {
    let epoch = epochs.get(zone);
    if (epoch === undefined) {
      epoch = startOf(Temporal.PlainDate.from("1970-01-01"), zone);
      epochs.set(zone, epoch);
    }
    return epoch;
  }

  function workOut(rule: LastingRule, zone: string, now: EpochMs): Period {
    if (rule.kind === "length") {
      return lengthPeriodAt(rule.lengthMs, rule.anchor ?? epochOf(zone), now);
    }
    if (rule.unit === "hour" || rule.unit === "minute") {
      return clockPeriodAt(rule.unit, offsetSpan(zone, now), now);
    }
    return datePeriodAt(rule.unit, rule.anchor, zone, now);
  }

  function find(rule: LastingRule, zone: string, now: EpochMs): Period {
    const says = rule.kind === "length" ? rule.lengthMs : rule.unit;
    const key = `${zone} ${says} ${rule.anchor ?? ""}`;
    const known = shared.get(key);
    if (known !== undefined && holds(known, now)) return known;
    if (shared.size >= SHARED_MAX) shared.clear();
    const period = workOut(rule, zone, now);
    shared.set(key, period);
    return period;
  }

  return {
    periodAt(rule, zone, now) {
      if (rule.kind === "once") return ONCE;
      let byZone = byRule.get(rule);
      if (byZone === undefined) byRule.set(rule, (byZone = new Map<string, Period>()));
      const known = byZone.get(zone);
      if (known !== undefined && holds(known, now)) return known;
      const period = find(rule, zone, now);
      byZone.set(zone, period);
      return period;
    },
    knowsZone(zone) {
      if (zones.has(zone)) return true;
      if (!isZone(zone)) return false;
      zones.add(zone);
      return true;
    },
  };
}

type LastingRule = Exclude<PeriodRule, { kind: "once" }>;

const holds = (period: Period, now: EpochMs): boolean => period.start <= now && now < period.end;

/** Exact: a quotient of whole numbers below 2^53 by at least 1,000 is never rounded up to a whole one. */
function lengthPeriodAt(lengthMs: number, anchor: EpochMs, now: EpochMs): Period {
  const n = Math.floor((now - anchor) / lengthMs);
  const start = anchor + n * lengthMs;
  return { label: `n${n}`, start, end: start + lengthMs };
}

/** A name of the IANA database; offsets ("+02:00"), which the runtime takes as zones as well, are none. */
function isZone(zone: string): boolean {
  if (!/^[A-Za-z]/.test(zone)) return false;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }) instanceof Intl.DateTimeFormat;
  } catch {
    return false;
  }
}
