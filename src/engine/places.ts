/** Where an operation goes: every limit that applies, and the account that it has, opens or only looks at. */
import type { CompiledLimit } from "../core/policy/compile.ts";
import { freshView, isOpened, viewUnder, type LedgerSpec } from "../core/lease/ledger.ts";
import { reject, type Rejection } from "../core/rejection.ts";
import type { Case } from "./case.ts";
import type { Core } from "./core.ts";
import { createLease, isHeard, type Lease } from "./lease.ts";
import type { Turn } from "./turn.ts";
import { keepsAccount } from "./ledger-spec.ts";
import { opensRule } from "./ruling.ts";
import { needAt, type Standing } from "./standing.ts";

/** Every limit that applies, with its account if there is one. */
export function standingsOf(the: Case): Standing[] {
  const { tenant, subject, action } = the.asked;
  const standings: Standing[] = [];
  for (const limit of tenant.policy.limits) {
    if (limit.matcher.applies(subject, action)) standings.push(standingAt(the, limit));
  }
  return standings;
}

function standingAt({ core, asked, now }: Case, limit: CompiledLimit): Standing {
  const { tenant, subject, action } = asked;
  const bucket = limit.matcher.bucketOf(subject, action);
  const account = keepsAccount(limit) ? core.accounts.find(tenant, limit, bucket, now) : undefined;
  const scope = account?.scope || limit.scope.text(tenant.policy.name, subject, action);
  if (account) account.scope = scope;
  return { limit, bucket, scope, need: needAt(limit, asked), lease: account?.lease };
}

/** Opens the leases that are missing, and marks all as used. Rejects a tenant that has too many buckets. */
export function openLeases(the: Case, found: readonly Standing[]): readonly Standing[] | Rejection {
  const { core, asked, now } = the;
  const { tenant } = asked;
  const standings: Standing[] = [];
  for (const standing of found) {
    const { limit, bucket, lease } = standing;
    if (lease || !keepsAccount(limit)) standings.push(standing);
    else {
      const account = core.accounts.open(tenant, limit, bucket, now);
      if (!account) return tooManyBuckets(the);
      standings.push({ ...standing, lease: account.lease });
    }
  }
  if (opensRule(the) && !core.accounts.hasRoom(tenant.books, now)) return tooManyBuckets(the);
  for (const { lease } of standings) if (lease) lease.usedAt = now.mono;
  return standings;
}

const tooManyBuckets = ({ asked }: Case): Rejection =>
  reject(
    "TOO_MANY_BUCKETS",
    `tenant "${asked.tenant.policy.name}" has too many live buckets for one more`,
  );

/** What a look needs of a fleet's store. */
export interface Unheard {
  /** Leases that are looked at. */
  readonly leases: readonly Lease[];
  /** Ledgers that are not held here. */
  readonly keys: readonly string[];
  /** All leases must have been heard since (mono), not only those of which nothing was heard. */
  readonly since?: number | undefined;
}

/**
 * Where the store is a fleet's, what was never heard is asked for before it is shown, and what is not held here is
 * read (S31). True: the operation waits for that, and is decided in another turn.
 */
export function hearsFirst({ funds }: Core, turn: Turn, { leases, keys, since }: Unheard): boolean {
  if (!funds.isShared || !funds.isUp()) return false;
  const { ticket } = turn;
  const unheard = leases.filter((lease) => since !== undefined || !isHeard(lease));
  if (!ticket && unheard.length > 0 && !funds.isLost()) {
    const wants = unheard.map((lease) => ({
      lease,
      units: 0,
      ...(since !== undefined && { since }),
    }));
    turn.suspend({ wants, ttlMs: 0 });
    return true;
  }
  if (ticket?.hasRead || keys.length === 0) return false;
  turn.suspend({ keys });
  return true;
}

/** A look at limits that nobody opened: made-up leases with what is known of them. Creates nothing (S31). */
export function lookAt({ core, turn, asked }: Case, standings: readonly Standing[]): Standing[] {
  return standings.map((standing) => {
    const { lease, limit, bucket } = standing;
    if ((lease && isHeard(lease)) || !keepsAccount(limit)) return standing;
    const spec = core.accounts.spec(asked.tenant, limit, bucket, turn.now);
    const made = madeUpLease(core, spec, turn);
    made.later = (n) => core.accounts.later(asked.tenant, limit, spec, n);
    return { ...standing, lease: made };
  });
}

/**
 * A lease for a look: what the store knows of its ledger, where a period before could have left something. Nobody may
 * have told the store of our revision yet: of the two the higher one's numbers hold, as they will for whoever asks next.
 */
export function madeUpLease({ funds }: Core, spec: LedgerSpec, { now, ticket }: Turn): Lease {
  const peeked = spec.family === "" ? undefined : funds.peek(spec.key);
  const known = ticket?.views.get(spec.key) ?? peeked;
  if (!isOpened(known))
    return createLease(spec, freshView(spec, now.mono, known?.before), now.mono);
  const { numbers } = known;
  return numbers.version < spec.version
    ? createLease(spec, viewUnder(known, numbers, spec), now.mono)
    : createLease({ ...spec, ...numbers }, known, now.mono);
}
