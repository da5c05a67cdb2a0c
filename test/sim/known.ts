/**
 * One reservation as its caller knows it: whose it is, what it holds where, and until when.
 *
 * A hold is over when the clock of its host says so; where two clocks could be meant (the machine was paused, or its
 * wall clock stepped) the earlier one counts, and nothing expires on a host that does not run. What a process has
 * settled and written down is over, too, though it ended before it answered: its agent has said that it is done.
 */
import { unitsOf, type Amount, type Operation } from "../../src/core/operation.ts";
import type { CommitAnswer } from "../../src/core/verdict.ts";
import { hold, letGo, type Account, type Moment } from "./account.ts";

/** Whose reservation it is: what a journal makes the same through restarts. */
export interface Owner {
  readonly name: string;
  /** Its process. */
  readonly host: string;
  /** Its clock runs: what is due has expired. */
  runs(): boolean;
  /** Hardware time, ms. */
  time(): number;
  /** By how much its reservations may be over early: pauses and steps so far. */
  shifted(): number;
}

export interface Part {
  readonly account: Account;
  readonly meter: string;
  held: number;
  charged: number;
  /** A slot that its agent has left: it ends with time, whatever becomes of the process. */
  isLeft: boolean;
  /** What it held when it was taken to have expired. */
  dropped: number;
}

export interface Known {
  readonly id: string;
  readonly owner: Owner;
  readonly tenant: string;
  readonly ttlMs: number;
  readonly parts: Part[];
  state: "open" | "expired" | "settled" | "lost";
  /** Host time. */
  deadline: number;
  shiftedThen: number;
  /** The answer to its end, to be repeated. */
  ending: string;
  /** Its process has settled it, and ended before it said so. */
  isCutOff: boolean;
}

/**
 * How much earlier a hold may end than the clock says. Turns look at whole ms, and so does the wall time of its end,
 * which a partial commit moves by what the other clock shows; a restarted process takes that for its own clock's.
 */
export const ROUNDING_MS = 3;

export function isDue({ owner, deadline, shiftedThen }: Known): boolean {
  if (!owner.runs()) return false;
  return owner.time() + owner.shifted() - shiftedThen + ROUNDING_MS >= deadline;
}

export const isOpenAt = (whose: Owner, { owner, state, isCutOff }: Known): boolean =>
  owner === whose && state === "open" && !isCutOff;

export function leave(part: Part, units: number, at: Moment): void {
  if (part.isLeft) return;
  letGo(part.account, units, at);
  part.held -= units;
  part.isLeft = part.account.kind === "slots";
}

export function drop({ parts, owner }: Known, now: number): void {
  for (const part of parts) {
    part.dropped = part.held;
    leave(part, part.held, { now, place: owner.host });
  }
}

export function leaveSlots({ parts, owner }: Known, now: number): void {
  const at = { now, place: owner.host };
  for (const part of parts) if (part.account.kind === "slots") leave(part, 0, at);
}

/** It was taken to have expired a moment too early: its process has prolonged it. */
export function takeUp({ parts, owner }: Known, now: number): void {
  for (const part of parts) {
    hold(part.account, part.dropped, { now, place: owner.host });
    part.held = part.dropped;
    part.isLeft = false;
  }
}

/** Its process settled it as `told`, and ended before it said so: what that does not use is free (S12, S20). */
export function leaveUnused(known: Known, told: Operation, now: number): void {
  if (told.op !== "release" && (told.op !== "commit" || told.partial)) return;
  known.isCutOff = true;
  if (known.state !== "open") return; // its units are free since it expired
  for (const part of known.parts) {
    const { meter, held, charged } = part;
    const used = told.op === "commit" ? (unitsOf(told.amounts, meter) ?? charged + held) : 0;
    const unused = Math.max(0, held - Math.max(0, used - charged));
    leave(part, unused, { now, place: known.owner.host });
  }
}

/** The answer to its end, as it must be whenever it is asked for. */
export const endingOf = (ended: CommitAnswer): string =>
  JSON.stringify([ended.charged, ended.overage, ended.uncharged, ended.late]);

/** What these totals charge beyond what was charged before. */
export const addedBy = (known: Known, charged: readonly Amount[]): readonly Amount[] =>
  charged.map(({ meter, units }) => {
    const before = known.parts.find((part) => part.meter === meter)?.charged ?? 0;
    return { meter, units: Math.max(0, units - before) };
  });
