/**
 * Whether answers are given without the store, why, and what the log says of it.
 *
 * A store cannot be reached; then it is back, and nobody knows yet with which data; then perhaps it has lost some, and
 * grants nothing until it has heard what its holders know. To whoever needs units all that is one loss.
 *
 *   LS1  Answers, the metric, the probe and the log speak of one state, which changes in turns alone: when a turn
 *        ends, the last line of the log says what the others say.
 *   LS2  A loss is one line when it begins, with its cause, and one when units are to be had again, however many
 *        ledgers and shards hear of it. One more says that a store that learns cannot be reached either.
 *   LS3  A store that comes and goes fills no log: a loss so soon after one that was told is told when it has
 *        lasted until then.
 *   LS4  Each tenant's data is lost, and learnt, by itself: nobody is refused, or let through, because another's is.
 *        Only the log, the gauges and `degraded` speak of all.
 */
import type { DurationMs } from "../../core/time.ts";
import { BIRTH_MS } from "../../core/lease/message.ts";
import { isLost, type HolderState, type Shard } from "./state.ts";
import type { Stock } from "./stock.ts";

/**
 * A store that is back is asked at once what it still knows. One that does not answer that for so long, though it
 * answers other things, is found to be lost again before.
 */
const RETURN_MS: DurationMs = 10_000;
/** Losses of which one was told are not told again before (LS3). */
const TOLD_AGAIN_MS: DurationMs = 5_000;

/** Until the first shard has heard that a holder is in a new history, and then has learnt (UK6). */
const longest = ({ terms }: HolderState): DurationMs => terms.learnMs * 1.25;

/** It can be reached again. What it has lost meanwhile its first answers say: each shard is asked for one now. */
export function comeBack(state: HolderState): void {
  const isKnown = ({ fence, stocks }: Shard): boolean => fence > 0 && stocks.size > 0;
  if (!Array.from(state.shards.values()).some(isKnown)) return;
  state.returningUntil = state.now.mono + RETURN_MS;
  for (const shard of state.shards.values()) shard.toldAt = -Infinity;
}

/**
 * What an answer says of it, in a history of its shard. Each tenant has one, and only those that are lost grant
 * nothing. A rate never learns: what it grants says nothing of a store that was born a moment ago.
 */
export function hearLoss(state: HolderState, { uid, learningUntil }: Stock, fence: number): void {
  const { mono } = state.now;
  const shard = state.shards.get(uid);
  state.returningUntil = -Infinity;
  if (learningUntil <= mono) {
    state.hasGranted = true;
    if (shard && fence >= shard.fence) learnt(state, shard);
  } else if (shard && (state.hasGranted || learningUntil - mono > BIRTH_MS)) {
    shard.recoveringUntil = Math.max(shard.recoveringUntil, learningUntil);
    state.recoveringUntil = Math.max(state.recoveringUntil, learningUntil);
  }
}

/** It may grant sooner than it said: all that it knew of are back. */
function learnt(state: HolderState, shard: Shard): void {
  const { mono } = state.now;
  if (shard.recoveringUntil <= mono) return;
  for (const { learningUntil } of shard.stocks) if (learningUntil > mono) return;
  const wasLast = shard.recoveringUntil === state.recoveringUntil;
  shard.recoveringUntil = -Infinity;
  if (!wasLast) return;
  let last = -Infinity;
  for (const { recoveringUntil } of state.shards.values()) last = Math.max(last, recoveringUntil);
  state.recoveringUntil = last;
}

/** Why a store that can be reached grants nothing; "": it does, or cannot be reached. */
export function whyLost({ isUp, now, recoveringUntil, returningUntil }: HolderState): string {
  const left = Math.ceil((recoveringUntil - now.mono) / 1_000);
  if (isUp && left > 0) {
    return `it may have lost data, and grants nothing for ${left} s more while it learns what was used`;
  }
  return isUp && returningUntil > now.mono ? "it is back, and has not answered yet" : "";
}

/** When the loss is over if nothing else happens (mono); Infinity: there is none, or nobody knows. */
export function lossEnds({ isUp, now, recoveringUntil, returningUntil }: HolderState): number {
  const end = Math.max(recoveringUntil, returningUntil);
  return isUp && end > now.mono ? end : Infinity;
}

/** Says in the log what has changed; at the end of each turn (LS1). */
export function createLossTeller(state: HolderState): () => void {
  const { log } = state;
  const store = state.store.name;
  let hasFound = false;
  let since: number | undefined;
  let toldAt = -Infinity;
  let isTold = false;
  let isAway = false;

  function begins(): void {
    const { mono } = state.now;
    since ??= mono;
    const isSaid = isTold && (isAway || state.isUp);
    if (isSaid || (!isTold && mono - toldAt < TOLD_AGAIN_MS)) return;
    isTold = true;
    isAway = !state.isUp;
    toldAt = mono;
    if (isAway) {
      log.error({ store, cause: state.cause }, "store lost: serving from what is leased");
    } else {
      const atMostMs = longest(state);
      const text = "store may have lost data and learns what was used: serving from what is leased";
      log.warn({ store, atMostMs }, text);
    }
  }

  function ends(): void {
    if (isTold) {
      const lostMs = Math.round(state.now.mono - (since ?? state.now.mono));
      log.info({ store, lostMs }, "store back");
    } else if (!hasFound) log.info({ store }, "store found");
    hasFound = true;
    isTold = false;
    since = undefined;
  }

  return () => {
    if (state.cause === undefined) return; // nobody has looked for it yet
    if (isLost(state)) begins();
    else if (isTold || since !== undefined || !hasFound) ends();
  };
}
