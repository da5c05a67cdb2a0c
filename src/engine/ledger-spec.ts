/** Which ledger a bucket is in at a moment, and what that ledger looks like: limit, values of `per`, period. */
import type { LedgerSpec } from "../core/lease/ledger.ts";
import type { CompiledLimit } from "../core/policy/compile.ts";
import type { PeriodRule } from "../core/policy/document.ts";
import { PLATFORM_UID } from "../core/scope.ts";
import { MAX_UNITS } from "../core/units.ts";
import type { Calendar, Period } from "../ports/calendar.ts";
import type { Tenant } from "./tenants.ts";

/** Kinds of limit that keep an account; `request` maxima do not. */
export const keepsAccount = (limit: CompiledLimit): boolean => limit.rule.shape.kind !== "request";

const FOREVER: Period = { label: "-", start: 0, end: MAX_UNITS };
const ONCE: Period = { label: "once", start: 0, end: MAX_UNITS };
const NO_REFILL = { units: 0, everyMs: 1, burst: 0 };

export interface LedgerSpecs {
  /** The ledger of a bucket at `wall`. */
  at(tenant: Tenant, limit: CompiledLimit, bucket: string, wall: number): LedgerSpec;
  /** The start of the n-th period after the one that `spec` is of, and the next; undefined beyond all reason. */
  later(tenant: Tenant, limit: CompiledLimit, spec: LedgerSpec, n: number): number | undefined;
}

/** The farthest period that a promise looks ahead to. */
const PERIODS_AHEAD = 1_000;

export function createLedgerSpecs(calendar: Calendar): LedgerSpecs {
  return {
    at(tenant, limit, bucket, wall) {
      const rule = periodRule(limit);
      const uid = limit.platform ? PLATFORM_UID : tenant.policy.uid;
      const id = `${uid}\0${limit.key}\0${bucket}`;
      const period = rule ? calendar.periodAt(rule, zoneOf(tenant, limit), wall) : FOREVER;
      return specOf(limit, id, isOnce(limit) ? ONCE : period, tenant.revision);
    },
    later(tenant, limit, spec, n) {
      const rule = periodRule(limit);
      if (!rule || n > PERIODS_AHEAD) return undefined;
      let start = spec.end;
      for (let i = 0; i < n; i++) start = calendar.periodAt(rule, zoneOf(tenant, limit), start).end;
      return start;
    },
  };
}

const zoneOf = (tenant: Tenant, limit: CompiledLimit): string =>
  limit.platform ? tenant.platformZone : tenant.policy.zone;

const isOnce = ({ rule: { shape } }: CompiledLimit): boolean =>
  shape.kind === "budget" && shape.period.kind === "once";

/** Of a budget whose periods follow each other; undefined for all others. */
function periodRule(limit: CompiledLimit): PeriodRule | undefined {
  const { shape } = limit.rule;
  return shape.kind === "budget" && !isOnce(limit) ? shape.period : undefined;
}

function specOf(limit: CompiledLimit, id: string, period: Period, version: number): LedgerSpec {
  const { shape, carryDebt } = limit.rule;
  const common = {
    key: `${id}\0${period.label}`,
    version,
    overdraft: 0,
    refill: NO_REFILL,
    family: "",
    rollover: 0,
    carryDebt,
    start: period.start,
    end: period.end,
  };
  switch (shape.kind) {
    case "budget": {
      const { units: capacity, overdraft, rollover } = shape;
      const passesOn = !isOnce(limit) && (rollover > 0 || carryDebt);
      const family = passesOn ? id : "";
      const idle = shape.period.kind === "once" && { idleMs: shape.period.ttlMs };
      return { ...common, ...idle, kind: "budget", capacity, overdraft, rollover, family };
    }
    case "rate":
      return { ...common, kind: "rate", capacity: shape.burst, refill: shape };
    case "concurrency":
    case "request":
      return { ...common, kind: "slots", capacity: shape.max };
  }
}
