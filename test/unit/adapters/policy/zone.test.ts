import { expect, test } from "vitest";
import { createCalendar } from "../../../../src/adapters/calendar/calendar.ts";
import { knowsZone } from "../../../../src/adapters/policy/zone.ts";

test("every zone that a policy may name is one that the calendar knows, and the other way round", () => {
  const calendar = createCalendar();
  const names = [...Intl.supportedValuesOf("timeZone"), "UTC", "utc", "GMT", "US/Eastern", "EST"];
  const others = [
    "",
    "Mars",
    "+02:00",
    "-05:00",
    "Z",
    "Europe/",
    "Etc/GMT+5",
    "UTC+1",
    "__proto__",
  ];
  for (const zone of [...names, ...others]) {
    expect([zone, knowsZone(zone)]).toEqual([zone, calendar.knowsZone(zone)]);
  }
  expect(names.every(knowsZone)).toBe(true);
});
