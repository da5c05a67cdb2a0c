/**
 * What a fleet's store does: one call of {@link sync} is one atomic step on one shard, which holds all ledgers of
 * the tenants that are hashed to it. The scripts of a store do the same and are compared with this, state by state;
 * a simulator executes it as it is.
 *
 * The store may lose data, be rolled back, and come back with another clock. Whatever tells of that (its history
 * has another id, a holder knows more than it does) begins a new history, a higher fence: for a while it grants
 * nothing and listens to what its holders know.
 *
 *   SH1  A message is settled in all its blocks or refused as a whole; what is refused changes nothing.
 *   SH2  Needs of an atomic message are granted in all blocks, or nothing is granted in any.
 *   SH3  A record hears only the process that it knows, and its heirs: a later epoch whose journal names the nonce
 *        of the last process that this record has heard. One that was retired hears its heirs only to be retired
 *        again: what a failed journal did not write, they do not know.
 *   SH4  Fences never fall, and a ledger's version grows with each message that changes it.
 *   SH5  A sequence number is settled once; its repetition is answered with the totals granted.
 *   SH6  A ledger is not forgotten under an open reservation or a lease that is not over.
 */
import type { DurationMs, EpochMs } from "../time.ts";
import type { Units } from "../units.ts";
import { asInFamily, createFamily, fromFamily, toFamily, type Family } from "./family.ts";
import { atMost, available, respec, viewOf, type LedgerSpec } from "./ledger.ts";
import type {
  BlockReply,
  Hint,
  Holder,
  SyncBlock,
  SyncMessage,
  SyncReply,
  SyncStatus,
} from "./message.ts";
import { noteSlack } from "./late-refund.ts";
import { offer, type Offer } from "./offer.ts";
import {
  absorb,
  closeRecord,
  fits,
  freesMs,
  hearDemand,
  mintedAt,
  openRecord,
  reclaim,
} from "./holder-record.ts";
import {
  accountOf,
  balance,
  createSharedLedger,
  cross,
  hearWitness,
  knows,
  learningMs,
  NEVER,
  quarantines,
  refillTo,
  SCHEMA,
  usedOf,
  type HolderRecord,
  type History,
  type SharedLedger,
} from "./shared-ledger.ts";
import { addWaiter, dropWaiters, recall, wake, wakeLater } from "./waiting.ts";
import { isWellFormed } from "./well-formed.ts";

/** A clock that goes back farther than this is another clock, or was wrong before. */
const CLOCK_BACK_MS: DurationMs = 60_000;

export interface ShardMeta {
  historyId: string;
  fence: number;
  learningUntil: EpochMs;
  /** The latest time seen: the store's clock as it never goes back within a history. */
  latest: EpochMs;
  mayEndEarly: boolean;
}

/** Changed in place: one owner, the store. Plain data, so that a copy of it is another replica. */
export interface Shard {
  meta: ShardMeta | undefined;
  readonly ledgers: Map<string, SharedLedger>;
  readonly families: Map<string, Family>;
}

/** Where the store is: its clock, and what tells one history of its data from another (`master_replid`). */
export interface StoreEnv {
  readonly now: EpochMs;
  readonly historyId: string;
}

export interface SyncResult {
  readonly reply: SyncReply;
  readonly hints: readonly Hint[];
}

export const createShard = (): Shard => ({
  meta: undefined,
  ledgers: new Map(),
  families: new Map(),
});

/** Opens a shard that is not there: `learnMs` is short where nobody can have known it before. */
export function birth(shard: Shard, learnMs: DurationMs, { now, historyId }: StoreEnv): void {
  shard.meta ??= {
    historyId,
    fence: now,
    learningUntil: now + learnMs,
    latest: now,
    mayEndEarly: false,
  };
}

/** The call: what all its blocks share. */
interface Call {
  readonly shard: Shard;
  readonly message: SyncMessage;
  readonly history: History;
}

/** One block on its way through. */
interface Work {
  readonly block: SyncBlock;
  readonly ledger: SharedLedger;
  /** As it was before; undefined: not there. */
  readonly known: HolderRecord | undefined;
}

interface Settled extends Work {
  readonly record: HolderRecord;
  readonly status: BlockReply["status"];
  /** What was available before it was heard; of a rate by now. */
  readonly before: number;
  readonly hints: readonly Hint[];
}

export function sync(shard: Shard, message: SyncMessage, env: StoreEnv): SyncResult {
  if (!isWellFormed(message)) return refuse("bad", env);
  if (message.blocks.some(({ spec }) => isNewer(shard.ledgers.get(spec.key)))) {
    return refuse("newer", env);
  }
  forgetTheDead(shard, message, env.now);
  const meta = metaOf(shard, message, env);
  const { fence, learningUntil, mayEndEarly, latest } = meta;
  const { learnMs } = message.terms;
  const history = { fence, learningUntil, mayEndEarly, clock: env.now, now: latest, learnMs };
  const works = message.blocks.map((block): Work => {
    const ledger = shard.ledgers.get(block.spec.key) ?? createSharedLedger(block, history);
    return { block, ledger, known: ledger.records.get(block.holder) };
  });
  for (const work of works) {
    const refused = refusal(work, message.holder, history);
    if (refused) return refuse(refused, env);
  }
  // Past this line nothing is refused (SH1).
  shard.meta = meta;
  const call = { shard, message, history };
  const settled = works.map((work) => settle(call, work));
  const hints = settled.flatMap((work) => work.hints);
  const given = grantAll(call, settled, hints);
  const blocks = settled.map((work, i) => answer(work, given[i] ?? NOTHING, latest));
  return { reply: { status: "ok", now: env.now, fence, confirmed: true, blocks }, hints };
}

const isNewer = (ledger: SharedLedger | undefined): boolean => (ledger?.schema ?? 0) > SCHEMA;

const refuse = (status: SyncStatus, { now }: StoreEnv): SyncResult => ({
  reply: { status, now, fence: 0, confirmed: true, blocks: [] },
  hints: [],
});

function forgetTheDead({ ledgers, families }: Shard, { blocks }: SyncMessage, now: EpochMs): void {
  for (const { spec } of blocks) {
    if ((ledgers.get(spec.key)?.lifeEnd ?? NEVER) <= now) ledgers.delete(spec.key);
    if ((families.get(spec.family)?.lifeEnd ?? NEVER) <= now) families.delete(spec.family);
  }
}

/** A new history begins with whatever tells that the data may be older than what somebody knows. */
function metaOf(shard: Shard, message: SyncMessage, { now, historyId }: StoreEnv): ShardMeta {
  const { meta, ledgers } = shard;
  const { terms, blocks } = message;
  const known = Math.max(...blocks.map(({ witness }) => witness.fence));
  const begin = (mayEndEarly: boolean): ShardMeta => ({
    historyId,
    fence: Math.max((meta?.fence ?? -1) + 1, now, known + 1), // (SH4)
    learningUntil: now + terms.learnMs,
    latest: now,
    mayEndEarly,
  });
  if (!meta) return begin(false);
  // The survivor of a failover has every grant that was confirmed: learning ends when all that it knows are back.
  if (meta.historyId !== historyId) return begin(terms.strict);
  const isOlder = known > meta.fence;
  const isAnotherClock = meta.latest - now > CLOCK_BACK_MS;
  const isRolledBack = blocks.some(({ spec, witness }) => {
    const { fence, version } = ledgers.get(spec.key) ?? { fence: 0, version: 0 };
    return fence === meta.fence && witness.fence === fence && witness.version > version;
  });
  if (isOlder || isAnotherClock || isRolledBack) return begin(false);
  return { ...meta, latest: Math.max(meta.latest, now) };
}

function refusal(work: Work, holder: Holder, history: History): SyncStatus | undefined {
  const { block, ledger, known } = work;
  if (ledger.spec.kind !== block.spec.kind) return "bad";
  if (known ? !isHeir(known, holder, block) : isFolded(ledger, block, history)) return "stale"; // (SH3)
  return fits(ledger, known, block) ? undefined : "bad";
}

function isHeir(record: HolderRecord, holder: Holder, { close }: SyncBlock): boolean {
  const { nonce, epoch, ancestors } = holder;
  if (record.nonce === nonce) return record.epoch === epoch;
  if (record.state === "retired" && close !== 2) return false;
  return epoch > record.epoch && ancestors.includes(record.nonce);
}

/** Its record may have been folded: it would be counted twice. While the store learns it may as well be lost. */
function isFolded(ledger: SharedLedger, block: SyncBlock, history: History): boolean {
  const { learningUntil } = ledger.fence === history.fence ? ledger : history;
  const isYoung = mintedAt(block.holder) > ledger.foldedMint;
  return knows(block) && !isYoung && history.now >= learningUntil;
}

function settle({ shard, message, history }: Call, { block, ledger, known }: Work): Settled {
  const { now, learnMs } = history;
  const before = available(accountOf(ledger, now));
  shard.ledgers.set(block.spec.key, ledger);
  if (ledger.fence !== history.fence) cross(ledger, history);
  else if (knows(block) && block.witness.fence < ledger.fence && now < ledger.learningUntil) {
    // It is lost, not new: others may know it too.
    ledger.learningUntil = Math.max(ledger.learningUntil, ledger.since + learnMs);
  }
  const { start, end, version } = ledger.spec;
  if (block.spec.version > version) respec(ledger, { ...block.spec, start, end });
  const record = known ?? openRecord(ledger, block, message.holder);
  const status = statusOf(ledger, record, block, message.holder);
  const work = { block, ledger, known, record, status };
  if (status !== "ok") {
    asInFamily(shard.families.get(block.spec.family), ledger); // what was heard before changes nothing (SL3)
    // A repetition renews, too: so whoever waits for its confirmation has a write to wait for.
    const isRenewed = status === "duplicate" && record.state === "live";
    if (isRenewed) record.expiresAt = expiryOf(message, block, now);
    return { ...work, before, hints: [] };
  }
  ledger.lifeEnd = Math.max(ledger.lifeEnd, lifeOf(message, block, now));
  hearWitness(ledger, block);
  const family = openFamily(shard, block.spec);
  if (family) fromFamily(family, ledger, now);
  const refilled = hear(work, history);
  const richer = family ? toFamily(family, ledger, now) : [];
  const others = richer.filter(({ spec }) =>
    message.blocks.every((one) => one.spec.key !== spec.key),
  );
  const hints = others.flatMap((one) => wakeLater(one, now)); // (WT5)
  return { ...work, before: before + refilled, hints };
}

/** Merges what a block says that was not heard before. Returns what a rate has refilled until then. */
function hear(
  { ledger, block, known, record }: Omit<Settled, "before" | "hints">,
  { now, clock }: History,
): Units {
  record.seq = block.seq;
  const refilled = refillTo(ledger, clock, now);
  noteSlack(ledger);
  absorb(ledger, record, block, { isNew: known === undefined, now });
  reclaim(ledger, block.holder, now);
  balance(ledger, now);
  hearDemand(ledger, record, block.demand, block.mean);
  return refilled;
}

function openFamily({ families }: Shard, { family }: LedgerSpec): Family | undefined {
  if (family === "") return undefined;
  const known = families.get(family) ?? createFamily();
  families.set(family, known);
  return known;
}

/** Whether this message comes after all that the record has heard (SH5). The process may be a new one. */
function statusOf(
  ledger: SharedLedger,
  record: HolderRecord,
  block: SyncBlock,
  { nonce, epoch, label }: Holder,
): BlockReply["status"] {
  if (record.nonce !== nonce) Object.assign(record, { nonce, epoch, label, seq: 0 });
  if (block.seq > record.seq) return "ok";
  const isForfeited = record.state === "expired" && !quarantines(ledger);
  return block.seq === record.seq && !isForfeited ? "duplicate" : "stale";
}

/** Open slots of a dead holder stay taken until its agents have ended. */
function expiryOf({ terms }: SyncMessage, { spec, openMs }: SyncBlock, now: EpochMs): EpochMs {
  const silence = spec.kind === "slots" ? Math.max(terms.ttlMs, openMs) : terms.ttlMs;
  return atMost(now + silence + terms.graceMs);
}

/** As long as it is said to live, and longer than every lease on it (SH6). */
function lifeOf({ terms }: SyncMessage, { lifeMs, openMs }: SyncBlock, now: EpochMs): EpochMs {
  return atMost(now + Math.max(lifeMs, openMs + terms.ttlMs + terms.graceMs));
}

/** What a block is given. Adds the hints that follow from it. */
function grantAll(call: Call, works: readonly Settled[], hints: Hint[]): readonly Offer[] {
  const { shard, message, history } = call;
  const offers = works.map(({ status, ledger, record, block }) => {
    if (status !== "ok") return NOTHING;
    const family = openFamily(shard, block.spec);
    if (family) fromFamily(family, ledger, history.now); // an earlier block may be of the period before
    return offer(ledger, record, block, history.now);
  });
  const isShort = ({ grant, need }: Offer): boolean => grant < need;
  const isRefused =
    message.atomic && (offers.some(isShort) || works.some(({ status }) => status !== "ok")); // (SH2)
  return offers.map((offered, i) => {
    const work = works[i];
    const isGiven = !isRefused && !isShort(offered);
    const given = isGiven ? offered : { ...offered, grant: 0, fromMs: 0, toMs: 0 };
    if (work) hints.push(...conclude(call, work, given.grant, isShort(offered) ? offered.need : 0));
    return given;
  });
}

/** `lacking`: what could not be given. */
function conclude(call: Call, work: Settled, grant: Units, lacking: Units): Hint[] {
  const { shard, message, history } = call;
  const { ledger, record, block, status, before } = work;
  const { now } = history;
  const hints: Hint[] = [];
  const isMore = available(accountOf(ledger, now)) > before; // (WT4)
  if (status !== "ok") return isMore ? wake(ledger, block.holder, now) : hints;
  dropWaiters(ledger, block.need > 0 ? block.holder : "", now);
  give(ledger, record, grant);
  if (lacking > 0 && learningMs(ledger, now) === 0) {
    if (message.waitMs > 0) addWaiter(ledger, block.holder, lacking, atMost(now + message.waitMs));
    hints.push(...recall(ledger, lacking, now));
  }
  if (isMore) hints.push(...wake(ledger, block.holder, now));
  if (block.close !== 2) record.expiresAt = expiryOf(message, block, now);
  if (block.need === 0 || grant > 0) record.freesAt = atMost(now + block.firstMs);
  closeRecord(ledger, record, block, now);
  ledger.version += 1;
  const family = openFamily(shard, block.spec);
  if (family) toFamily(family, ledger, now);
  return hints;
}

function give(ledger: SharedLedger, record: HolderRecord, units: Units): void {
  record.granted += units;
  ledger.out += units;
  if (ledger.rate) ledger.rate.level -= units; // below 0: booked ahead
}

const NOTHING: Offer = { need: 0, grant: 0, horizonMs: -1, fromMs: 0, toMs: 0 };

function answer(
  { status, ledger, record, block }: Settled,
  given: Offer,
  now: EpochMs,
): BlockReply {
  const account = accountOf(ledger, now);
  return {
    status,
    fence: ledger.fence,
    version: ledger.version,
    granted: record.granted,
    grant: given.grant,
    view: viewOf(account),
    used: usedOf(account),
    carried: account.carried,
    learningMs: learningMs(ledger, now),
    horizonMs: given.horizonMs,
    fromMs: given.fromMs,
    toMs: given.toMs,
    start: ledger.spec.start,
    end: ledger.spec.end,
    holders: ledger.live,
    lifeMs: ledger.lifeEnd - now,
    freesMs: freesMs(ledger, block.holder, now),
  };
}
