/**
 * The periods of one bucket in which something passes from one to the next: what was not used, or debt. The ledgers
 * come and go with their periods; the family keeps of each the few figures that what it carries depends on, so that
 * a late settlement of the period before still changes what is left in this one.
 *
 *   FM1  What a period carries is always what the period before leaves to it now, as `carriedInto` has it.
 *   FM2  A member stays as long as its ledger can still be settled; the latest one always stays.
 *   FM3  At most 12 are kept: a minute's budget can still be settled for the ten minutes of grace.
 *   FM4  After a loss a period has what the latest witness says was carried into it. Periods before it that come back
 *        or had stayed may be incomplete: they change that to less, never to more.
 */
import type { EpochMs } from "../time.ts";
import { atMost, carriedInto, keep, owing, payOff, type Account } from "./ledger.ts";
import { accountOf, carriedAt, NEVER, UNTOLD, usedOf, type SharedLedger } from "./shared-ledger.ts";

const MEMBERS_MAX = 12;

/** A bucket that nobody uses for so many periods begins anew. */
const IDLE_PERIODS = 64;

/** One period's account, all that is used in `settled`. */
export interface Member extends Account {
  /** As a lost history has it; UNTOLD: none has said. */
  lostCarried: number;
  lifeEnd: EpochMs;
  /** The last of those who wait for its units waits until then; 0: nobody does. */
  awaitedUntil: EpochMs;
}

/** Changed in place: one owner, the shard. */
export interface Family {
  /** In the order of their periods. */
  members: Member[];
  /** Nothing passes on from a period that began before: an operator has reset what came of it. */
  since: EpochMs;
  lifeEnd: EpochMs;
}

/** What all ledgers of a bucket have in common: the key without its period. */
export const familyOf = (key: string): string => key.slice(0, Math.max(0, key.lastIndexOf("\0")));

export const createFamily = (): Family => ({ members: [], since: 0, lifeEnd: 0 });

/** What has been carried into a ledger, and what of its debt that has paid. Makes it a member. */
export function fromFamily(family: Family, ledger: SharedLedger, now: EpochMs): void {
  const { members } = family;
  let own = memberLike(members, ledger);
  if (!own && ledger.spec.start < family.since) return;
  if (!own) {
    while (members.length > 1 && (members[0]?.lifeEnd ?? now) < now) members.shift(); // (FM2)
    own = memberOf(ledger);
    const { start } = ledger.spec;
    members.splice(members.findLastIndex(({ spec }) => spec.start < start) + 1, 0, own);
    if (members.length > MEMBERS_MAX) members.shift(); // (FM3)
  }
  own.spec = ledger.spec;
  own.lostCarried = ledger.lostCarried;
  carry(members[members.indexOf(own) - 1], own);
  ledger.carried = own.carried;
  ledger.owed = own.owed;
}

/** The same without making it a member: for who only looks. */
export function asInFamily(family: Family | undefined, ledger: SharedLedger): void {
  const own = family && memberLike(family.members, ledger);
  if (!own) return;
  ledger.carried = own.carried;
  ledger.owed = own.owed;
}

/** What a ledger leaves to the periods that follow it (FM1). Returns those that have more now. */
export function toFamily(family: Family, ledger: SharedLedger, now: EpochMs): Member[] {
  const { members } = family;
  const own = memberLike(members, ledger);
  const richer: Member[] = [];
  if (!own) return richer;
  Object.assign(own, memberOf(ledger));
  let before = own;
  for (const member of members.slice(members.indexOf(own) + 1)) {
    const carried = carriedAt(member, now);
    carry(before, member);
    if (carriedAt(member, now) > carried) richer.push(member);
    before = member;
  }
  const { spec, lifeEnd } = before;
  const periods = IDLE_PERIODS + Math.ceil(owing(before) / Math.max(1, spec.capacity));
  family.lifeEnd = Math.max(lifeEnd, atMost(spec.end + (spec.end - spec.start) * periods));
  return richer;
}

const memberLike = (members: readonly Member[], { spec }: SharedLedger): Member | undefined =>
  members.find(({ spec: { key } }) => key === spec.key);

const memberOf = (ledger: SharedLedger): Member => ({
  spec: ledger.spec,
  out: 0,
  settled: usedOf(accountOf(ledger, NEVER)),
  quarantined: 0,
  owed: ledger.owed,
  carried: ledger.carried,
  rate: undefined,
  lostCarried: ledger.lostCarried,
  lifeEnd: ledger.lifeEnd,
  awaitedUntil: ledger.waiters.reduce((latest, { until }) => Math.max(latest, until), 0),
});

function carry(before: Account | undefined, into: Member): void {
  const { spec, lostCarried } = into;
  if (before) into.carried = keep(spec, Math.min(carriedInto(spec, before), lostCarried));
  else if (lostCarried < UNTOLD) into.carried = keep(spec, lostCarried); // (FM4)
  payOff(into);
}
