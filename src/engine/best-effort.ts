/**
 * Best effort: accepting less than was asked (S10). With usage the output tokens alone are cut, and what is
 * derived from them; with amounts alone every amount is cut by the same share, rounded down. Request maxima
 * are fitted as well; `requests` and slots stay all or nothing.
 *
 *   BE1  What is held fits everywhere; one output token more would not, nor would a larger share before it is
 *        rounded down.
 *   BE2  Nothing left of it is a refusal of what was asked.
 */
import { withOutputTokens } from "../core/money/derive.ts";
import type { Amount } from "../core/operation.ts";
import { isRejection } from "../core/rejection.ts";
import type { Units } from "../core/units.ts";
import type { Case } from "./case.ts";
import { available } from "./lease.ts";
import type { Now } from "./now.ts";
import { prepareFor, type Prepared } from "./prepare.ts";
import { fits, isTooLarge, needAt, type Standing } from "./standing.ts";

export interface Fitted {
  readonly asked: Prepared;
  /** Output tokens that are held, where they were cut; undefined: not cut, or amounts were. */
  readonly cutTo: Units | undefined;
  /** The limit that asked for the cut. */
  readonly limit: string;
}

/** `standings`: of what was asked, with leases. `undefined`: nothing would be left. */
export function fit(the: Case, standings: readonly Standing[]): Fitted | undefined {
  const { asked, now } = the;
  const tight = standings.find((standing) => !roomFor(standing, now));
  if (!tight) return { asked, cutTo: undefined, limit: "" };
  if (!asked.request.usage) return fitAmounts(asked, standings, tight, now);
  return asked.outputTokens ? fitOutput(the, standings) : undefined;
}

/** Slots, and calls, are all or nothing. */
export const isCuttable = (meter: string): boolean => meter !== "" && meter !== "requests";

/** Of amounts alone those that were stated are cut: the price of a call stays what it is. */
const isCut = ({ request }: Prepared, meter: string): boolean =>
  isCuttable(meter) && request.amounts.some((one) => one.meter === meter);

const roomFor = (standing: Standing, now: Now): boolean =>
  standing.limit.mode !== "enforce" || (!isTooLarge(standing) && fits(standing, now));

const tightest = (
  standings: readonly Standing[],
  asked: Prepared,
  now: Now,
): Standing | undefined =>
  standings.find((standing) => !roomFor({ ...standing, need: needAt(standing.limit, asked) }, now));

/** The most output tokens that fit: derived amounts only grow with them, so halving finds it. */
function fitOutput({ core, asked, now }: Case, standings: readonly Standing[]): Fitted | undefined {
  const { request, outputTokens } = asked;
  const { usage } = request;
  if (!usage) return undefined;
  const withOutput = (tokens: Units): Prepared | undefined => {
    const cut = { ...request, usage: withOutputTokens(usage, tokens) };
    const prepared = prepareFor(core, asked, cut, "estimate");
    return isRejection(prepared) ? undefined : prepared;
  };
  let best: Prepared | undefined;
  let cutTo = 0;
  let limit = "";
  let low = 1;
  let high = (outputTokens ?? 1) - 1;
  while (low <= high) {
    const tokens = low + Math.floor((high - low) / 2);
    const cut = withOutput(tokens);
    const tight = cut && tightest(standings, cut, now);
    if (cut && !tight) {
      best = cut;
      cutTo = tokens;
      low = tokens + 1;
    } else {
      limit = tight?.limit.name ?? limit;
      high = tokens - 1;
    }
  }
  limit ||= tightest(standings, asked, now)?.limit.name ?? "";
  return best && { asked: best, cutTo, limit };
}

/** The largest share of every amount that fits, as a fraction of whole numbers. */
function fitAmounts(
  asked: Prepared,
  standings: readonly Standing[],
  tight: Standing,
  now: Now,
): Fitted | undefined {
  let share = { room: 1n, need: 1n };
  for (const standing of standings) {
    const room = roomAt(standing, now);
    if (standing.need === 0 || room >= standing.need) {
      if (!roomFor(standing, now) && room < 0) return undefined;
      continue;
    }
    if (room <= 0 || !isCut(asked, standing.limit.meter)) return undefined;
    const candidate = { room: BigInt(room), need: BigInt(standing.need) };
    if (candidate.room * share.need < share.room * candidate.need) share = candidate;
  }
  const cut: Amount[] = [];
  for (const { meter, units } of asked.amounts) {
    const left = isCut(asked, meter) ? Number((BigInt(units) * share.room) / share.need) : units;
    if (left === 0 && units > 0) return undefined;
    cut.push({ meter, units: left });
  }
  return { asked: { ...asked, amounts: cut }, cutTo: undefined, limit: tight.limit.name };
}

/** What an enforced limit has room for; Infinity where it does not refuse. */
function roomAt({ limit, lease }: Standing, now: Now): number {
  if (limit.mode !== "enforce") return Infinity;
  const { shape } = limit.rule;
  if (shape.kind === "request") return shape.max;
  if (!lease) return Infinity;
  const room = available(lease, now.mono);
  return lease.spec.kind === "slots" || room >= 0 ? room : -1;
}

/** The standings of the least that best effort could hold: what refuses that is why nothing is left (BE2). */
export function leastOf({ core, asked }: Case, standings: readonly Standing[]): Standing[] {
  const { request } = asked;
  const { usage } = request;
  const cut =
    usage && asked.outputTokens ? { ...request, usage: withOutputTokens(usage, 1) } : undefined;
  const least = cut && prepareFor(core, asked, cut, "estimate");
  return standings.map((standing) => {
    if (least) {
      return isRejection(least) ? standing : { ...standing, need: needAt(standing.limit, least) };
    }
    const isLess = !usage && isCut(asked, standing.limit.meter);
    return { ...standing, need: isLess ? Math.min(standing.need, 1) : standing.need };
  });
}
