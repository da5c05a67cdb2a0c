/**
 * Scarce units: what is known to be refused is refused here, so that an exhausted limit costs the store nothing.
 *
 * Dry: the store grants directly, and less than a thousandth of the limit is left. Then nobody asks for more
 * than an answer or a hint has shown within the last 150 ms; whoever waited in vain is the last to ask for 1 to
 * 4 s, unless a hint comes. Of a limit that is not dry only what was refused is refused again, for 100 ms at
 * first.
 *
 *   SK1  Units that are here, or on their way back from here, are never refused by what was heard before.
 *   SK2  A store that is learning has refused nothing: that silence ends with the learning.
 *   SK3  A rate refills: what was refused is asked for again once it should be there.
 */
import type { Units } from "../../core/units.ts";
import { available, comingBack, free } from "../lease.ts";
import { about, type HolderState } from "./state.ts";
import type { Stock } from "./stock.ts";

/** How long a figure that was shown is worth asking for, ms. */
const NEWS = 150;
/** First and longest silence of a dry limit, ms; of one that is not dry. */
const SILENCE = 1_000;
const SILENCE_MAX = 4_000;
const PAUSE_MAX = 1_000;

/** Dry, and nothing has been shown that would make an ask worth its while. */
export const isHushed = (stock: Stock, units: Units, until: number, mono: number): boolean =>
  stock.dry &&
  until > mono &&
  (units > stock.shown || mono > stock.shownAt + NEWS) &&
  free(stock.lease) < units; // (SK1)

/** Nothing is to be learnt from asking for so much now. */
export const isRefused = (stock: Stock, units: Units, mono: number): boolean =>
  comingBack(stock.lease) === 0 &&
  isVain(stock, units, mono) &&
  (stock.lease.spec.kind !== "rate" || units > available(stock.lease, mono)); // (SK3)

const isVain = (stock: Stock, units: Units, mono: number): boolean =>
  isHushed(stock, units, stock.quietUntil, mono) ||
  (!stock.dry && stock.quietUntil > mono && units >= stock.quietFrom && free(stock.lease) < units); // (SK1)

/** Somebody has waited for `units` in vain. */
export function noteRefusal(state: HolderState, stock: Stock, units: Units): void {
  const { mono } = state.now;
  if (stock.learningUntil > mono) {
    stock.quietFrom = 0;
    stock.quietUntil = Math.min(stock.learningUntil, mono + 200); // (SK2)
    return;
  }
  if (stock.dry) stock.backoff = Math.max(stock.backoff, SILENCE);
  else stock.quietFrom = stock.quietUntil > mono ? Math.min(stock.quietFrom, units) : units;
  stock.quietUntil = mono + about(state, stock.backoff, 0.25);
  stock.backoff = Math.min(stock.dry ? SILENCE_MAX : PAUSE_MAX, stock.backoff * 2);
  if (stock.dry) stock.hushUntil = Math.max(stock.hushUntil, stock.quietUntil);
}
