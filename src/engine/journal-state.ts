/**
 * What the journal keeps of the engine's things, as JSON, and back.
 *
 * A process has a monotonic clock of its own, so moments are kept in wall time: whoever reads them takes what is
 * left of a deadline as the wall clock shows it. Of a limit is kept what settling needs: the policy of today is
 * met when the lease is next asked for, and where the limit is gone its holds are settled as they were made.
 */
import { freshView, type LedgerSpec } from "../core/lease/ledger.ts";
import type { Action, Subject } from "../core/operation.ts";
import type { CompiledLimit } from "../core/policy/compile.ts";
import type { LimitRule } from "../core/policy/document.ts";
import { createMatcher } from "../core/policy/match.ts";
import { scopeShape } from "../core/scope.ts";
import type { EpochMs } from "../core/time.ts";
import type { Units } from "../core/units.ts";
import type { Verdict } from "../core/verdict.ts";
import { createLease, type Lease } from "./lease.ts";
import type { Now } from "./now.ts";
import { GRACE, type Hold, type Memory, type Reservation, type Settled } from "./reservations.ts";
import { ALLOWED, sharedForm, type Line } from "./tally.ts";
import type { Placing, Place } from "./watch.ts";

const toWall = (mono: number, now: Now): EpochMs => now.wall + (mono - now.mono);
const toMono = (wall: EpochMs, now: Now): number => now.mono + (wall - now.wall);

/** What settling looks at, of a limit and of its rule. */
interface LimitState extends Pick<
  LimitRule,
  "name" | "meter" | "shape" | "overage" | "carryDebt" | "maxDebt" | "onExpiry" | "mode"
> {
  readonly platform: boolean;
  readonly label: string;
}

function packLimit({ rule, mode, platform, label }: CompiledLimit): LimitState {
  const { name, meter, shape, overage, carryDebt, maxDebt, onExpiry } = rule;
  const state = { name, meter, shape, overage, carryDebt, onExpiry, mode, platform, label };
  return maxDebt === undefined ? state : { ...state, maxDebt };
}

function unpackLimit({ platform, label, ...kept }: LimitState): CompiledLimit {
  const rule = { ...kept, match: [], per: [], at: [], onStoreLoss: { kind: "deny" } as const };
  const { name, meter, mode } = rule;
  return {
    name,
    meter,
    mode,
    platform,
    label,
    rule,
    key: `${name}/${meter}`,
    order: 0,
    matcher: createMatcher([], []),
    scope: scopeShape(rule, platform ? "platform" : "tenant"),
  };
}

interface LeaseState {
  /** Of version 0: the numbers of whatever policy a later process has are newer. */
  readonly spec: LedgerSpec;
  readonly place: Place;
  readonly limit: LimitState;
  readonly bucket: string;
  readonly owner: string;
  readonly usedAt: EpochMs;
}

export const packLease = (lease: Lease, placing: Placing, now: Now): LeaseState => ({
  spec: { ...lease.spec, version: 0 },
  place: placing.place,
  limit: packLimit(placing.limit),
  bucket: placing.bucket,
  owner: placing.owner,
  usedAt: toWall(lease.usedAt, now),
});

export function unpackLease(state: unknown, now: Now): { lease: Lease; placing: Placing } {
  const { spec, place, limit, bucket, owner, usedAt } = state as LeaseState;
  const lease = createLease(spec, freshView(spec, now.mono), toMono(usedAt, now));
  return { lease, placing: { place, limit: unpackLimit(limit), bucket, owner } };
}

interface HoldState {
  readonly ledger: string;
  readonly scope: string;
  readonly held: Units;
  readonly charged: Units;
}

interface ReservationState {
  readonly sequence: number;
  readonly uid: string;
  readonly subject: Omit<Subject, "dimensions">;
  readonly dimensions: readonly (readonly [string, string])[];
  readonly action: Action;
  readonly lines: Line[];
  readonly holds: readonly HoldState[];
  readonly createdAt: EpochMs;
  readonly ttlMs: number;
  readonly state: Reservation["state"];
  readonly expiresAt: EpochMs;
  readonly tenant: string;
  readonly keys?: string[];
}

export function packReservation(reservation: Reservation): ReservationState {
  const { sequence, uid, tenant, action, lines, createdAt, ttlMs, state, expiresAt } = reservation;
  const { dimensions, ...subject } = reservation.subject;
  const holds = reservation.holds.map(({ lease, scope, held, charged }) => ({
    ledger: lease.spec.key,
    scope,
    held,
    charged,
  }));
  const rest = { sequence, uid, tenant, action, lines, createdAt, ttlMs, state, expiresAt };
  const packed = { ...rest, subject, dimensions: [...dimensions], holds };
  return reservation.keys === undefined ? packed : { ...packed, keys: reservation.keys };
}

/** `leases`: by ledger. Breakers do not hear of its end any more: they begin anew with the process. */
export function unpackReservation(
  id: string,
  packed: unknown,
  leases: ReadonlyMap<string, ReturnType<typeof unpackLease>>,
  now: Now,
): Reservation {
  const { dimensions, holds, keys, ...state } = packed as ReservationState;
  const expiry = toMono(state.expiresAt, now);
  return {
    ...state,
    id,
    subject: { ...state.subject, dimensions: new Map(dimensions) },
    holds: holds.flatMap(({ ledger, ...held }): Hold[] => {
      const found = leases.get(ledger);
      if (!found) return [];
      const { lease, placing } = found;
      return [
        {
          ...held,
          bucket: placing.bucket,
          lease,
          limit: placing.limit,
          meter: placing.limit.meter,
        },
      ];
    }),
    circuits: [],
    createdMono: toMono(state.createdAt, now),
    generation: 0,
    deadline: state.state === "open" ? expiry : expiry + GRACE,
    slot: -1,
    keys,
  };
}

interface SettledState {
  readonly end: Settled["state"];
  readonly tenant: string;
  readonly statement: string;
  readonly meters: readonly string[];
  readonly units: string;
  readonly late?: true;
  readonly verdict?: Verdict;
}

interface MemoryState extends Partial<SettledState> {
  readonly until: EpochMs;
  readonly keys?: readonly string[];
}

export function packMemory(memory: Memory, now: Now): MemoryState {
  const until = toWall(memory.deadline, now);
  const keyed = memory.keys === undefined ? { until } : { until, keys: memory.keys };
  if (memory.state === "lone") return keyed;
  const { state: end, tenant, statement, units } = memory;
  const { meters, late, verdict } = memory.form;
  return {
    ...keyed,
    ...{ end, tenant, statement, meters, units },
    ...(late && { late }),
    ...(verdict !== ALLOWED && { verdict }),
  };
}

export function unpackMemory(id: string, packed: unknown, now: Now): Memory {
  const state = packed as MemoryState;
  const memory = { id, keys: state.keys, deadline: toMono(state.until, now), slot: -1 };
  if (state.end === undefined) return { ...memory, state: "lone" };
  const { end, tenant, statement, units, meters } = state as SettledState;
  const form = sharedForm({ meters, late: state.late ?? false, verdict: state.verdict ?? ALLOWED });
  return { ...memory, ...{ state: end, tenant, statement, form, units } };
}
