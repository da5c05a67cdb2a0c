/**
 * Messages to the store and what their answers mean.
 *
 *   EX1  One message about a ledger is under way at a time; after a fault the same message is sent again,
 *        until there is a definite answer.
 *   EX2  Units are debited before a message leaves, and credited after its answer, by totals: a repeated
 *        answer adds nothing. What is not confirmed is not credited.
 *   EX3  A timed lease is counted from when its message left first.
 *   EX4  An answer to what left before a pause says nothing about what is still good: what it grants waits for another.
 */
import type { BlockReply, SyncBlock, SyncMessage, SyncReply } from "../../core/lease/message.ts";
import type { Units } from "../../core/units.ts";
import type { StoreFault } from "../../ports/lease-store.ts";
import type { Timed } from "../deadline-heap.ts";
import { isFault } from "../funds.ts";
import { heardAt, noteTold, outHere, rebase } from "../lease.ts";
import { hearLoss } from "./loss.ts";
import { about, storeTime, type HolderState, type Waiting } from "./state.ts";
import { endSilence, isDust, noteGrant } from "./scarcity.ts";
import { blockOf, credit, endOfLease, freeze, HORIZON, thaw } from "./stock.ts";
import type { Asking, Stock } from "./stock.ts";
import { DRIFT } from "./store-clock.ts";

/** `deadline`: when it is sent again, once an attempt has failed. */
export interface Sent extends Timed {
  readonly message: SyncMessage;
  readonly stocks: readonly Stock[];
  readonly sentAt: number;
  readonly waiting: Waiting | undefined;
  /** It left before a pause (EX4). */
  isOld: boolean;
  /** A hint woke its waiter before its answer came: our name is at the store no more. */
  isWoken: boolean;
  attempts: number;
}

export interface Part {
  readonly stock: Stock;
  readonly asking: Asking;
}

/** After a fault a message is sent again after this long at first, then twice as long each time, ms. */
const RESEND = 20;
const RESEND_MAX = 1_000;
/** How long a refused caller wants to be woken, beyond its own wait: a hint ends a silence (ms). */
const WOKEN = 4_000;
/** What the store refused to read is not sent again before, ms. */
const REFUSED_AGAIN = 1_000;
/** A waiter that no hint can wake tries again so soon: within 200 ms a second recall takes all that idles. */
const AGAIN = 125;
/** An answer that was not confirmed is asked for again so soon. */
const CONFIRM_AGAIN = 20;

/** Sends one message about ledgers of one uid, none of which has one under way (EX1). */
export function send(state: HolderState, parts: readonly Part[], waiting?: Waiting): void {
  const { now, terms } = state;
  const [first] = parts;
  if (!first) return;
  const waitsFor = waiting?.ttlMs ?? Infinity;
  const moment = { mono: now.mono, at: storeTime(state), ...terms, waitsFor };
  const stocks = parts.map(({ stock }) => stock);
  const sent: Sent = {
    message: {
      holder: state.identity,
      terms,
      uid: first.stock.uid,
      atomic: waiting !== undefined,
      waitMs: waiting ? Math.ceil(Math.max(0, waiting.ticket.until - now.mono)) + WOKEN : 0,
      blocks: parts.map(({ stock, asking }) => blockOf(stock, asking, moment)),
    },
    stocks,
    sentAt: now.mono,
    waiting,
    isOld: false,
    isWoken: false,
    attempts: 0,
    deadline: 0,
    slot: -1,
  };
  for (const stock of stocks) {
    stock.inFlight = sent;
    state.changed(stock); // written before it leaves
    stock.sentAt = now.mono;
    stock.forced = false;
    stock.settleAt = now.mono + about(state, Math.min(HORIZON, terms.ttlMs / 3), 0.2); // (UK3)
  }
  const shard = state.shards.get(first.stock.uid);
  if (shard) shard.toldAt = now.mono;
  if (waiting) waiting.asked++;
  state.sent.add(sent);
  attempt(state, sent);
}

function attempt(state: HolderState, sent: Sent): void {
  sent.attempts++;
  state.outbox(() => {
    if (!state.sent.has(sent)) return; // given up meanwhile: the journal did not write what it says (HS3)
    state.store.sync(sent.message, (reply) => state.later(() => answered(state, sent, reply)));
  });
}

/** Those that failed and are due go out again, the same (EX1). */
export function resendDue(state: HolderState): void {
  for (;;) {
    const sent = state.resends.takeDue(state.now.mono);
    if (!sent) return;
    attempt(state, sent);
  }
}

function answered(state: HolderState, sent: Sent, reply: SyncReply | StoreFault): void {
  if (!state.sent.has(sent)) return; // it was given up: another process is this holder
  if (isFault(reply)) {
    const wait = Math.min(RESEND_MAX, RESEND * 2 ** Math.min(sent.attempts, 10));
    sent.deadline = state.now.mono + about(state, wait, 0.3);
    state.resends.add(sent);
    return;
  }
  state.sent.delete(sent);
  for (const stock of sent.stocks) {
    stock.inFlight = undefined;
    state.look(stock); // it was not to be looked at before there was an answer
  }
  if (sent.waiting) sent.waiting.asked--;
  if (reply.status === "stale") return isAnothers(state, sent);
  if (reply.status !== "ok") return refusedWhole(state, sent, reply.status);
  const { mono } = state.now;
  if (!sent.isOld) state.clock.hear(reply.now, sent.sentAt, mono);
  noteFence(state, sent.message.uid, reply.fence);
  for (const [i, stock] of sent.stocks.entries()) {
    const block = sent.message.blocks[i];
    const said = reply.blocks[i];
    if (block && said) take(state, stock, { sent, block, said, confirmed: reply.confirmed });
  }
  if (sent.waiting) waitedFor(state, sent, sent.waiting, reply);
}

/**
 * An operator resolved them while this one was silent, another process is this holder now, or the leases were retired
 * when the journal that this one read had failed.
 */
function isAnothers(state: HolderState, { stocks }: Sent): void {
  const own = stocks.filter(({ retiring }) => !retiring);
  for (const stock of stocks) if (stock.retiring) state.forget(stock); // they are the other's to settle
  if (own.length > 0) startAnew(state, own);
}

const ledgersOf = (stocks: readonly Stock[]): readonly string[] =>
  stocks.map(({ lease }) => lease.spec.key.replaceAll("\0", "/"));

/** A malformed message or a newer schema: a defect, or an upgrade under way. Nothing is lost; it is told. */
function refusedWhole(state: HolderState, sent: Sent, status: "bad" | "newer"): void {
  state.log.error({ status, ledgers: ledgersOf(sent.stocks) }, "the store refused a message");
  const again = state.now.mono + REFUSED_AGAIN;
  for (const stock of sent.stocks) {
    stock.settleAt = again;
    stock.askedAt = again;
    stock.lease.dirty = true;
  }
  if (sent.waiting) sent.waiting.retryAt = again;
}

/** Another data set than before: everything that is known of this shard is told anew. */
function noteFence(state: HolderState, uid: string, fence: number): void {
  const shard = state.shards.get(uid);
  if (shard && fence <= shard.fence) state.returningUntil = -Infinity; // the same as before
  if (!shard || fence <= shard.fence) return;
  const isAnother = shard.fence > 0;
  shard.fence = fence;
  if (isAnother) for (const stock of shard.stocks) register(state, stock);
}

/** What a period that is over leaves changes as it settles: whoever has a later one is to know it before a loss. */
function tellLater(state: HolderState, { lease: { spec }, uid }: Stock): void {
  if (spec.family === "" || storeTime(state) < spec.end) return;
  for (const other of state.shards.get(uid)?.stocks ?? []) {
    const { family, start } = other.lease.spec;
    if (family === spec.family && start >= spec.end && !other.retiring) register(state, other);
  }
}

/** Where it grants sooner than it said of one ledger, it may of the others of that shard. */
function askLearning(state: HolderState, { uid }: Stock): void {
  for (const other of state.shards.get(uid)?.stocks ?? []) {
    if (other.learningUntil > state.now.mono) register(state, other);
  }
}

/** The store hears of it as soon as it can. */
export function register(state: HolderState, stock: Stock): void {
  stock.forced = true;
  stock.settleAt = state.now.mono;
  state.look(stock);
}

interface Heard {
  readonly sent: Sent;
  readonly block: SyncBlock;
  readonly said: BlockReply;
  readonly confirmed: boolean;
}

function take(state: HolderState, stock: Stock, heard: Heard): void {
  const { block, said, confirmed, sent } = heard;
  const { mono } = state.now;
  const { lease } = stock;
  if (said.status === "stale") {
    stock.forced = true;
    stock.settleAt = mono;
    return;
  }
  hearView(state, stock, heard);
  if (said.status === "ok") tellLater(state, stock);
  state.changed(stock);
  if (!confirmed) {
    stock.settleAt = mono + CONFIRM_AGAIN;
    lease.dirty = true;
    return; // (EX2)
  }
  thaw(stock);
  const got = Math.max(0, said.granted - block.granted);
  const slack = 1 + DRIFT;
  const to = said.toMs > 0 ? mono + said.toMs * slack + 1 : 0;
  credit(stock, got, mono + said.fromMs * slack, to);
  if (sent.isOld) freeze(stock);
  else {
    const { terms } = sent.message;
    stock.heard = true;
    stock.heardAt = mono;
    stock.heardFor = sent.sentAt;
    stock.expiresAt = Math.max(stock.expiresAt, endOfLease(sent.sentAt, terms.ttlMs)); // (EX3)
    stock.coveredUntil = Math.max(stock.coveredUntil, endOfLease(sent.sentAt, block.openMs));
  }
  if (got > 0 && block.need > 0) noteGrant(stock);
  const isWanted = !stock.closing || stock.waits > 0; // a waiter would ask under the old name, with new totals
  const isClosed = block.close === 1 && outHere(stock.lease) === 0 && !isWanted;
  const isRetired = block.close === 2 && (!stock.heir || outHere(stock.lease) === 0);
  if (isClosed || isRetired) state.forget(stock);
  else if (stock.retiring) stock.settleAt = mono; // what the message that was given up brought goes back, too (HS5)
}

/** What the answer says of the ledger, whether or not its grant may be used. */
function hearView(state: HolderState, stock: Stock, { sent, block, said }: Heard): void {
  const { mono } = state.now;
  const { lease } = stock;
  const { view, fence, version } = said;
  const { witness } = stock;
  if (fence > witness.fence || (fence === witness.fence && version > witness.version)) {
    stock.witness = { fence, version, used: said.used, carried: said.carried };
  }
  lease.view = heardAt(view, mono);
  noteTold(lease, block);
  stock.toldVersion = Math.max(stock.toldVersion, block.spec.version);
  const isSooner = said.learningMs === 0 && stock.learningUntil > mono;
  stock.learningUntil = said.learningMs > 0 ? mono + said.learningMs : -Infinity;
  if (!view.rate) hearLoss(state, stock, fence);
  if (isSooner) askLearning(state, stock);
  // A hint that came meanwhile may be the later news: it took another way.
  stock.shown =
    stock.shownAt > sent.sentAt ? Math.max(stock.shown, view.available) : view.available;
  stock.shownAt = mono;
  stock.dry = view.rate === undefined && said.horizonMs === 0 && isDust(stock, view.available);
  if (!stock.dry && view.available >= stock.quietFrom) endSilence(stock);
  if (said.horizonMs >= 0) stock.horizon = said.horizonMs;
  stock.holders = said.holders;
  stock.freesAt = said.freesMs < 0 ? Infinity : mono + said.freesMs;
  stock.takenUntil = mono + said.lifeMs - 2 * sent.message.terms.ttlMs; // so long the dead keep theirs
}

/** The waiter of a message may go on, or tries again when a hint or this moment comes. */
function waitedFor(state: HolderState, sent: Sent, waiting: Waiting, reply: SyncReply): void {
  const { mono } = state.now;
  waiting.isMine = true;
  if (!reply.confirmed) {
    waiting.retryAt = mono + CONFIRM_AGAIN;
    return;
  }
  waiting.retryAt = mono + retryAfter(state, sent, waiting, reply);
  for (const [i, stock] of sent.stocks.entries()) {
    const need = sent.message.blocks[i]?.need ?? 0;
    const said = reply.blocks[i];
    if (!said || need === 0) continue;
    const isListed = isListedShort(said, need) && !sent.isWoken;
    stock.listedUntil = isListed ? sent.sentAt + sent.message.waitMs : -Infinity;
    if (!isListed) continue;
    stock.shortFrom = need; // who comes now and asks as much would only hear the same
    stock.shortUntil = waiting.retryAt;
    if (stock.dry) stock.hushUntil = Math.max(stock.hushUntil, waiting.ticket.until);
  }
}

/** It was not there: our name is at the store now, and a hint comes when it is. */
const isListedShort = ({ status, grant, view, learningMs }: BlockReply, need: Units): boolean =>
  status === "ok" && need > 0 && grant < need && view.available < need && learningMs === 0;

/** Whoever is woken needs no other try. What comes with time alone is tried for again. */
function retryAfter(state: HolderState, sent: Sent, { ticket }: Waiting, reply: SyncReply): number {
  if (sent.isWoken) return 0;
  let learning = 0;
  let isListed = false;
  for (const [i, said] of reply.blocks.entries()) {
    const need = sent.message.blocks[i]?.need ?? 0;
    learning = Math.max(learning, said.learningMs);
    if (isListedShort(said, need)) isListed = true;
  }
  if (learning > 0) return Math.min(learning + 1, 200);
  const isSure = reply.blocks.every(({ status, view }) => status === "ok" && !view.rate);
  if (isListed && isSure) return Math.max(0, ticket.until - state.now.mono);
  return about(state, AGAIN, 0.2);
}

/** Nobody waits for its answer any more. */
export function giveUp(state: HolderState, sent: Sent): void {
  for (const stock of sent.stocks) stock.inFlight = undefined;
  if (sent.waiting) sent.waiting.asked--;
  state.resends.remove(sent);
  state.sent.delete(sent);
}

/** Why leases can be another's: the store does not say which of these it was. */
const TAKEN =
  "leases of this sidecar are not its own any more: they were resolved by an operator, or settled by the store, while it was silent";
const TAKEN_OVER = `${TAKEN}, or another process uses its journal, or that had failed before`;

/** The leases are not this process's: nothing that was granted is ours; what reservations hold is counted beyond. */
function startAnew(state: HolderState, taken: readonly Stock[]): void {
  const why = state.hasJournal ? TAKEN_OVER : TAKEN;
  state.log.error({ ledgers: ledgersOf(taken) }, `${why}; it begins anew`);
  state.renewIdentity();
  for (const sent of state.sent) giveUp(state, sent);
  for (const stock of Array.from(state.stocks.values())) {
    if (stock.retiring) {
      state.forget(stock); // it is the other's to settle
      continue;
    }
    beginAnew(state, stock);
  }
}

/** The same ledger under a new name: nothing that was granted is ours. */
export function beginAnew(state: HolderState, stock: Stock): void {
  stock.slices = [];
  stock.frozen = 0;
  rebase(stock.lease);
  stock.id = state.mint();
  stock.seq = 0;
  stock.heard = false;
  register(state, stock);
}
