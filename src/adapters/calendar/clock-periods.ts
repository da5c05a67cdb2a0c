/**
 * Periods that are read off a clock: hour, minute.
 *
 * A period lasts while the local clock shows the same hour (minute) under the same UTC offset, and a change
 * of the offset always ends one. So an hour in which the clocks go forward by half an hour has 30 minutes.
 * Where the clocks go back the same hour is shown twice: those are two periods, told apart by the offset in
 * their labels (`2026-10-25T02+02`, then `2026-10-25T02+01`).
 */
import { Temporal } from "temporal-polyfill";
import { HOUR, MINUTE, type DurationMs, type EpochMs } from "../../core/time.ts";
import type { Period } from "../../ports/calendar.ts";

export type ClockUnit = "hour" | "minute";

/** A span [from, to) in which a zone has one UTC offset; infinite where it never had, or has, another. */
export interface OffsetSpan {
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** local time − UTC. */
  readonly offset: DurationMs;
  /** The offset just before `from`, and from `to` on. */
  readonly offsetBefore: DurationMs;
  readonly offsetAfter: DurationMs;
}

const LENGTH = { hour: HOUR, minute: MINUTE } as const;

/** How much of an ISO time names the hour, the minute: "2026-11-21T14", "2026-11-21T14:05". */
const LABEL_LENGTH = { hour: 13, minute: 16 } as const;

/** The period of `unit` that holds `now`, which lies in `span`. */
export function clockPeriodAt(unit: ClockUnit, span: OffsetSpan, now: EpochMs): Period {
  const length = LENGTH[unit];
  const shown = Math.floor((now + span.offset) / length) * length;
  const label = new Date(shown).toISOString().slice(0, LABEL_LENGTH[unit]);
  const isShownTwice =
    shown - span.offsetBefore < span.from || shown + length - span.offsetAfter > span.to;
  return {
    label: isShownTwice ? label + offsetLabel(span.offset) : label,
    start: Math.max(shown - span.offset, span.from),
    end: Math.min(shown + length - span.offset, span.to),
  };
}

/** The span of `zone` that holds `now`. Costs a search through the zone's rules: keep it. */
export function offsetSpanAt(zone: string, now: EpochMs): OffsetSpan {
  const at = zoned(zone, now);
  // "previous" is strictly before, but a span holds the moment of its own change.
  const from = zoned(zone, now + 1).getTimeZoneTransition("previous")?.epochMilliseconds;
  const to = at.getTimeZoneTransition("next")?.epochMilliseconds;
  const offset = offsetOf(at);
  return {
    from: from ?? -Infinity,
    to: to ?? Infinity,
    offset,
    offsetBefore: from === undefined ? offset : offsetOf(zoned(zone, from - 1)),
    offsetAfter: to === undefined ? offset : offsetOf(zoned(zone, to)),
  };
}

const zoned = (zone: string, now: EpochMs): Temporal.ZonedDateTime =>
  Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(zone);

const offsetOf = (at: Temporal.ZonedDateTime): DurationMs => at.offsetNanoseconds / 1e6;

/** "+01", "-03:30", "+00". */
function offsetLabel(offset: DurationMs): string {
  const parts = new Date(Math.abs(offset)).toISOString().slice(11, 19).split(":");
  while (parts.length > 1 && parts.at(-1) === "00") parts.pop();
  return `${offset < 0 ? "-" : "+"}${parts.join(":")}`;
}
