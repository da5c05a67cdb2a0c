/**
 * How much of what a holder wants it is granted, and how far ahead it is to ask next.
 *
 * Asks are by level: "raise what I have out to `want`, and give me at least `need` of it". In plenty a holder gets
 * all that it wants, for a horizon of demand; near the end its share of half of what is left; at the very end
 * exactly what waits. So all that is out is about 1 % of what is left, or 2 s of demand, and never more than half.
 *
 *   OF1  A grant never exceeds what is available, and is at least `need` or nothing.
 *   OF2  Nothing is granted to who closes, while the store learns, or of what has passed into the next period.
 *   OF3  A rate is booked at most half a second ahead, and what is out of it never exceeds its capacity:
 *        bookings become usable as they accrue, so refill must never stand still under them.
 */
import type { DurationMs, EpochMs } from "../time.ts";
import { waitFor, type RateBucket } from "../limit/rate.ts";
import { MAX_UNITS, type Units } from "../units.ts";
import { available, outOf } from "./ledger.ts";
import type { SyncBlock } from "./message.ts";
import {
  accountOf,
  BOOKING_MS,
  bookable,
  learningMs,
  rateCap,
  type HolderRecord,
  type SharedLedger,
} from "./shared-ledger.ts";

/** The usual horizon: half of it costs nearly twice the messages, twice of it strands twice the units. */
const HORIZON_MS: DurationMs = 2_000;
/** The longest horizon: as long a store may be away without anybody's notice, where there is plenty. */
const HORIZON_MS_MAX: DurationMs = 60_000;
/** Of a rate: shorter would be a message for each few requests. */
const RATE_HORIZON_MS_MIN: DurationMs = 400;

/** The answer to "keep the horizon that you have". */
const KEEP: DurationMs = -1;

export interface Offer {
  /** What is lacking of `need`. */
  readonly need: Units;
  readonly grant: Units;
  readonly horizonMs: DurationMs;
  /** Rates: when the grant accrues; both 0: it is there. */
  readonly fromMs: DurationMs;
  readonly toMs: DurationMs;
}

export function offer(
  ledger: SharedLedger,
  record: HolderRecord,
  block: SyncBlock,
  now: EpochMs,
): Offer {
  const wanted = Math.max(0, block.want - outOf(record));
  const need = Math.min(block.need, wanted);
  const countable = Math.max(0, MAX_UNITS - record.granted - record.beyond);
  const lacking = Math.min(wanted, countable);
  const none = { need, grant: 0, horizonMs: KEEP, fromMs: 0, toMs: 0 };
  if (block.close > 0 || learningMs(ledger, now) > 0) return none; // (OF2)
  const free = available(accountOf(ledger, now));
  const ask: Ask = { lacking, need, free, demand: Math.min(block.demand, ledger.demand) };
  if (ledger.rate) return { ...none, ...ofRate(ledger, ledger.rate, ask, now) };
  const horizonMs = horizonOf(ledger, free);
  if (hasPassedOn(ledger, now)) return { ...none, horizonMs };
  const grant = share(ledger, ask, horizonMs);
  return { ...none, horizonMs, grant: grant > free || grant < need ? 0 : grant }; // (OF1)
}

interface Ask {
  readonly lacking: Units;
  readonly need: Units;
  readonly free: number;
  readonly demand: Units;
}

/** What is left of a period may have been carried into the next one already. */
const hasPassedOn = ({ spec }: SharedLedger, now: EpochMs): boolean =>
  spec.rollover > 0 && now >= spec.end;

function horizonOf({ demand, askers, mean }: SharedLedger, free: number): DurationMs {
  if (free < 4 * askers * mean) return 0;
  if (demand === 0) return HORIZON_MS;
  const left = Math.max(0, free);
  const long = Math.floor((left * 10) / demand); // until 1 % of what is left is used
  if (long > HORIZON_MS) return Math.min(HORIZON_MS_MAX, long);
  return Math.min(HORIZON_MS, Math.floor((left * 500) / demand)); // until half of it is
}

function share(ledger: SharedLedger, ask: Ask, horizonMs: DurationMs): number {
  const { lacking, need, free } = ask;
  if (horizonMs === 0) return need > 0 && lacking > free ? need : need > 0 ? lacking : 0;
  if (horizonMs >= HORIZON_MS) return Math.min(lacking, Math.max(need, free));
  return Math.min(lacking, Math.max(need, Math.min(free, halfByDemand(ledger, ask))));
}

/** Its share, by demand, of half of what is free. */
const halfByDemand = ({ demand }: SharedLedger, ask: Ask): Units =>
  demand > 0 ? Math.floor((ask.free * ask.demand) / (2 * demand)) : 0;

function ofRate(
  ledger: SharedLedger,
  rate: RateBucket,
  ask: Ask,
  now: EpochMs,
): Partial<Offer> & { readonly horizonMs: DurationMs } {
  const { lacking, need, free } = ask;
  const horizonMs = rateHorizonOf(ledger, rate);
  const room = rateCap(ledger, now) - ledger.out; // (OF3)
  if (lacking === 0 || room <= 0) return { horizonMs };
  if (free >= Math.max(need, 1)) {
    const isPlenty = horizonMs >= HORIZON_MS;
    const fair = isPlenty ? lacking : Math.min(lacking, Math.max(need, halfByDemand(ledger, ask)));
    const grant = Math.min(fair, free, room);
    return { horizonMs, grant: grant < need ? 0 : grant };
  }
  const soon = bookable(ledger.spec);
  const fair = ledger.demand > 0 ? Math.floor((soon * ask.demand) / ledger.demand) : 1;
  const grant = Math.min(lacking, Math.max(need, fair), free + soon, room);
  if (grant < Math.max(need, 1)) return { horizonMs };
  const fromMs = waitFor(rate, ledger.spec.refill, 0, rate.at) ?? 0;
  const toMs = waitFor(rate, ledger.spec.refill, grant, rate.at) ?? 0;
  return { horizonMs, grant, fromMs, toMs };
}

function rateHorizonOf({ demand, spec }: SharedLedger, rate: RateBucket): DurationMs {
  if (demand === 0) return HORIZON_MS;
  const coming = Math.max(0, rate.level) * BOOKING_MS + bookable(spec) * 1_000;
  return Math.max(RATE_HORIZON_MS_MIN, Math.min(HORIZON_MS, Math.floor(coming / demand)));
}
