/** Where a moment lies in the calendar of a time zone. */
import type { PeriodRule } from "../core/policy/document.ts";
import type { EpochMs } from "../core/time.ts";

/** A span [start, end) with a label that names it among all periods of the same rule and zone. */
export interface Period {
  /** "2026-11", "2026-11-21", "2026-W47", "2026-Q4", "2026", "2026-11-21T14", "2026-11-21T14:05", "n7". */
  readonly label: string;
  readonly start: EpochMs;
  readonly end: EpochMs;
}

export interface Calendar {
  /** The period that holds `now`. `zone`: an IANA name known to {@link Calendar.knowsZone}. */
  periodAt(rule: PeriodRule, zone: string, now: EpochMs): Period;
  knowsZone(zone: string): boolean;
}
