/**
 * Periods that begin with a day: day, week, month, quarter, year.
 *
 * A period is what lies between the start of its first day and the start of the next period's first day, so
 * periods tile time by construction: an hour that the clocks skip or repeat only makes a day shorter or
 * longer, a day whose midnight is skipped starts with the first moment that it has, and a date that a zone
 * left out altogether has no period.
 */
import { Temporal } from "temporal-polyfill";
import type { CalendarUnit } from "../../core/policy/document.ts";
import type { EpochMs } from "../../core/time.ts";
import type { Period } from "../../ports/calendar.ts";

export type DateUnit = Exclude<CalendarUnit, "hour" | "minute">;

/** The first days of consecutive periods. */
interface Sequence {
  /** The last first day that is not after `date`. */
  floor(date: Temporal.PlainDate): Temporal.PlainDate;
  next(first: Temporal.PlainDate): Temporal.PlainDate;
  label(first: Temporal.PlainDate): string;
}

/** The period of `unit` that holds `now`. `anchor`: of months, quarters and years, a day on which they begin. */
export function datePeriodAt(
  unit: DateUnit,
  anchor: EpochMs | undefined,
  zone: string,
  now: EpochMs,
): Period {
  const sequence = sequenceOf(unit, anchor === undefined ? undefined : dateAt(anchor, zone));
  let first = sequence.floor(dateAt(now, zone));
  let end = startOf(sequence.next(first), zone);
  // Clocks that go back over midnight show yesterday's date once more; the next period has begun by then.
  while (now >= end) {
    first = sequence.next(first);
    end = startOf(sequence.next(first), zone);
  }
  return { label: sequence.label(first), start: startOf(first, zone), end };
}

/** The first moment of `date` in `zone`. */
export function startOf(date: Temporal.PlainDate, zone: string): EpochMs {
  return date.toZonedDateTime(zone).epochMilliseconds;
}

function dateAt(now: EpochMs, zone: string): Temporal.PlainDate {
  return Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(zone).toPlainDate();
}

function sequenceOf(unit: DateUnit, anchor: Temporal.PlainDate | undefined): Sequence {
  switch (unit) {
    case "day":
      return DAYS;
    case "week":
      return WEEKS;
    case "month":
      return months(1, anchor, (year, month) => `${year}-${pad(month)}`);
    case "quarter":
      return months(3, anchor, (year, month) => `${year}-Q${Math.ceil(month / 3)}`);
    case "year":
      return months(12, anchor, String);
  }
}

const DAYS: Sequence = {
  floor: (date) => date,
  next: (first) => first.add({ days: 1 }),
  label: String,
};

/** ISO weeks: from Monday, and of the year in which their Thursday lies. */
const WEEKS: Sequence = {
  floor: (date) => date.subtract({ days: date.dayOfWeek - 1 }),
  next: (first) => first.add({ weeks: 1 }),
  label: (first) => `${first.yearOfWeek}-W${pad(first.weekOfYear ?? 0)}`,
};

/**
 * Periods of 1, 3 or 12 months that begin on the anchor's day of the month, in shorter months on the last; an
 * anchor on 15 February gives quarters from the 15th of February, May, August and November. A period is
 * called after the calendar month, quarter or year in which it begins: no two begin in the same.
 */
function months(
  span: 1 | 3 | 12,
  anchor: Temporal.PlainDate | undefined,
  label: (year: number, month: number) => string,
): Sequence {
  const day = anchor?.day ?? 1;
  const phase = ((anchor?.month ?? 1) - 1) % span;
  const indexOf = (date: Temporal.PlainDate): number => date.year * 12 + date.month - 1;
  /** Months are counted from January of year 0; a day that the month lacks becomes its last. */
  const firstOf = (index: number): Temporal.PlainDate =>
    Temporal.PlainDate.from({ year: Math.floor(index / 12), month: (index % 12) + 1, day });
  return {
    floor(date) {
      const index = indexOf(date);
      const start = index - ((index - phase) % span);
      const first = firstOf(start);
      return Temporal.PlainDate.compare(date, first) < 0 ? firstOf(start - span) : first;
    },
    next: (first) => firstOf(indexOf(first) + span),
    label: (first) => label(first.year, first.month),
  };
}

const pad = (value: number): string => String(value).padStart(2, "0");
