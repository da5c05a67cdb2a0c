/** GetBalance and ListReservations: what is left, and what is open (S30). */
import type { Action, Subject } from "../core/operation.ts";
import type { LedgerSpec } from "../core/lease/ledger.ts";
import type { CompiledLimit } from "../core/policy/compile.ts";
import { bucketValues } from "../core/policy/match.ts";
import { isRejection, reject, type Rejection } from "../core/rejection.ts";
import { MAX_UNITS } from "../core/units.ts";
import type { Balance, ReservationView } from "../core/verdict.ts";
import type { ReservationFilter, ReservationPage } from "../ports/quota.ts";
import { keepsAccount } from "./ledger-spec.ts";
import type { Core } from "./core.ts";
import type { Turn } from "./turn.ts";
import { available, debt, free, isHeard, settled, type Lease } from "./lease.ts";
import type { Now } from "./now.ts";
import { hearsFirst, madeUpLease } from "./places.ts";
import { tenantOf } from "./prepare.ts";
import type { Reservation } from "./reservations.ts";
import type { Line } from "./tally.ts";
import type { Tenant } from "./tenants.ts";

/** Bounds an answer: buckets of one limit that differ by action or name alone. */
const LISTED_MAX = 1_000;

/** A bucket, and its lease where there is one. */
interface Place {
  readonly spec: LedgerSpec;
  readonly lease: Lease | undefined;
}
type Found = readonly [CompiledLimit, string, Place];

/** Every limit whose `match` and `per` hold for the subject; action, name and tag are not looked at. */
/** Undefined: it waits for the store, and is answered in another turn. `refresh`: asks it in any case. */
export function balances(
  core: Core,
  turn: Turn,
  { subject, refresh }: { readonly subject: Subject; readonly refresh: boolean },
): readonly Balance[] | Rejection | undefined {
  const tenant = tenantOf(core, turn.caller, subject.tenant);
  if (isRejection(tenant)) return tenant;
  const named = { ...subject, tenant: tenant.policy.name };
  const found: Found[] = [];
  for (const limit of tenant.policy.limits) {
    if (!keepsAccount(limit) || (limit.platform && !turn.caller.platform)) continue;
    if (!limit.matcher.appliesToSubject(named)) continue;
    for (const [scope, place] of placesOf(core, { tenant, subject: named, turn }, limit)) {
      if (found.length < LISTED_MAX) found.push([limit, scope, place]);
    }
  }
  const leases = found.flatMap(([, , { lease }]) => lease ?? []);
  const keys = found.flatMap(([, , { lease, spec }]) => (lease ? [] : spec.key));
  const since = refresh ? turn.now.mono : undefined;
  if (hearsFirst(core, turn, { leases, keys, since })) return undefined;
  core.funds.flush();
  return found.map(([limit, scope, { lease, spec }]) => {
    const shown = lease && isHeard(lease) ? lease : madeUpLease(core, spec, turn);
    return balanceOf(limit, scope, shown, turn.now);
  });
}

const NO_ACTION = { kind: "", name: "", tags: [], fingerprint: "" };

interface Asking {
  readonly tenant: Tenant;
  readonly subject: Subject;
  readonly turn: Turn;
}

function placesOf(
  core: Core,
  { tenant, subject, turn }: Asking,
  limit: CompiledLimit,
): (readonly [scope: string, place: Place])[] {
  const { matcher } = limit;
  const { now } = turn;
  if (matcher.perAction) {
    const found: [string, Place][] = [];
    for (const bucket of core.accounts.of(tenant, limit).keys()) {
      if (!matcher.ownsBucket(bucket, subject)) continue;
      const account = core.accounts.find(tenant, limit, bucket, now);
      const scope = limit.scope.text(tenant.policy.name, subject, actionOf(limit, bucket));
      if (account) found.push([scope, placeOf(account.lease)]);
    }
    return found;
  }
  const bucket = matcher.bucketOf(subject, NO_ACTION);
  const scope = limit.scope.text(tenant.policy.name, subject, NO_ACTION);
  const account = core.accounts.find(tenant, limit, bucket, now);
  if (account) return [[scope, placeOf(account.lease)]];
  return [[scope, { spec: core.accounts.spec(tenant, limit, bucket, now), lease: undefined }]];
}

const placeOf = (lease: Lease): Place => ({ spec: lease.spec, lease });

/** The action that a bucket is of, as far as its limit tells buckets apart by it. */
function actionOf(limit: CompiledLimit, bucket: string): Action {
  const values = bucketValues(bucket);
  const valueOf = (level: string): string => values[limit.rule.per.indexOf(level)] ?? "";
  return { ...NO_ACTION, kind: valueOf("action"), name: valueOf("name") };
}

/** S30 the other way round: limit − spent − remaining + what is available here. */
const leasedOf = (lease: Lease, spent: number, remaining: number): number =>
  Math.min(Math.max(0, lease.view.limit - spent - (remaining - free(lease))), MAX_UNITS);

function balanceOf(limit: CompiledLimit, scope: string, lease: Lease, now: Now): Balance {
  const { spec, view } = lease;
  const isRate = spec.kind === "rate";
  const spent =
    isRate || spec.kind === "slots" ? 0 : Math.min(settled(lease) + lease.lapsed, MAX_UNITS);
  const local = free(lease);
  /** Rates: of what is held, less what only expired and stays charged. */
  const pending = lease.pending - lease.lapsed;
  const remaining = available(lease, now.mono) - spec.overdraft;
  return {
    limit: limit.name,
    scope,
    meter: limit.meter,
    limitUnits: view.limit,
    spentUnits: spent,
    leasedUnits: isRate ? local + pending : leasedOf(lease, spent, remaining),
    remainingUnits: remaining,
    debtUnits: limit.mode === "enforce" ? debt(lease, now.mono) : 0,
    ...(spec.kind === "budget" && spec.end < MAX_UNITS && { resetsAt: spec.end }),
    localAvailableUnits: local,
    localReservedUnits: isRate ? pending : lease.reserved - lease.lapsed,
    quarantinedUnits: view.quarantined,
  };
}

/** Open reservations of the caller's tenant, oldest first. */
export function listReservations(
  core: Core,
  turn: Turn,
  filter: ReservationFilter,
): ReservationPage | Rejection {
  const tenant = tenantOf(core, turn.caller, filter.subject.tenant);
  if (isRejection(tenant)) return tenant;
  const after = filter.pageToken === "" ? 0 : Number(filter.pageToken);
  if (!Number.isSafeInteger(after) || after < 0) {
    return reject("BAD_NAME", "page_token is not one that this sidecar gave", "page_token");
  }
  const named = { ...filter.subject, tenant: tenant.policy.name };
  const reservations: ReservationView[] = [];
  let last = 0;
  for (const one of core.reservations.open()) {
    if (one.sequence <= after || !isOf(one.subject, named)) continue;
    if (reservations.length === filter.pageSize) return { reservations, nextPageToken: `${last}` };
    reservations.push(viewOf(one));
    last = one.sequence;
  }
  return { reservations, nextPageToken: "" };
}

/** Empty fields of `wanted` match all. */
function isOf(subject: Subject, wanted: Subject): boolean {
  const levels = ["tenant", "workspace", "app", "workflow", "agent", "toolset"] as const;
  if (levels.some((level) => wanted[level] !== "" && wanted[level] !== subject[level]))
    return false;
  for (const [key, value] of wanted.dimensions) {
    if (value !== "" && subject.dimensions.get(key) !== value) return false;
  }
  return true;
}

const viewOf = (reservation: Reservation): ReservationView => ({
  reservationId: reservation.id,
  subject: reservation.subject,
  action: reservation.action,
  reserved: listed(reservation)
    .filter(({ reserved }) => reserved > 0)
    .map(({ meter, reserved }) => ({ meter, units: reserved })),
  charged: listed(reservation)
    .filter(({ stated }) => stated)
    .map(({ meter, charged }) => ({ meter, units: charged })),
  createdAt: reservation.createdAt,
  expiresAt: reservation.expiresAt,
});

/** `requests` where a limit counts it (S1). */
const listed = ({ lines, holds }: Reservation): readonly Line[] =>
  holds.some(({ meter }) => meter === "requests")
    ? lines
    : lines.filter(({ meter }) => meter !== "requests");
