/**
 * Scarce units: what is known to be refused is refused here, so that an exhausted limit costs the store nothing.
 *
 * Whoever is refused leaves his name at the store and is silent: nobody here asks for as much again until a hint
 * says that units came back, or 1 to 4 s are over. Dry: what is left is dust, less than a two-thousandth of the
 * limit. Then nobody asks for anything more than an answer has shown.
 *
 *   SK1  Units that are here, or on their way back from here, are never refused by what was heard before.
 *   SK2  A store that is learning has refused nothing: that silence ends with the learning.
 *   SK3  A rate refills: what was refused is asked for again once it should be there.
 *   SK4  Units that came back end everybody's silence, whoever is woken: he may not need them any more. Of dust
 *        no hint tells, and it may lie for as long as a silence (S17).
 *   SK5  Nobody is silent but whose name is at the store: an ask that was granted has taken it off.
 */
import type { Units } from "../../core/units.ts";
import { available, comingBack, free } from "../lease.ts";
import { about, type HolderState } from "./state.ts";
import { isTold, type Stock } from "./stock.ts";

/** A waiter whose name is at the store tries again after so long though no hint came: for less than his name says. */
const OUTDATED = 60;
/** Of a limit: less is not chased, and the store wakes nobody for it. */
const DUST = 2_000;
/** First silence, ms; of a dry limit; the longest, which is a quarter longer at times; of a rate. */
const SILENCE = 100;
const SILENCE_DRY = 1_000;
const SILENCE_MAX = 3_200;
const SILENCE_RATE_MAX = 1_000;

export const isDust = ({ lease }: Stock, units: number): boolean =>
  units < lease.spec.capacity / DUST;

/** Dry, and nothing has been shown that would make an ask worth its while. */
export const isHushed = (stock: Stock, units: Units, until: number, mono: number): boolean =>
  stock.dry &&
  isTold(stock) &&
  until > mono &&
  stock.listedUntil > mono && // (SK5)
  units > stock.shown &&
  free(stock.lease) < units; // (SK1)

/** When asking for so much is worth its while again: less than that was there a moment ago, and a hint will come. */
export const newsAt = (stock: Stock, units: Units, mono: number): number => {
  const isThere = units <= Math.max(stock.shown, free(stock.lease));
  return isThere || stock.listedUntil <= mono || stock.lease.view.rate
    ? mono
    : stock.shownAt + OUTDATED;
};

/** Nothing is to be learnt from asking for so much now. */
export const isRefused = (stock: Stock, units: Units, mono: number): boolean =>
  comingBack(stock.lease) === 0 &&
  isTold(stock) &&
  isVain(stock, units, mono) &&
  (stock.lease.spec.kind !== "rate" || units > available(stock.lease, mono)); // (SK3)

const isVain = (stock: Stock, units: Units, mono: number): boolean =>
  isHushed(stock, units, stock.quietUntil, mono) ||
  (!stock.dry &&
    stock.quietUntil > mono &&
    units >= stock.quietFrom &&
    ((units > stock.shown && stock.listedUntil > mono) || comesWithTime(stock, mono)) && // (SK4, SK5)
    free(stock.lease) < units); // (SK1)

/** No hint tells of it. */
const comesWithTime = ({ lease, learningUntil }: Stock, mono: number): boolean =>
  lease.spec.kind === "rate" || learningUntil > mono;

/** Somebody has waited for `units` in vain. */
export function noteRefusal(state: HolderState, stock: Stock, units: Units): void {
  const { mono } = state.now;
  if (stock.learningUntil > mono) {
    stock.quietFrom = 0;
    stock.quietUntil = Math.min(stock.learningUntil, mono + 200); // (SK2)
    return;
  }
  if (stock.dry) stock.backoff = Math.max(stock.backoff, SILENCE_DRY);
  else stock.quietFrom = stock.quietUntil > mono ? Math.min(stock.quietFrom, units) : units;
  stock.quietUntil = mono + about(state, stock.backoff, 0.25);
  const longest = stock.lease.spec.kind === "rate" ? SILENCE_RATE_MAX : SILENCE_MAX;
  stock.backoff = Math.min(longest, stock.backoff * 2);
  if (stock.dry) stock.hushUntil = Math.max(stock.hushUntil, stock.quietUntil);
}

/** Somebody is woken: so many units are there. */
export function hearNews(state: HolderState, stock: Stock, units: Units, isOurs: boolean): void {
  stock.shown = units;
  stock.shownAt = state.now.mono;
  if (!isOurs) return; // whoever needs no more than that may ask (SK4)
  endSilence(stock);
  stock.shortUntil = -Infinity;
}

/** Nothing is known any more of what would be refused. */
export function endSilence(stock: Stock): void {
  stock.quietUntil = -Infinity;
  stock.listedUntil = -Infinity;
}

/** Something was granted. */
export function noteGrant(stock: Stock): void {
  if (stock.dry) return;
  endSilence(stock);
  stock.backoff = SILENCE;
}
