/** A ledger of the store, for people and for programs. */
import type { LedgerListing } from "../core/lease/inspect.ts";
import { MAX_UNITS, type Units } from "../core/units.ts";
import { spellUnits, type Ink } from "./ink.ts";

export interface HolderEntry {
  /** Of the lease. */
  readonly id: string;
  readonly label: string;
  /** Silent for long: dead where something that it had is held back, else idle. */
  readonly state: "live" | "idle" | "dead";
  readonly out: Units;
  readonly spent: Units;
  readonly since: string;
  /** Of what lapses; absent: it never does. */
  readonly expires?: string;
}

export interface LedgerEntry {
  readonly limit: string;
  /** "" for concurrency. */
  readonly meter: string;
  /** Values of the levels that `per` names. */
  readonly per: readonly string[];
  readonly period: string;
  readonly kind: LedgerListing["kind"];
  readonly units: Units;
  readonly spent: Units;
  readonly leased: Units;
  readonly quarantined: Units;
  /** Below zero: more is spent or out than the limit has. */
  readonly available: number;
  readonly debt: Units;
  readonly holders: readonly HolderEntry[];
}

export function viewOf({ key, kind, view, holders }: LedgerListing): LedgerEntry {
  const [, name = "", ...rest] = key.split("\0");
  const slash = name.lastIndexOf("/");
  return {
    limit: name.slice(0, slash),
    meter: name.slice(slash + 1),
    per: rest.slice(0, -1).filter((value) => value !== ""),
    period: rest.at(-1) ?? "",
    kind,
    units: view.limit,
    spent: view.spent,
    leased: view.out,
    quarantined: view.quarantined,
    available: view.available,
    debt: view.debt,
    holders: holders.map(({ id, label, state, out, spent, expiresAt }) => ({
      id,
      label,
      state: state === "live" ? "live" : kind === "budget" && out > 0 ? "dead" : "idle",
      // Of rates and slots time has brought it back.
      out: state === "live" || kind === "budget" ? out : 0,
      spent,
      since: spellMoment(mintedAt(id)),
      ...(expiresAt === MAX_UNITS ? {} : { expires: spellMoment(expiresAt) }),
    })),
  };
}

/** A lease's id begins with when it was made. */
const mintedAt = (id: string): number => Number.parseInt(id.slice(0, 12), 16);

const spellMoment = (ms: number): string => new Date(ms).toISOString();

export function showLedgers(entries: readonly LedgerEntry[], ink: Ink): string {
  return entries.map((entry) => `${headOf(entry, ink)}${holdersOf(entry, ink)}`).join("");
}

function headOf(entry: LedgerEntry, ink: Ink): string {
  const of = (units: number): string => spellUnits(entry.meter, BigInt(units));
  const name = [entry.limit, entry.meter || "slots", ...entry.per, entry.period];
  const figures = [
    `${of(entry.available)} of ${of(entry.units)} left`,
    `${of(entry.spent)} spent`,
    `${of(entry.leased)} leased`,
    ...(entry.quarantined === 0 ? [] : [ink("yellow", `${of(entry.quarantined)} in quarantine`)]),
    ...(entry.debt === 0 ? [] : [ink("red", `${of(entry.debt)} owed`)]),
  ];
  return `${ink("bold", name.filter((part) => part !== "" && part !== "-").join(" "))}: ${figures.join(", ")}\n`;
}

function holdersOf({ meter, holders }: LedgerEntry, ink: Ink): string {
  const of = (units: number): string => spellUnits(meter, BigInt(units));
  return holders
    .map(({ id, label, state, out, spent, since, expires }) => {
      const ends = expires === undefined ? "" : `, lapses ${expires}`;
      const mark = state === "dead" ? ink("yellow", "dead") : state;
      return `  ${mark}  ${label}  ${of(out)} out, ${of(spent)} spent, since ${since}${ends}  ${ink("dim", id)}\n`;
    })
    .join("");
}
