/**
 * Operations that lack units here: whom a message is sent for, and who may go on.
 *
 *   WA1  First come, first served on each ledger: one that must wait is not overtaken there by one that came
 *        later, but for units that a waiter's own message brought.
 *   WA2  A waiter holds nothing. In direct mode it gives back what is free here in the same message that asks
 *        for the whole, so that no two sidecars wait for each other's rests. What comes free later, and is not all
 *        that it waits for, goes back in its time.
 *   WA3  All ledgers of one shard that a waiter lacks are asked for at once, all or nothing.
 *   WA4  A waiter that cannot go on blocks no other from asking.
 *   WA5  Nobody waits for units that nobody has.
 *   WA6  Who takes less waits for no more than is left: units that idle elsewhere are others'.
 */
import { BLOCKS_MAX } from "../../core/lease/well-formed.ts";
import type { Units } from "../../core/units.ts";
import { available, booked, elsewhere, free } from "../lease.ts";
import { send, type Part } from "./exchange.ts";
import { isHushed, isRefused, newsAt, noteRefusal } from "./scarcity.ts";
import {
  isLostFor,
  isShut,
  mayGive,
  noteTtl,
  storeTime,
  type HolderState,
  type Waiting,
} from "./state.ts";
import { ahead, giveBack, isBooked, isLasting, isTold, ripen, type Stock } from "./stock.ts";

/** Whether an operation may have these units here and now. */
export function fitsHere(
  state: HolderState,
  { stock, units, since }: Waiting["wants"][number],
  ttlMs: number,
): boolean {
  const { now } = state;
  ripen(stock, now.mono);
  if (since !== undefined && stock.heardFor < since) return false;
  if (!stock.heard || (units > 0 && spendable(state, stock) < units)) return false;
  if (units > 0 && isLasting(stock) && now.mono + ttlMs > stock.coveredUntil) return false;
  return storeTime(state) < stock.lease.spec.end;
}

/**
 * A debt takes what is here, whether the store has yet to hear of it or has told of it: what is lacking then may be
 * with others (S17, S23). What a rate lacks comes with time.
 */
function spendable({ now }: HolderState, { lease }: Stock): number {
  const units = free(lease) - (lease.beyond - lease.toldBeyond);
  return lease.view.rate ? units : Math.min(units, available(lease, now.mono));
}

/** Lets everybody go on who can, or who need not wait any longer. */
export function serve(state: HolderState): void {
  const queue = state.waiters;
  const rest: Waiting[] = [];
  const blocked = new Set<Stock>();
  state.waiters = [];
  for (const waiting of queue) {
    if (goesOn(state, waiting, blocked)) {
      for (const { stock } of waiting.wants) stock.waits--;
      waiting.resume(); // takes what it needs, or waits again as a newcomer
      continue;
    }
    for (const { stock, units } of waiting.wants) {
      if (units > 0 && spendable(state, stock) < units) blocked.add(stock); // (WA1)
    }
    waiting.isMine = false;
    rest.push(waiting);
  }
  state.waiters = [...rest, ...state.waiters];
}

function goesOn(state: HolderState, waiting: Waiting, blocked: ReadonlySet<Stock>): boolean {
  const { wants, ttlMs, ticket } = waiting;
  const mayPass = waiting.isMine || !wants.some(({ stock }) => blocked.has(stock));
  if (mayPass && wants.every((want) => fitsHere(state, want, ttlMs))) return true;
  if (waiting.isMine && wants.some((want) => isMoreThanLeft(state, want))) return true;
  const isOver =
    state.now.mono >= ticket.until ||
    ticket.isGone() ||
    wants.some(({ stock }) => isShut(state, stock)) ||
    state.isDraining ||
    (waiting.isMine && wants.some((want) => isHopeless(state, want)));
  if (isOver) tellRefusal(state, waiting);
  if (!isOver && !isKnown(state, waiting)) return false;
  ticket.isOver = true;
  return true;
}

/**
 * Right after an answer: whether the units cannot come in time, even if every other holder gave back all it has
 * (WA5). What they hold for reservations is taken for idle here: it is never less than what could come.
 */
export function isHopeless(
  { now }: HolderState,
  { stock, units }: Waiting["wants"][number],
): boolean {
  const { lease } = stock;
  if (units === 0 || !stock.heard || stock.learningUntil > now.mono || stock.inFlight) return false;
  if (!isTold(stock)) return false;
  return units > available(lease, now.mono) + elsewhere(lease);
}

/** By what the store has just said (WA6). */
const isMoreThanLeft = (
  { now }: HolderState,
  { stock, units, takesLess = false }: Waiting["wants"][number],
): boolean => takesLess && stock.heard && units > available(stock.lease, now.mono);

/** Somebody has just been refused as much: only a hint, or time, can have changed that. */
export const isShort = (
  { now }: HolderState,
  { stock, units }: Waiting["wants"][number],
): boolean =>
  stock.shortUntil > now.mono &&
  isTold(stock) &&
  units >= stock.shortFrom &&
  units > available(stock.lease, now.mono);

/** Of a dry limit it is known that asking brings nothing. */
const isKnown = ({ now }: HolderState, { asked, wants }: Waiting): boolean =>
  asked === 0 &&
  wants.some(({ stock }) => stock.dry) &&
  wants.some(({ stock, units }) => units > 0 && isRefused(stock, units, now.mono));

function tellRefusal(state: HolderState, { wants }: Waiting): void {
  if (state.isDraining) return;
  for (const { stock, units } of wants) {
    if (units === 0 || isLostFor(state, stock)) continue;
    if (free(stock.lease) >= units || stock.shown >= units) continue;
    noteRefusal(state, stock, units);
  }
}

/** Sends for those who lack something that nobody is asking for yet. */
export function askForWaiters(state: HolderState): void {
  const taken = new Set<Stock>();
  for (const waiting of state.waiters) {
    if (waiting.asked > 0 || state.now.mono < waiting.retryAt) continue;
    const short = waiting.wants.filter((want) => lacks(state, waiting, want));
    if (short.length === 0) continue;
    const mustWait = short.some(
      ({ stock, units }) =>
        stock.inFlight ||
        taken.has(stock) ||
        (units > 0 && isHushed(stock, units, stock.hushUntil, state.now.mono)),
    );
    if (mustWait) continue; // (WA4)
    for (const { stock, units } of short) {
      waiting.retryAt = Math.max(waiting.retryAt, newsAt(stock, units, state.now.mono));
    }
    if (waiting.retryAt > state.now.mono) continue;
    for (const { stock } of short) taken.add(stock);
    for (const parts of byShard(short.map((want) => partFor(state, waiting, want)))) {
      send(state, parts, waiting); // (WA3)
    }
  }
}

/** So many units are there for those who wait here. */
export function wakeWaiters({ waiters, now }: HolderState, stock: Stock, units: Units): void {
  if (stock.inFlight) stock.inFlight.isWoken = true; // its answer may be older than this news
  for (const waiting of waiters) {
    const isServed = waiting.wants.some((want) => want.stock === stock && want.units <= units);
    if (isServed) waiting.retryAt = now.mono;
  }
}

function lacks(state: HolderState, { ttlMs }: Waiting, want: Waiting["wants"][number]): boolean {
  const { stock, units } = want;
  if (!stock.heard) return true;
  if (units > 0 && stock.horizon === 0) return true;
  if (free(stock.lease) < units && isBooked(stock, units)) return false; // it only has to accrue
  if (units > 0) noteTtl(state, stock, ttlMs);
  return !fitsHere(state, want, ttlMs);
}

function partFor(
  state: HolderState,
  waiting: Waiting,
  { stock, units }: Waiting["wants"][number],
): Part {
  const { mono } = state.now;
  const { lease } = stock;
  const isDirect = stock.horizon === 0 && lease.spec.kind !== "rate";
  if (isDirect && mayGive(state, stock)) giveBack(stock, 0); // (WA2, UK7)
  const all = units + wantedBeside(state, waiting, stock);
  return {
    stock,
    asking: {
      more: Math.max(all, booked(lease) + units, ahead(stock, stock.horizon, mono)),
      need: Math.max(0, units - free(lease)),
      close: 0,
    },
  };
}

/** What others wait for on a ledger, and could use: who lacks something else besides would only hold it (WA2). */
function wantedBeside(state: HolderState, asking: Waiting, stock: Stock): Units {
  let units = 0;
  for (const waiting of state.waiters) {
    if (waiting === asking) continue;
    const { wants, ttlMs } = waiting;
    const here = wants.find((want) => want.stock === stock);
    if (here && wants.every((want) => want === here || fitsHere(state, want, ttlMs))) {
      units += here.units;
    }
  }
  return units;
}

/** Parts that can go in one message, which names no ledger twice: one may be settled under an old name besides. */
export function byShard(parts: readonly Part[]): Part[][] {
  const messages: Part[][] = [];
  const open = new Map<string, Part[]>();
  for (const part of parts) {
    const { uid, retiring } = part.stock;
    const name = retiring ? `\0${uid}` : uid; // what is another process's may be refused whole
    let message = open.get(name);
    const isNamed = message?.some(
      ({ stock }) => stock.lease.spec.key === part.stock.lease.spec.key,
    );
    if (!message || message.length === BLOCKS_MAX || isNamed) {
      message = [];
      open.set(name, message);
      messages.push(message);
    }
    message.push(part);
  }
  return messages;
}
