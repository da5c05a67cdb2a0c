/**
 * What an operator does to a ledger by hand. Holders are not asked; what they have out stays with them.
 *
 *   OP1  What is resolved is available again at once, and whoever had it is refused from then on.
 *   OP2  A reset forgets what was used and owed, and changes nothing of what is out.
 *   OP3  Only what is held back is resolved: who has been silent with nothing out may be idle, and goes on under
 *        its name.
 */
import type { EpochMs } from "../time.ts";
import type { Units } from "../units.ts";
import { asInFamily, familyOf, toFamily, type Family } from "./family.ts";
import { foldRecord } from "./holder-record.ts";
import { isReadable } from "./inspect.ts";
import { atMost, available, outOf } from "./ledger.ts";
import type { Hint } from "./message.ts";
import type { Shard } from "./shard.ts";
import {
  accountOf,
  balance,
  NEVER,
  quarantines,
  UNTOLD,
  type SharedLedger,
} from "./shared-ledger.ts";
import { wake, wakeLater } from "./waiting.ts";

export interface Operated {
  /** No longer in quarantine. */
  readonly units: Units;
  readonly hints: readonly Hint[];
}

/** One ledger, and its family if it has one. */
interface Found {
  readonly ledger: SharedLedger;
  readonly family: Family | undefined;
  /** What was available before. */
  readonly before: number;
  readonly now: EpochMs;
}

function find({ ledgers, families }: Shard, key: string, now: EpochMs): Found | undefined {
  const ledger = ledgers.get(key);
  if (!ledger || !isReadable(ledger, now)) return undefined;
  const before = available(accountOf(ledger, now));
  const known = families.get(familyOf(key));
  const family = known && known.lifeEnd > now ? known : undefined;
  asInFamily(family, ledger);
  return { ledger, family, before, now };
}

/**
 * Gives back what a dead holder had out, as if it had been returned; without an id that of all dead holders, and
 * what only a lost history says was used. undefined: there is no such ledger.
 */
export function resolve(
  shard: Shard,
  key: string,
  holder: string | undefined,
  now: EpochMs,
): Operated | undefined {
  const found = find(shard, key, now);
  if (!found) return undefined;
  const units = release(found, holder);
  return { units, hints: conclude(found) };
}

function release({ ledger }: Found, holder: string | undefined): Units {
  const before = accountOf(ledger, NEVER).quarantined;
  for (const [id, record] of ledger.records) {
    if (record.state === "live" || (holder !== undefined && holder !== id)) continue;
    if (!quarantines(ledger) || outOf(record) === 0) continue; // (OP3)
    ledger.quarantined -= outOf(record);
    foldRecord(ledger, id, record);
  }
  if (holder === undefined) ledger.lostUsed = 0;
  return before - accountOf(ledger, NEVER).quarantined;
}

/** Begins the account anew: nothing used, nothing owed, nothing in quarantine. undefined: there is no such ledger. */
export function reset(shard: Shard, key: string, now: EpochMs): Operated | undefined {
  const found = find(shard, key, now);
  if (!found) return undefined;
  const units = release(found, undefined);
  const { ledger, family } = found;
  const spent = Array.from(ledger.records.values()).reduce(
    (sum, one) => atMost(sum + one.spent),
    0,
  );
  ledger.folded = 0 - spent;
  ledger.settled = 0;
  ledger.owed = 0;
  ledger.carried = Math.max(0, ledger.carried);
  ledger.lostCarried = UNTOLD;
  const { rate, spec } = ledger;
  if (rate) Object.assign(rate, { level: Math.max(0, spec.capacity - ledger.out), remainder: 0 });
  if (family) {
    family.since = Math.max(family.since, spec.start);
    family.members = family.members.filter((one) => one.spec.start >= spec.start);
  }
  return { units, hints: conclude(found) };
}

function conclude({ ledger, family, before, now }: Found): Hint[] {
  balance(ledger, NEVER);
  ledger.version += 1;
  const isMore = available(accountOf(ledger, now)) > before;
  const hints = isMore ? wake(ledger, "", now) : []; // (WT4)
  const richer = family ? toFamily(family, ledger, now) : [];
  return [...hints, ...richer.flatMap((one) => wakeLater(one, now))]; // (WT5)
}
