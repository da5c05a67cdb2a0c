/**
 * What a decision asks of the holder: whether it has the units, and if not whether waiting could help, or why it
 * cannot.
 */
import { isOpened, type Sight } from "../../core/lease/ledger.ts";
import type { DurationMs } from "../../core/time.ts";
import type { Units } from "../../core/units.ts";
import { isFault, type Claim, type Lack, type Outcome } from "../funds.ts";
import type { Ticket, Turn, Wait } from "../turn.ts";
import { heardAt } from "../lease.ts";
import { arrive } from "./demand.ts";
import { isRefused } from "./scarcity.ts";
import { isLostFor, isShut, noteTtl, patience, type HolderState, type Waiting } from "./state.ts";
import { uidOf, type Stock } from "./stock.ts";
import { fitsHere, isHopeless, isShort } from "./waiters.ts";

/** How soon another try makes sense while the store is lost or slow, ms. */
const AGAIN = 100;

/** A first look counts what is asked, whether or not it is here. */
export function ask(
  state: HolderState,
  standings: readonly Claim[],
  { turn, ttlMs }: { readonly turn: Turn; readonly ttlMs: DurationMs },
): Outcome {
  const { mono } = state.now;
  let fits = true;
  let queues = false;
  let isVain = false;
  for (const { lease, limit, need } of standings) {
    if (!lease) continue;
    const stock = state.stockOf(lease);
    const units = limit.mode === "enforce" ? need : 0;
    if (!turn.ticket && need > 0) arrive(stock.demand, need, mono);
    noteTtl(state, stock, ttlMs);
    if (stock.waits > 0 && units > 0 && !turn.ticket) queues = true;
    if (fitsHere(state, { stock, units }, ttlMs)) continue;
    fits = false;
    const want = { stock, units };
    isVain ||= units > 0 && isRefused(stock, units, mono);
    isVain ||= isShort(state, want) && isHopeless(state, want);
    state.touched.add(stock);
  }
  if (fits && !queues) return "granted";
  const isOver = turn.ticket?.isOver || isVain;
  const isAway = ({ lease }: Claim): boolean => !!lease && isShut(state, state.stockOf(lease));
  if (isOver || standings.some(isAway)) return fits ? "granted" : "short";
  return "wait";
}

/** An operation waits for units. */
export function enqueue(
  state: HolderState,
  needs: Extract<Wait, { wants: unknown }>,
  ticket: Ticket,
  resume: () => void,
): void {
  const { mono } = state.now;
  const wants = needs.wants.map(({ lease, ...want }) => ({ stock: state.stockOf(lease), ...want }));
  let retryAt = mono;
  for (const want of wants) {
    want.stock.waits++;
    if (isShort(state, want)) retryAt = Math.max(retryAt, want.stock.shortUntil);
  }
  ticket.until = Math.min(ticket.until, mono + patience(state));
  const { ttlMs } = needs;
  state.waiters.push({ wants, ttlMs, ticket, resume, retryAt, asked: 0, isMine: false });
}

/** Reads what is not held here; what cannot be read is answered without. */
export function look(
  state: HolderState,
  keys: readonly string[],
  ticket: Ticket,
  resume: () => void,
): void {
  ticket.hasRead = true;
  const byUid = Map.groupBy(keys, uidOf);
  let open = byUid.size;
  for (const [uid, some] of byUid) {
    state.store.read(uid, some, (views) =>
      state.later(() => {
        if (!isFault(views)) noteViews(ticket, some, views, state.now.mono);
        open--;
        if (open === 0) resume();
      }),
    );
  }
}

/** Whether waiting could bring so many units. */
export function couldCover(state: HolderState, want: Waiting["wants"][number]): boolean {
  if (isShut(state, want.stock) || isRefused(want.stock, want.units, state.now.mono)) return false;
  return !isShort(state, want) || !isHopeless(state, want);
}

/** Why units are not here, after {@link ask} said that they are short. */
export function whyNot(state: HolderState, stock: Stock, units: Units): Lack {
  const { mono } = state.now;
  const learning = Math.max(0, stock.learningUntil - mono);
  if (isLostFor(state, stock))
    return { lack: "lost", waitMs: Math.max(AGAIN, Math.min(learning, 1_000)) };
  if (learning > 0) return { lack: "pending", waitMs: learning };
  if (!stock.heard) return { lack: "pending", waitMs: AGAIN };
  const isKnown =
    isRefused(stock, units, mono) ||
    isShort(state, { stock, units }) ||
    mono - stock.heardAt < 2 * patience(state) + AGAIN;
  return isKnown ? { lack: "used", waitMs: 0 } : { lack: "pending", waitMs: AGAIN };
}

/** When somebody who waits has to be looked at (mono); Infinity: nobody. */
export function nextOfWaiters({ waiters, resends, now }: HolderState): number {
  let next = resends.next();
  for (const { ticket, retryAt, asked, wants } of waiters) {
    next = Math.min(next, ticket.until);
    if (asked === 0 && retryAt > now.mono) next = Math.min(next, retryAt);
    if (wants.some(({ stock }) => stock.slices.length > 0)) next = Math.min(next, now.mono + 5);
  }
  return next;
}

function noteViews(
  { views: known }: Ticket,
  keys: readonly string[],
  views: readonly Sight[],
  mono: number,
): void {
  for (const [i, view] of views.entries()) {
    const key = keys[i];
    if (key !== undefined) known.set(key, isOpened(view) ? heardAt(view, mono) : view);
  }
}
