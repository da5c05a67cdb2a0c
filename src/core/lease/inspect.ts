/** What a shard shows without changing anything. */
import type { EpochMs } from "../time.ts";
import type { Units } from "../units.ts";
import { outOf, readingOf, type LedgerReading, type LedgerView, type Sight } from "./ledger.ts";
import { asInFamily, familyOf } from "./family.ts";
import type { Shard } from "./shard.ts";
import {
  accountOf,
  refillTo,
  SCHEMA,
  type RecordState,
  type SharedLedger,
} from "./shared-ledger.ts";

/** The ledgers as they are at `now`, without changing anything; undefined: not there. */
export const read = (shard: Shard, keys: readonly string[], now: EpochMs): Sight[] =>
  keys.map((key) => {
    const ledger = shard.ledgers.get(key);
    if (!ledger || ledger.lifeEnd <= now) return predecessorOf(shard, key, now);
    return ledger.schema <= SCHEMA ? viewAt(shard, ledger, now) : undefined;
  });

/** What the members of a family hold and have used is in `settled`. */
function predecessorOf({ families }: Shard, key: string, now: EpochMs): Sight {
  const family = families.get(familyOf(key));
  const latest = family && family.lifeEnd > now ? family.members.at(-1) : undefined;
  if (!latest) return undefined;
  const { spec, out, settled, quarantined, owed, carried, rate } = latest;
  return { before: { spec, out, settled, quarantined, owed, carried, rate } };
}

export const isReadable = ({ schema, lifeEnd }: SharedLedger, now: EpochMs): boolean =>
  schema <= SCHEMA && lifeEnd > now;

/** What has been carried into a ledger since it was last written is known to its family. */
function viewAt({ families }: Shard, ledger: SharedLedger, now: EpochMs): LedgerReading {
  const copy = { ...ledger, rate: ledger.rate && { ...ledger.rate } };
  asInFamily(families.get(familyOf(ledger.spec.key)), copy);
  refillTo(copy, Math.max(now, copy.rate?.at ?? 0), now);
  return readingOf(accountOf(copy, now));
}

/** A ledger as an operator sees it. */
export interface LedgerListing {
  readonly key: string;
  readonly kind: "budget" | "rate" | "slots";
  readonly view: LedgerView;
  readonly holders: readonly HolderListing[];
}

export interface HolderListing {
  readonly id: string;
  readonly label: string;
  readonly state: RecordState;
  readonly out: Units;
  readonly spent: Units;
  /** When it lapses, or was to; of what never does: 2^53−1. */
  readonly expiresAt: EpochMs;
}

/** All ledgers that live at `now`, by key; of each its holders by label, those that closed left out. */
export const list = (shard: Shard, now: EpochMs): LedgerListing[] =>
  Array.from(shard.ledgers.values())
    .filter((ledger) => isReadable(ledger, now))
    .map((ledger) => listingOf(ledger, viewAt(shard, ledger, now)))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));

export const listingOf = ({ spec, records }: SharedLedger, view: LedgerView): LedgerListing => ({
  key: spec.key,
  kind: spec.kind,
  view,
  holders: Array.from(records, ([id, record]) => ({
    id,
    label: record.label,
    state: record.state,
    out: outOf(record),
    spent: record.spent,
    expiresAt: record.expiresAt,
  }))
    .filter(({ state }) => state !== "closed")
    .toSorted((a, b) => (a.label < b.label || (a.label === b.label && a.id < b.id) ? -1 : 1)),
});
