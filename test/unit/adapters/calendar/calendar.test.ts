import { describe, expect, it } from "vitest";
import { createCalendar } from "../../../../src/adapters/calendar/calendar.ts";
import type { CalendarUnit, PeriodRule } from "../../../../src/core/policy/document.ts";
import { DAY, HOUR, MINUTE } from "../../../../src/core/time.ts";

const at = (iso: string): number => Date.parse(iso);

/** The period as text, in UTC: label, start, end. */
function periodOf(rule: PeriodRule, zone: string, iso: string): string[] {
  const { label, start, end } = createCalendar().periodAt(rule, zone, at(iso));
  return [label, utc(start), utc(end)];
}
const utc = (ms: number): string => new Date(ms).toISOString().replace(/(:00)?\.000Z$/, "Z");
const by = (unit: CalendarUnit, anchor?: string): PeriodRule =>
  anchor === undefined
    ? { kind: "calendar", unit }
    : { kind: "calendar", unit, anchor: at(anchor) };

describe("labels and bounds", () => {
  it.each<[CalendarUnit, string, string, string]>([
    ["minute", "2026-11-21T14:05", "2026-11-21T14:05Z", "2026-11-21T14:06Z"],
    ["hour", "2026-11-21T14", "2026-11-21T14:00Z", "2026-11-21T15:00Z"],
    ["day", "2026-11-21", "2026-11-21T00:00Z", "2026-11-22T00:00Z"],
    ["week", "2026-W47", "2026-11-16T00:00Z", "2026-11-23T00:00Z"],
    ["month", "2026-11", "2026-11-01T00:00Z", "2026-12-01T00:00Z"],
    ["quarter", "2026-Q4", "2026-10-01T00:00Z", "2027-01-01T00:00Z"],
    ["year", "2026", "2026-01-01T00:00Z", "2027-01-01T00:00Z"],
  ])("a %s of UTC is %s", (unit, ...expected) => {
    expect(periodOf(by(unit), "UTC", "2026-11-21T14:05:59.999Z")).toEqual(expected);
  });

  it.each<[string, string]>([
    ["2026-12-31T12:00Z", "2026-W53"],
    ["2027-01-03T12:00Z", "2026-W53"],
    ["2027-01-04T12:00Z", "2027-W01"],
    ["2024-12-30T12:00Z", "2025-W01"],
  ])("the week of %s is of the year of its Thursday: %s", (now, label) => {
    expect(periodOf(by("week"), "UTC", now)[0]).toBe(label);
  });

  it("a month is the tenant's own: the same moment lies in two", () => {
    expect(periodOf(by("month"), "America/New_York", "2026-12-01T04:59:59Z")[0]).toBe("2026-11");
    expect(periodOf(by("month"), "Pacific/Auckland", "2026-12-01T04:59:59Z")[0]).toBe("2026-12");
  });

  it("a month with a change of the clocks is as much longer or shorter", () => {
    expect(periodOf(by("month"), "America/New_York", "2026-11-21T00:00Z")).toEqual([
      "2026-11",
      "2026-11-01T04:00Z",
      "2026-12-01T05:00Z",
    ]);
  });

  it("a leap day is a day, and February ends after it", () => {
    expect(periodOf(by("day"), "Asia/Tokyo", "2028-02-29T03:00Z")[0]).toBe("2028-02-29");
    expect(periodOf(by("month"), "Asia/Tokyo", "2028-02-29T03:00Z")[2]).toBe("2028-02-29T15:00Z");
  });

  it("once is one period without an end", () => {
    const calendar = createCalendar();
    const period = calendar.periodAt({ kind: "once", ttlMs: HOUR }, "UTC", at("2026-11-21T00:00Z"));
    expect(period).toEqual({ label: "once", start: 0, end: Number.MAX_SAFE_INTEGER });
  });
});

describe("days and hours where the clocks change", () => {
  it.each<[string, string, string, number]>([
    ["23 hours", "Europe/Berlin", "2026-03-29T12:00Z", 23],
    ["25 hours", "Europe/Berlin", "2026-10-25T12:00Z", 25],
    ["23.5 hours", "Australia/Lord_Howe", "2026-10-04T03:00Z", 23.5],
    ["24.5 hours", "Australia/Lord_Howe", "2026-04-05T03:00Z", 24.5],
  ])("a day of %s in %s", (_, zone, now, hours) => {
    const { start, end } = createCalendar().periodAt(by("day"), zone, at(now));
    expect((end - start) / HOUR).toBe(hours);
  });

  it("a day whose midnight is skipped starts at 01:00", () => {
    expect(periodOf(by("day"), "Africa/Cairo", "2026-04-24T12:00Z")).toEqual([
      "2026-04-24",
      "2026-04-23T22:00Z",
      "2026-04-24T21:00Z",
    ]);
    expect(periodOf(by("hour"), "Africa/Cairo", "2026-04-23T22:00Z")[0]).toBe("2026-04-24T01");
  });

  it("a date that the zone left out has no period; its neighbours meet", () => {
    expect(periodOf(by("day"), "Pacific/Apia", "2011-12-30T09:59:59Z")).toEqual([
      "2011-12-29",
      "2011-12-29T10:00Z",
      "2011-12-30T10:00Z",
    ]);
    expect(periodOf(by("day"), "Pacific/Apia", "2011-12-30T10:00:00Z")[0]).toBe("2011-12-31");
  });

  it("clocks that go back over midnight do not bring the day before back", () => {
    // 00:01 became 23:01 of the day before: the new day had begun.
    expect(periodOf(by("day"), "America/St_Johns", "2010-11-07T03:00:00Z")[0]).toBe("2010-11-07");
    expect(periodOf(by("day"), "America/St_Johns", "2010-11-07T02:29:59Z")[0]).toBe("2010-11-06");
  });

  it("an hour that is shown twice is two periods, told apart by the offset", () => {
    expect(periodOf(by("hour"), "Europe/Berlin", "2026-10-25T00:59:59Z")).toEqual([
      "2026-10-25T02+02",
      "2026-10-25T00:00Z",
      "2026-10-25T01:00Z",
    ]);
    expect(periodOf(by("hour"), "Europe/Berlin", "2026-10-25T01:00Z")).toEqual([
      "2026-10-25T02+01",
      "2026-10-25T01:00Z",
      "2026-10-25T02:00Z",
    ]);
    expect(periodOf(by("hour"), "Europe/Berlin", "2026-10-25T02:00Z")[0]).toBe("2026-10-25T03");
    expect(periodOf(by("hour"), "Europe/Berlin", "2026-10-24T23:59Z")[0]).toBe("2026-10-25T01");
  });

  it("so is a minute, west of Greenwich too", () => {
    const minute = (iso: string): string | undefined =>
      periodOf(by("minute"), "America/St_Johns", iso)[0];
    expect(minute("2026-11-01T04:29:00Z")).toBe("2026-11-01T01:59-02:30");
    expect(minute("2026-11-01T05:29:00Z")).toBe("2026-11-01T01:59-03:30");
    expect(minute("2026-11-01T05:30:00Z")).toBe("2026-11-01T02:00");
  });

  it("clocks that go back by half an hour show half an hour twice", () => {
    const hour = (iso: string): string[] => periodOf(by("hour"), "Australia/Lord_Howe", iso);
    expect(hour("2026-04-04T14:59Z")).toEqual([
      "2026-04-05T01+11",
      "2026-04-04T14:00Z",
      "2026-04-04T15:00Z",
    ]);
    expect(hour("2026-04-04T15:00Z")).toEqual([
      "2026-04-05T01+10:30",
      "2026-04-04T15:00Z",
      "2026-04-04T15:30Z",
    ]);
    expect(hour("2026-10-03T15:30Z")).toEqual([
      "2026-10-04T02",
      "2026-10-03T15:30Z",
      "2026-10-03T16:00Z",
    ]);
  });

  it("hours of zones with offsets of 45 minutes begin with the local hour", () => {
    expect(periodOf(by("hour"), "Asia/Kathmandu", "2026-11-21T12:00Z")).toEqual([
      "2026-11-21T17",
      "2026-11-21T11:15Z",
      "2026-11-21T12:15Z",
    ]);
  });
});

describe("anchors", () => {
  const month31 = by("month", "2024-01-31T12:00Z");
  it.each<[string, string, string, string]>([
    ["2026-02-28T00:00Z", "2026-02", "2026-02-28T00:00Z", "2026-03-31T00:00Z"],
    ["2026-02-27T23:59Z", "2026-01", "2026-01-31T00:00Z", "2026-02-28T00:00Z"],
    ["2028-02-29T00:00Z", "2028-02", "2028-02-29T00:00Z", "2028-03-31T00:00Z"],
    ["2026-04-30T00:00Z", "2026-04", "2026-04-30T00:00Z", "2026-05-31T00:00Z"],
    ["2026-01-01T00:00Z", "2025-12", "2025-12-31T00:00Z", "2026-01-31T00:00Z"],
  ])("months from the 31st, at %s: from the last day in shorter months", (now, ...expected) => {
    expect(periodOf(month31, "UTC", now)).toEqual(expected);
  });

  it("the day is that of the anchor in the tenant's zone", () => {
    const rule = by("month", "2026-01-15T03:00Z");
    expect(periodOf(rule, "America/New_York", "2026-11-20T00:00Z")[1]).toBe("2026-11-14T05:00Z");
    expect(periodOf(rule, "Asia/Tokyo", "2026-11-20T00:00Z")[1]).toBe("2026-11-14T15:00Z");
  });

  it("quarters keep the anchor's phase, years its month; both are called after where they begin", () => {
    const quarter = by("quarter", "2025-02-15T00:00Z");
    expect(periodOf(quarter, "UTC", "2026-02-14T23:59Z")).toEqual([
      "2025-Q4",
      "2025-11-15T00:00Z",
      "2026-02-15T00:00Z",
    ]);
    expect(periodOf(quarter, "UTC", "2026-02-15T00:00Z")[0]).toBe("2026-Q1");
    const year = by("year", "2020-04-06T00:00Z");
    expect(periodOf(year, "Europe/London", "2026-04-05T22:59Z")[0]).toBe("2025");
    expect(periodOf(year, "Europe/London", "2026-04-05T23:00Z")).toEqual([
      "2026",
      "2026-04-05T23:00Z",
      "2027-04-05T23:00Z",
    ]);
  });

  it("a year from a leap day begins on 28 February in the others", () => {
    expect(periodOf(by("year", "2024-02-29T00:00Z"), "UTC", "2026-06-01T00:00Z")).toEqual([
      "2026",
      "2026-02-28T00:00Z",
      "2027-02-28T00:00Z",
    ]);
  });
});

describe("lengths", () => {
  const length = (lengthMs: number, anchor?: string): PeriodRule =>
    anchor === undefined
      ? { kind: "length", lengthMs }
      : { kind: "length", lengthMs, anchor: at(anchor) };

  it("are counted from the anchor, backwards too", () => {
    const rule = length(7 * MINUTE, "2026-11-21T12:00Z");
    expect(periodOf(rule, "UTC", "2026-11-21T12:00Z")[0]).toBe("n0");
    expect(periodOf(rule, "UTC", "2026-11-21T12:06:59Z")[0]).toBe("n0");
    expect(periodOf(rule, "UTC", "2026-11-21T12:07:00Z")[0]).toBe("n1");
    expect(periodOf(rule, "UTC", "2026-11-21T11:59:59Z")).toEqual([
      "n-1",
      "2026-11-21T11:53Z",
      "2026-11-21T12:00Z",
    ]);
  });

  it("without an anchor, from the start of 1970 in the zone", () => {
    expect(periodOf(length(DAY), "UTC", "1970-01-02T00:00Z")[0]).toBe("n1");
    expect(periodOf(length(DAY), "America/New_York", "1970-01-02T04:59Z")[0]).toBe("n0");
    expect(periodOf(length(DAY), "America/New_York", "1970-01-02T05:00Z")[0]).toBe("n1");
    expect(periodOf(length(DAY), "Africa/Monrovia", "1970-01-01T00:44:30Z")[0]).toBe("n0");
  });

  it("do not follow the clocks: a length of 24h is 24 hours", () => {
    const { start, end } = createCalendar().periodAt(
      length(DAY),
      "Europe/Berlin",
      at("2026-03-29T12:00Z"),
    );
    expect(end - start).toBe(DAY);
  });
});

describe("keeping periods", () => {
  it("answers with the very same period until it ends, and after a step back of the clock", () => {
    const calendar = createCalendar();
    const rule = by("day");
    const first = calendar.periodAt(rule, "UTC", at("2026-11-21T00:00Z"));
    expect(calendar.periodAt(rule, "UTC", at("2026-11-21T23:59:59.999Z"))).toBe(first);
    expect(calendar.periodAt(rule, "UTC", at("2026-11-22T00:00Z")).label).toBe("2026-11-22");
    expect(calendar.periodAt(rule, "UTC", at("2026-11-21T23:59Z"))).toEqual(first);
  });

  it("rules that say the same share one, rules that do not are told apart", () => {
    const calendar = createCalendar();
    const now = at("2026-11-21T00:00Z");
    const kept = calendar.periodAt(by("month"), "UTC", now);
    expect(calendar.periodAt(by("month"), "UTC", now)).toBe(kept);
    expect(calendar.periodAt(by("month"), "Asia/Tokyo", now)).not.toEqual(kept);
    expect(calendar.periodAt(by("month", "2026-01-15T00:00Z"), "UTC", now)).not.toEqual(kept);
    const day: PeriodRule = { kind: "length", lengthMs: DAY };
    const anchored: PeriodRule = { kind: "length", lengthMs: DAY, anchor: 1 };
    expect(calendar.periodAt(day, "UTC", now).start).toBe(now);
    expect(calendar.periodAt(anchored, "UTC", now).start).toBe(now - DAY + 1);
  });

  it("one rule object in two zones has a period in each", () => {
    const calendar = createCalendar();
    const rule = by("day");
    const now = at("2026-11-21T12:00Z");
    expect(calendar.periodAt(rule, "Asia/Tokyo", now).start).toBe(at("2026-11-20T15:00Z"));
    expect(calendar.periodAt(rule, "UTC", now).start).toBe(at("2026-11-21T00:00Z"));
  });
});

describe("zones", () => {
  it.each(["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "EST5EDT", "Etc/GMT+5"])(
    "%s is known",
    (zone) => expect(createCalendar().knowsZone(zone)).toBe(true),
  );
  it.each(["", "+02:00", "-0330", "Z", "UTC+1", "Mars/Olympus", "Europe/Berlin ", "__proto__"])(
    "%j is not",
    (zone) => {
      const calendar = createCalendar();
      expect(calendar.knowsZone(zone)).toBe(false);
      expect(calendar.knowsZone(zone)).toBe(false);
    },
  );
});
