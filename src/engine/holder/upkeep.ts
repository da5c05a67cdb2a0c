/**
 * What a ledger needs when nobody waits for it: more before it runs out, less when it idles, its totals told
 * now and then.
 *
 *   UK1  More is asked when less is here than the next round trips may need, so that no decision waits.
 *   UK2  What the horizon does not need goes back; all of it when the ledger idles or its period is over.
 *   UK3  What has changed is told within the horizon; what is out is renewed three times in its time to live.
 *   UK4  A stock that nobody needs is closed when nothing is held, and forgotten when the store has said so.
 *   UK5  A recall takes what idles here, all but what the next moment is expected to need. That goes too if it is
 *        still there a moment later, and so does what comes free until the store speaks of plenty again.
 *   UK6  Each shard of which something is known here hears from us while it would still be learning: one that lost
 *        its data without any other sign answers with another fence, and is told everything.
 *   UK7  While the store is away nothing is told, and nothing is given back before it has answered again: what comes
 *        may be another data set, and that must hear of what was out, or it would hold what was given back meanwhile.
 *        What is left of a lease that ended by time is dropped all the same (ST3), and who drains does not wait.
 */
import { booked, free, outHere } from "../lease.ts";
import type { Part } from "./exchange.ts";
import { about, mayGive, storeTime, type HolderState } from "./state.ts";
import {
  ahead,
  giveAllBack,
  giveBack,
  HORIZON,
  isIdle,
  isLasting,
  isTold,
  isTimed,
  JUST_SETTLE,
  nextAccrual,
  ripen,
  type Stock,
} from "./stock.ts";
import { demandAt } from "./demand.ts";

/** Lead of an ask before the lease runs out, ms; three round trips where that is more. */
const LEAD = 20;
/** Free units of a ledger in direct mode go back after about this long; a rest that is not worth it later. */
const COALESCE = 50;
const KEEP_REST = 1_000;
/** What a recall has left here goes too after so long, if it is still there. */
const KEPT = 100;
/** A rate that is short learns of refunds so soon, ms. */
const REFUND = 100;
/** An ask that was not answered with what was hoped for is not repeated before, ms. */
const ASK_AGAIN = 20;

/** Less than this stays for the next decision here, though the limit is dry. */
export const isRest = ({ lease }: Stock): boolean => free(lease) < lease.spec.capacity / 32_000;

const isAway = ({ isUp, isDraining }: HolderState): boolean => !isUp && !isDraining;

/** What to tell the store about this ledger now; undefined: nothing. */
export function tend(state: HolderState, stock: Stock): Part | undefined {
  const { mono } = state.now;
  ripen(stock, mono);
  if (stock.inFlight || isAway(state)) return undefined; // (UK7)
  sow(state, stock);
  const settle: Part = { stock, asking: JUST_SETTLE };
  if (stock.retiring) return retiring(stock, mono);
  if (stock.closing && stock.lease.reserved === 0 && stock.lease.pending === 0) {
    return closing(state, stock);
  }
  if (state.isDraining && free(stock.lease) > 0) {
    giveAllBack(stock); // the rest is held for reservations that a journal keeps (S27)
    return settle;
  }
  if (stock.giveAt > 0 && mono >= stock.giveAt && mayGive(state, stock)) {
    const keep = stock.giveKeep;
    stock.giveAt = keep > 0 ? mono + KEPT : 0; // (UK5)
    stock.giveKeep = 0;
    if (free(stock.lease) - keep >= 1) {
      giveBack(stock, keep);
      return settle;
    }
  }
  if (returnsNow(state, stock)) {
    giveBack(stock, 0);
    return settle;
  }
  if (stock.waits > 0 && !stock.forced && !stock.dry) return undefined;
  if (stock.forced && mono >= stock.settleAt) return settle;
  const part = stock.waits > 0 ? undefined : planned(state, stock);
  return part ?? (mono >= touchAt(state, stock) ? settle : undefined);
}

const planned = (state: HolderState, stock: Stock): Part | undefined =>
  refilling(state, stock) ??
  (state.now.mono >= stock.settleAt ? settling(state, stock) : undefined);

/** How long before a period begins a lease of it is got, ms. */
const SEED = 1_500;
const seedAhead = ({ lease: { spec } }: Stock): number =>
  Math.min(SEED, (spec.end - spec.start) / 3);

/** Gets a lease of the next period before it begins, so that its first decision does not wait. */
function sow(state: HolderState, stock: Stock): void {
  const { lease } = stock;
  if (stock.hasSeeded || !lease.next || isIdle(stock, state.now.mono)) return;
  if (lease.spec.end - storeTime(state) > seedAhead(stock)) return;
  stock.hasSeeded = true;
  state.seed(stock);
}

/** Told for the last time; where another one has taken over what was held, when the store knows of that (HS5). */
function retiring(stock: Stock, mono: number): Part | undefined {
  if (mono < stock.settleAt) return undefined;
  const { heir, lease } = stock;
  const isThere = heir?.lease.stock === heir; // one that was closed meanwhile has told all that it took over
  if (heir && isThere && !heir.heard) {
    stock.settleAt = mono + ASK_AGAIN;
    return undefined;
  }
  if (heir) giveAllBack(stock);
  return { stock, asking: { ...JUST_SETTLE, close: lease.spec.kind === "budget" ? 2 : 1 } };
}

function closing(state: HolderState, stock: Stock): Part | undefined {
  if (state.now.mono < stock.settleAt) return undefined;
  if (free(stock.lease) > 0 && !mayGive(state, stock)) return { stock, asking: JUST_SETTLE }; // (UK7)
  giveAllBack(stock);
  return { stock, asking: { ...JUST_SETTLE, close: 1 } };
}

/** In direct mode nothing is kept that nobody waits for. */
function returnsNow(state: HolderState, stock: Stock): boolean {
  const { mono } = state.now;
  const isDirect = stock.horizon === 0 && stock.lease.spec.kind !== "rate";
  if (!mayGive(state, stock)) return false;
  if (!isDirect || free(stock.lease) <= 0 || stock.learningUntil > mono) {
    stock.returnAt = 0;
    return false;
  }
  if (stock.returnAt === 0) {
    const isKept = stock.dry && isRest(stock);
    stock.returnAt = isKept ? mono + about(state, KEEP_REST, 0.5) : nextReturn(state, stock);
    return false;
  }
  if (mono < stock.returnAt) return false;
  stock.returnAt = 0;
  return true;
}

/** Ledgers of one shard return together: an operation that needs several finds them all there, or none. */
function nextReturn(state: HolderState, { uid }: Stock): number {
  const { mono } = state.now;
  const at = mono + about(state, COALESCE, 0.5);
  const shard = state.shards.get(uid);
  if (!shard) return at;
  if (shard.returnAt <= mono) shard.returnAt = at;
  return shard.returnAt;
}

const isOver = (state: HolderState, { lease }: Stock): boolean =>
  storeTime(state) >= lease.spec.end;

/** More before it runs out (UK1). */
function refilling(state: HolderState, stock: Stock): Part | undefined {
  const { mono } = state.now;
  const mayAsk =
    stock.horizon > 0 &&
    !isIdle(stock, mono) &&
    !isOver(state, stock) &&
    stock.quietUntil <= mono &&
    stock.learningUntil <= mono &&
    mono >= stock.askedAt + ASK_AGAIN &&
    !stock.closing;
  if (!mayAsk) return undefined;
  const lead = Math.min(Math.max(LEAD, 3 * state.store.roundTripMs()), stock.horizon);
  const low = ahead(stock, lead, mono);
  if (free(stock.lease) + booked(stock.lease) >= low) return undefined;
  stock.askedAt = mono;
  return { stock, asking: { more: ahead(stock, stock.horizon, mono), need: 0, close: 0 } };
}

/** Less when it idles; its totals when they have changed, or its lease is to be renewed (UK2, UK3). */
function settling(state: HolderState, stock: Stock): Part | undefined {
  const { mono } = state.now;
  const { lease } = stock;
  const idle = isIdle(stock, mono) || isOver(state, stock);
  const goal = idle ? 0 : ahead(stock, stock.horizon, mono);
  if (free(lease) > 1.5 * goal) {
    if (!mayGive(state, stock)) return { stock, asking: JUST_SETTLE }; // (UK7)
    giveBack(stock, goal);
  }
  const isRenewed = outHere(stock.lease) > 0 && mono - stock.sentAt > state.terms.ttlMs / 3;
  if (stock.isSeed && idle) {
    stock.closing = true;
    return closing(state, stock);
  }
  if (lease.dirty || isRenewed) return { stock, asking: JUST_SETTLE };
  stock.settleAt = mono + about(state, settleEvery(state, stock), 0.2);
  return undefined;
}

/** How often a ledger on which nothing happens is looked at. */
const settleEvery = ({ terms }: HolderState, stock: Stock): number =>
  outHere(stock.lease) > 0 ? Math.min(HORIZON, terms.ttlMs / 3) : 60_000;

/** When its shard must hear from us: the first of its ledgers sees to that for all (UK6). */
function touchAt({ shards, terms }: HolderState, stock: Stock): number {
  const shard = shards.get(stock.uid);
  if (!shard || shard.fence === 0) return Infinity;
  const [first] = shard.stocks;
  return first === stock ? shard.toldAt + terms.learnMs / 4 : Infinity;
}

/** When upkeep must look at it again, if nothing happens before. */
export function nextLook(state: HolderState, stock: Stock): number {
  if (stock.inFlight || isAway(state)) return Infinity;
  const { mono } = state.now;
  const { lease } = stock;
  let next = Math.min(Math.max(stock.settleAt, mono + 1), touchAt(state, stock));
  if (stock.giveAt > 0) next = Math.min(next, stock.giveAt);
  if (stock.returnAt > 0) next = Math.min(next, stock.returnAt);
  if (isTimed(stock) && free(lease) > 0) next = Math.min(next, stock.expiresAt);
  if (stock.waits > 0) next = Math.min(next, nextAccrual(stock, mono));
  const left = lease.spec.end - storeTime(state);
  if (left > 0 && free(lease) > 0) next = Math.min(next, mono + left);
  if (lease.next && !stock.hasSeeded) next = Math.min(next, mono + left - seedAhead(stock));
  return Math.max(next, mono + 1);
}

/** Something was used or settled here: when the store should hear of it at the latest. */
export function hasten(state: HolderState, stock: Stock): void {
  const { lease } = stock;
  const { mono } = state.now;
  if (!lease.dirty || stock.askedAt > mono) return; // not before what the store refused may be sent again
  let within = stock.sentAt + about(state, HORIZON, 0.2);
  // Others must hear of a debt, and of numbers that are newer than theirs.
  if (lease.overage > lease.toldOverage || !isTold(stock)) within = mono;
  const isShortRate = lease.spec.kind === "rate" && stock.horizon < HORIZON;
  if (isShortRate && lease.refunded > lease.toldRefunded) within = stock.sentAt + REFUND;
  if (isUncovered(stock, mono)) within = mono;
  stock.settleAt = Math.min(stock.settleAt, Math.max(within, mono));
}

/** A reservation was extended past what the store knows of (ST4). */
function isUncovered(stock: Stock, mono: number): boolean {
  if (!isLasting(stock) || mono + stock.longestTtl <= stock.coveredUntil) return false;
  for (const { deadline } of stock.lease.takers) if (deadline > stock.coveredUntil) return true;
  return false;
}

/** A recall: units are wanted elsewhere. Level 2 leaves nothing but what is being asked for here. */
export function giveWay(state: HolderState, stock: Stock, level: 1 | 2): void {
  const { mono } = state.now;
  if (stock.lease.spec.kind !== "rate") stock.horizon = 0; // (UK5)
  if (stock.dry && isRest(stock)) return;
  stock.giveAt = mono + 5 * state.rng.next();
  stock.giveKeep = level === 2 ? 0 : Math.floor(demandAt(stock.demand, mono) * COALESCE);
}
