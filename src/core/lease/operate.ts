/**
 * What an operator does to a ledger by hand. Holders are not asked; what they have out stays with them.
 *
 *   OP1  What is resolved is available again at once, and nobody can bring it back or spend it again by protocol.
 *   OP2  A reset forgets what was used and owed, and changes nothing of what is out.
 */
import type { Units } from "../units.ts";
import { familyOf, toFamily } from "./family.ts";
import { foldRecord } from "./holder-record.ts";
import { outOf } from "./ledger.ts";
import type { Shard } from "./shard.ts";
import { accountOf, balance, NEVER, type SharedLedger } from "./shared-ledger.ts";

/**
 * Gives back what a dead holder had out, as if it had been returned; without an id that of all dead holders, and
 * what only a lost history says was used. Returns the units; undefined: there is no such ledger.
 */
export function resolve(shard: Shard, key: string, holder?: string): Units | undefined {
  const ledger = shard.ledgers.get(key);
  if (!ledger) return undefined;
  const before = accountOf(ledger, NEVER).quarantined;
  for (const [id, record] of ledger.records) {
    if (record.state !== "expired" || (holder !== undefined && holder !== id)) continue;
    if (ledger.spec.kind === "budget") ledger.quarantined -= outOf(record);
    foldRecord(ledger, id, record);
  }
  if (holder === undefined) ledger.lostUsed = 0;
  conclude(shard, ledger);
  return before - accountOf(ledger, NEVER).quarantined;
}

/** Begins the account anew: nothing used, nothing owed, nothing in quarantine. False: there is no such ledger. */
export function reset(shard: Shard, key: string): boolean {
  const ledger = shard.ledgers.get(key);
  if (!ledger) return false;
  resolve(shard, key);
  ledger.folded -= ledger.settled;
  ledger.settled = 0;
  ledger.owed = 0;
  ledger.carried = Math.max(0, ledger.carried);
  const { rate, spec } = ledger;
  if (rate) Object.assign(rate, { level: Math.max(0, spec.capacity - ledger.out), remainder: 0 });
  const family = shard.families.get(familyOf(spec.key));
  // What was owed before is forgiven: nothing passes on from earlier periods any more.
  if (family) family.members = family.members.filter((one) => one.spec.start >= spec.start);
  conclude(shard, ledger);
  return true;
}

function conclude(shard: Shard, ledger: SharedLedger): void {
  balance(ledger, NEVER);
  ledger.version += 1;
  const family = shard.families.get(familyOf(ledger.spec.key));
  if (family) toFamily(family, ledger);
}
