/**
 * Where the engine gets units, and where it brings them back.
 *
 * This version keeps nothing in stock: a decision asks the store for exactly what it lacks, and what is free
 * goes back with the next message. With a store in the process that is as cheap as a stock and never strands a
 * unit.
 *
 *   FU1  An ask is granted on all its ledgers or on none.
 *   FU2  After `flush` no lease has free units, and the store knows all that was settled.
 *   FU3  The only holder of a ledger knows what the store would answer: it draws what is there, counted beyond,
 *        and says so in the message at the end of the turn. A draw that nobody used was never made.
 *   FU4  Of a budget without debt it says so later, in one message for many turns: neither time nor anybody else
 *        changes it meanwhile. (A rate refills by what is out; units that come back pay a debt.)
 *
 * A message less is a twentieth of what a decision costs. The store is asked all the same where it may
 * know more: of a ledger that is new here or was edited, and of a period that another one passes something to.
 */
import type { LedgerAnswer, LedgerBlock, LedgerReading, LedgerSpec } from "../core/lease/ledger.ts";
import type { Mode, StoreLossRule } from "../core/policy/document.ts";
import type { DurationMs, EpochMs } from "../core/time.ts";
import { MAX_UNITS, type Units } from "../core/units.ts";
import type { Keeper, Recovered } from "../ports/journal.ts";
import type { LeaseStore, StoreFault } from "../ports/lease-store.ts";
import {
  available,
  block,
  draw,
  forgetTold,
  free,
  noteTold,
  returnFree,
  undraw,
  type Lease,
} from "./lease.ts";
import type { Now } from "./now.ts";
import type { Standing } from "./standing.ts";
import type { Ticket, Turn, Wait } from "./turn.ts";

/** granted: all units are here; short: they are not to be had now; wait: nobody knows yet. */
export type Outcome = "granted" | "short" | "wait";

/** Why units are not here: used up, not had in time, or the store is lost. `waitMs`: until a next try. */
export interface Lack {
  readonly lack: "used" | "pending" | "lost";
  readonly waitMs: DurationMs;
}

/** What one limit is asked for. */
export type Claim = Pick<Standing, "lease" | "need"> & { readonly limit: { readonly mode: Mode } };

export interface Funds {
  /** The store is a fleet's, and a network away: an operation may have to wait for it. */
  readonly isShared: boolean;
  /** A turn begins. */
  begin(now: Now): void;
  /** It ends: tells the store what has changed. */
  end(): void;
  /** Gets the units of every enforced limit here, all or none. `ttlMs`: how long they may be held. */
  ask(standings: readonly Claim[], turn: Turn, ttlMs: DurationMs): Outcome;
  /** `resume` is called once, in no turn, when there is news or `ticket.until` is past. */
  wait(needs: Wait, ticket: Ticket, resume: () => void): void;
  /** After {@link Funds.ask} said short: whether it was not this lease that lacked units. */
  isHere(lease: Lease, units: Units, ttlMs: DurationMs): boolean;
  /** Why it lacked them. */
  why(lease: Lease, units: Units): Lack;
  /** Gets up to `units` without waiting; what it returns is then free on the lease. */
  cover(lease: Lease, units: Units): Units;
  /** Whether waiting could cover more. */
  couldCover(lease: Lease, units: Units): boolean;
  /** What the store knows of a ledger that is not held here, without waiting; undefined: nothing. */
  peek(key: string): LedgerReading | undefined;
  /** This lease was used: what is free or settled on it goes to the store in its time. */
  touch(lease: Lease): void;
  /** A reservation on it may live so long from now on. */
  prolong(lease: Lease, ttlMs: DurationMs): void;
  /** Where the store is in the process: it knows all that was used, and views are exact. */
  flush(): void;
  /** Forgets a lease that nothing holds any more. */
  close(lease: Lease): void;
  /** A lease of this ledger that is being closed, or was made before its period began; it is in use again. */
  held(spec: LedgerSpec): Lease | undefined;
  /** `isLook`: nothing is asked for, and nothing is to come of it. */
  mayFallBack(lease: Lease, rule: StoreLossRule, units: Units, isLook: boolean): boolean;
  countFallback(lease: Lease, units: Units): void;
  /** The clock that decides periods; undefined: the wall clock. */
  periodTime(mono: number): EpochMs | undefined;
  /** When it has something to do (mono); Infinity: nothing. */
  nextDue(): number;
  /** What of it survives the process; undefined: nothing that it knows. */
  readonly keeper: Keeper | undefined;
  /** Goes on where the process before stopped; `leases` are the engine's, by ledger. */
  restore(recovered: Recovered, leases: ReadonlyMap<string, Lease>): void;
  /** The journal has failed: what it says must not be relied on by whoever reads it. `isMarked`: it says so itself. */
  journalLost(isMarked: boolean): void;
  isUp(): boolean;
  /** Answers are given without the store. */
  isLost(): boolean;
  /** Why, where the store itself does not say so. */
  whyLost(): string;
  /** Gives everything back; `done` when the store has confirmed it. */
  drain(done: () => void): void;
}

export const isFault = (answer: object): answer is StoreFault => "fault" in answer;

const ignore = (): undefined => undefined;
const USED: Lack = { lack: "used", waitMs: 0 };

/** For so long the store does not hear of what may wait (FU4): ms, and leases. */
const WAIT: DurationMs = 100;
const WAITING_MAX = 1_000;

/** `tellsAll`: at the end of each turn the store knows all, for it is journaled with the turn. */
export function createFunds(store: LeaseStore, tellsAll = false): Funds {
  const touched: Lease[] = [];
  const waiting: Lease[] = [];
  let now = 0;
  let flushedAt = 0;

  function exchange(
    leases: readonly Lease[],
    blocks: readonly LedgerBlock[],
    done: (answers: readonly LedgerAnswer[] | StoreFault) => void,
  ): void {
    store.sync(blocks, (answers) => {
      if (!isFault(answers)) {
        for (const [i, answer] of answers.entries()) {
          const lease = leases[i];
          const sent = blocks[i];
          if (lease && sent) learn(lease, answer, sent);
        }
      }
      done(answers);
    });
  }

  function askStore(standings: readonly Claim[]): Outcome {
    const leases: Lease[] = [];
    const blocks: LedgerBlock[] = [];
    for (const standing of standings) {
      const { lease } = standing;
      if (!lease) continue;
      const lacking = lackingOf(standing);
      if (lacking === 0 && !lease.dirty) continue; // a new lease asks, to hear what is known of it
      funds.touch(lease);
      leases.push(lease);
      blocks.push(block(lease, lacking));
    }
    let outcome: Outcome = "granted";
    exchange(leases, blocks, (answers) => {
      if (isFault(answers) || answers.some(({ short }) => short)) outcome = "short";
    });
    return outcome;
  }

  /** Ends what the turn began; returns the leases that the store hears of at once. */
  function settleTurn(): Lease[] {
    const urgent: Lease[] = [];
    for (const lease of touched) {
      lease.touched = false;
      undraw(lease);
      if (!isNews(lease)) continue;
      if (tellsAll || !mayWait(lease)) {
        lease.waits = false;
        urgent.push(lease);
        continue;
      }
      lease.dirty = false;
      lease.drawn = 0;
      if (!lease.waits) waiting.push(lease);
      lease.waits = true;
    }
    touched.length = 0;
    return urgent;
  }

  function tell(leases: readonly Lease[]): void {
    if (leases.length === 0) return;
    for (const lease of leases) returnFree(lease);
    exchange(
      leases,
      leases.map((lease) => block(lease, 0)),
      ignore,
    );
  }

  const funds: Funds = {
    isShared: false,
    begin({ mono }) {
      now = mono;
    },
    end() {
      if (now - flushedAt >= WAIT || waiting.length >= WAITING_MAX) funds.flush();
      else tell(settleTurn());
    },
    ask(standings, { now }) {
      if (!standings.every(isKnown)) return askStore(standings);
      for (const standing of standings) {
        const { lease } = standing;
        if (lease && lackingOf(standing) > 0 && standing.need > available(lease, now.mono)) {
          return "short"; // (FU1)
        }
      }
      for (const standing of standings) {
        const lacking = lackingOf(standing);
        if (!standing.lease || lacking === 0) continue;
        funds.touch(standing.lease);
        draw(standing.lease, lacking); // (FU3)
      }
      return "granted";
    },
    wait: ignore,
    isHere: (lease, units) => free(lease) >= units,
    why: () => USED,
    couldCover: () => false,
    prolong: ignore,
    held: ignore,
    mayFallBack: () => false,
    countFallback: ignore,
    periodTime: ignore,
    nextDue: () => Infinity,
    keeper: undefined,
    restore: ignore,
    journalLost: ignore,
    isUp: () => true,
    isLost: () => false,
    whyLost: () => "",
    drain(done) {
      funds.flush();
      done();
    },
    cover(lease, units) {
      funds.touch(lease); // whoever covers may be refused by another limit: then it all goes back
      for (let tries = 0; tries < 2; tries++) {
        const lacking = units - free(lease);
        if (lacking <= 0) return units;
        const need = tries === 0 ? lacking : Math.min(lacking, Math.max(0, lease.view.available));
        if (need > 0) exchange([lease], [block(lease, need)], ignore);
      }
      return Math.min(units, free(lease));
    },
    peek(key) {
      let known: LedgerReading | undefined;
      store.read([key], (views) => {
        if (!isFault(views)) [known] = views;
      });
      return known;
    },
    touch(lease) {
      if (lease.touched) return;
      lease.touched = true;
      touched.push(lease);
    },
    flush() {
      const urgent = settleTurn();
      const told = waiting.filter((lease) => {
        const { waits } = lease;
        lease.waits = false; // it may be on the list twice
        return waits;
      });
      waiting.length = 0;
      flushedAt = now;
      tell([...told, ...urgent]);
    },
    close(lease) {
      lease.waits = false;
      undraw(lease);
      returnFree(lease);
      exchange([lease], [block(lease, 0, true)], ignore);
    },
  };
  return funds;
}

/** Whether the store has not heard of something. */
const isNews = (lease: Lease): boolean => lease.dirty || lease.drawn > 0 || free(lease) > 0;

/** Half of what can be counted is left for the turns until it is told (FU4). */
const mayWait = ({ spec, view, overage, toldOverage, granted, beyond }: Lease): boolean =>
  spec.kind === "budget" &&
  spec.family === "" &&
  view.debt === 0 &&
  view.limit === spec.capacity &&
  overage === toldOverage &&
  granted + beyond < MAX_UNITS / 2;

/** What an enforced limit would have to grant. */
function lackingOf({ lease, limit, need }: Claim): Units {
  return lease && limit.mode === "enforce" ? Math.max(0, need - free(lease)) : 0;
}

/** What this lease was last told is all that the store has to say (FU3). */
const isKnown = ({ lease }: Claim): boolean =>
  lease === undefined || (!lease.dirty && lease.spec.family === "");

/** Credits a grant after it was received: totals, so that a repeated answer adds nothing. */
function learn(lease: Lease, answer: LedgerAnswer, sent: LedgerBlock): void {
  lease.view = answer.view;
  lease.drawn = 0;
  if (answer.folded) return foldOff(lease, answer.granted, sent);
  lease.granted = Math.max(lease.granted, answer.granted);
  noteTold(lease, sent);
}

/** What was sent is folded at the store: what came after it stays here. */
function foldOff(lease: Lease, granted: Units, sent: LedgerBlock): void {
  lease.granted = granted;
  lease.spent -= sent.spent;
  lease.returned -= sent.returned;
  lease.beyond -= sent.beyond;
  lease.overage -= sent.overage;
  lease.refunded -= sent.refunded;
  forgetTold(lease);
}
