/**
 * Periods tile time in every zone there is: no gap, no overlap, no label twice. What they are called is held
 * against Intl, which shares no code with the calendar's own library.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { offsetSpanAt } from "../../src/adapters/calendar/clock-periods.ts";
import { createCalendar } from "../../src/adapters/calendar/calendar.ts";
import type { CalendarUnit, PeriodRule } from "../../src/core/policy/document.ts";
import { DAY, HOUR, MINUTE } from "../../src/core/time.ts";
import type { Period } from "../../src/ports/calendar.ts";

const ZONES = Intl.supportedValuesOf("timeZone");
const calendar = createCalendar();
const FROM = Date.parse("2024-01-01T00:00Z");
const TO = Date.parse("2031-01-01T00:00Z");

/** Zones with something odd: half hours, skipped midnights, changes at midnight, far offsets. */
const ODD_ZONES = [
  "Australia/Lord_Howe",
  "Africa/Cairo",
  "Africa/Casablanca",
  "America/Havana",
  "America/St_Johns",
  "Antarctica/Troll",
  "Asia/Beirut",
  "Asia/Gaza",
  "Asia/Kathmandu",
  "Atlantic/Azores",
  "Pacific/Chatham",
  "Pacific/Kiritimati",
];

/** Walks all periods that touch [from, to); the first may begin earlier, the last end later. */
function walk(rule: PeriodRule, zone: string, from: number, to: number): Period[] {
  const periods: Period[] = [];
  for (let now = from; now < to;) {
    const period = calendar.periodAt(rule, zone, now);
    periods.push(period);
    now = period.end;
  }
  return periods;
}

/** The first fault found, as text; undefined: they tile. Plain code: expect is slow at a million periods. */
function faultOf(periods: readonly Period[], from: number): string | undefined {
  const labels = new Set<string>();
  let end: number | undefined;
  for (const period of periods) {
    const text = `${period.label} [${period.start}, ${period.end})`;
    if (period.end <= period.start) return `${text} is empty`;
    if (end === undefined ? period.start > from : period.start !== end)
      return `${text} after ${end}`;
    if (labels.has(period.label)) return `${text}: label twice`;
    labels.add(period.label);
    end = period.end;
  }
  return undefined;
}

/** The moments at which the offset of `zone` changes. */
function changesOf(zone: string): number[] {
  const changes: number[] = [];
  for (let now = FROM; now < TO;) {
    now = offsetSpanAt(zone, now).to;
    if (now < TO) changes.push(now);
  }
  return changes;
}

const calendarRule = (unit: CalendarUnit, anchor?: number): PeriodRule =>
  anchor === undefined ? { kind: "calendar", unit } : { kind: "calendar", unit, anchor };

describe("periods tile time, 2024 to 2030", () => {
  it("months, quarters and years of every zone", () => {
    const faults: string[] = [];
    for (const zone of ZONES) {
      for (const unit of ["month", "quarter", "year"] as const) {
        const fault = faultOf(walk(calendarRule(unit), zone, FROM, TO), FROM);
        if (fault !== undefined) faults.push(`${zone} ${unit}: ${fault}`);
      }
    }
    expect(faults).toEqual([]);
  });

  it("days, hours and minutes around every change of the clocks of every zone", () => {
    const faults: string[] = [];
    let changes = 0;
    const around = { day: 2 * DAY, hour: 4 * HOUR, minute: 2 * MINUTE } as const;
    for (const zone of ZONES) {
      // Most zones change by the same rules each year: the first two years, and all of the odd zones.
      const until = ODD_ZONES.includes(zone) ? TO : FROM + 2 * 366 * DAY;
      for (const change of changesOf(zone).filter((each) => each < until)) {
        changes++;
        for (const unit of ["day", "hour", "minute"] as const) {
          const from = change - around[unit];
          const periods = walk(calendarRule(unit), zone, from, change + around[unit]);
          const fault = faultOf(periods, from);
          if (fault !== undefined) faults.push(`${zone} ${unit}: ${fault}`);
        }
      }
    }
    expect(faults).toEqual([]);
    expect(changes).toBeGreaterThan(500);
  });

  it("every day, week and hour of the odd zones", () => {
    const faults: string[] = [];
    for (const zone of ODD_ZONES) {
      for (const unit of ["day", "week", "hour"] as const) {
        const to = unit === "hour" ? FROM + 366 * DAY : TO;
        const fault = faultOf(walk(calendarRule(unit), zone, FROM, to), FROM);
        if (fault !== undefined) faults.push(`${zone} ${unit}: ${fault}`);
      }
    }
    expect(faults).toEqual([]);
  });

  it("months, quarters and years from any anchor, with labels in order", () => {
    const zone = fc.constantFrom(...ODD_ZONES, "UTC");
    const unit = fc.constantFrom("month" as const, "quarter" as const, "year" as const);
    const anchor = fc.integer({ min: Date.parse("1960-01-01"), max: TO });
    fc.assert(
      fc.property(zone, unit, anchor, (where, of, from) => {
        const periods = walk(calendarRule(of, from), where, FROM, TO);
        expect(faultOf(periods, FROM)).toBeUndefined();
        const labels = periods.map((period) => period.label);
        expect(labels).toEqual(labels.toSorted());
      }),
      { numRuns: 60 },
    );
  });

  it("lengths of any size from any anchor", () => {
    const length = fc.integer({ min: 1000, max: 3660 * DAY });
    const anchor = fc.option(fc.integer({ min: -TO, max: 2 * TO }), { nil: undefined });
    fc.assert(
      fc.property(length, anchor, fc.nat({ max: 2 * TO }), (lengthMs, from, now) => {
        const rule: PeriodRule =
          from === undefined
            ? { kind: "length", lengthMs }
            : { kind: "length", lengthMs, anchor: from };
        const period = calendar.periodAt(rule, "Asia/Tokyo", now);
        expect(period.end - period.start).toBe(lengthMs);
        expect(period.start).toBeLessThanOrEqual(now);
        expect(period.end).toBeGreaterThan(now);
        const n = Number(period.label.slice(1));
        expect(period.start).toBe((from ?? -9 * HOUR) + n * lengthMs);
        expect(calendar.periodAt(rule, "Asia/Tokyo", period.end).label).toBe(`n${n + 1}`);
      }),
    );
  });
});

describe("labels are what the local clock shows", () => {
  const shown = (zone: string): ((now: number) => Record<string, string>) => {
    const format = new Intl.DateTimeFormat("en-CA", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
    });
    return (now) =>
      Object.fromEntries(format.formatToParts(now).map(({ type, value }) => [type, value]));
  };

  it("at any moment of any zone, as Intl tells it", () => {
    fc.assert(
      fc.property(fc.constantFrom(...ZONES), fc.integer({ min: FROM, max: TO }), (zone, now) => {
        const { year, month, day, hour, minute } = shown(zone)(now);
        const date = `${year}-${month}-${day}`;
        const label = (unit: CalendarUnit): string =>
          calendar.periodAt(calendarRule(unit), zone, now).label;
        expect(label("year")).toBe(year);
        expect(label("quarter")).toBe(`${year}-Q${Math.ceil(Number(month) / 3)}`);
        expect(label("month")).toBe(`${year}-${month}`);
        expect(label("day")).toBe(date);
        expect(label("hour").slice(0, 13)).toBe(`${date}T${hour}`);
        expect(label("minute").slice(0, 16)).toBe(`${date}T${hour}:${minute}`);
      }),
      { numRuns: 400 },
    );
  });

  it("a day is all that shows its date, to the millisecond", () => {
    for (const zone of ODD_ZONES) {
      const show = shown(zone);
      const dateOf = (now: number): string => {
        const { year, month, day } = show(now);
        return `${year}-${month}-${day}`;
      };
      const periods = walk(calendarRule("day"), zone, FROM, FROM + 366 * DAY);
      for (const { label, start, end } of periods) {
        const shownThen = [dateOf(start - 1) === label, dateOf(start), dateOf(end - 1)];
        expect(shownThen).toEqual([false, label, label]);
      }
    }
  });

  it("only an hour that is shown twice carries its offset", () => {
    for (const zone of ODD_ZONES) {
      const hours = walk(calendarRule("hour"), zone, FROM, FROM + 366 * DAY);
      const times = new Map<string, number>();
      for (const { label } of hours) {
        const hour = label.slice(0, 13);
        times.set(hour, (times.get(hour) ?? 0) + 1);
      }
      for (const { label } of hours) {
        expect(label.length > 13, `${zone} ${label}`).toBe(
          (times.get(label.slice(0, 13)) ?? 0) > 1,
        );
      }
    }
  });
});
