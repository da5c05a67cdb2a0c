/**
 * How one process goes on where another one stopped: leases are this process's own only as far as its journal
 * proves it.
 *
 *   HS1  An intact journal makes an heir: the same leases, one epoch on. What is free of them may be spent after the
 *        store's first answer; a timed lease counts as over.
 *   HS2  A journal of which the end may be missing proves totals that were, not what became of the rest: its
 *        leases are retired, which settles what is proven and leaves the rest in quarantine. What its
 *        reservations hold is counted beyond, on leases of this process's own.
 *   HS3  A journal that fails is a journal that will be read one day. Where it could not be marked as failed its leases
 *        are retired at once, or whoever reads it would spend them again; what was out of them is in quarantine.
 *   HS4  Of rates and slots nothing is retired: the agents of a process that is gone may still run, and time brings
 *        both back.
 *   HS5  A journal that is marked as failed misleads nobody. All of a lease moves to a new one of this process: first
 *        the store hears under the new name of what is held, then all goes back under the old one. Rates are left to
 *        time.
 */
import type { Holder, Witness } from "../../core/lease/message.ts";
import { freshView, type LedgerSpec } from "../../core/lease/ledger.ts";
import type { Units } from "../../core/units.ts";
import type { Journal, JournalEntry, Keeper, Recovered } from "../../ports/journal.ts";
import { createLease, free, rebase, type Lease } from "../lease.ts";
import { beginAnew, giveUp, register } from "./exchange.ts";
import type { HolderState } from "./state.ts";
import { newStock, reported, type Stock } from "./stock.ts";

/** What the journal keeps of a stock. */
interface TotalsState {
  readonly id: string;
  readonly granted: Units;
  readonly spent: Units;
  readonly returned: Units;
  readonly beyond: Units;
  readonly overage: Units;
  readonly refunded: Units;
  readonly unbacked: Units;
  readonly witness: Witness;
  readonly longestTtl: number;
  readonly retiring: boolean;
  /** Of a ledger that nothing but the holder knows any more. */
  readonly spec?: LedgerSpec;
}

const SELF = "self";

function pack(stock: Stock): TotalsState {
  const { lease, id, witness, longestTtl, closing, isSeed, retiring } = stock;
  const { spent, returned, beyond, overage, refunded, unbacked, spec } = lease;
  const isAlone = closing || isSeed || retiring;
  return {
    id,
    granted: reported(stock),
    spent,
    returned,
    beyond,
    overage,
    refunded,
    unbacked,
    witness,
    longestTtl,
    retiring,
    ...(isAlone && { spec }),
  };
}

/** Tells the journal who this process is, and what its leases have had and used. */
export function createHolderKeeper(state: HolderState): Keeper & { changed(stock: Stock): void } {
  const changed = new Map<string, Stock>();
  let told: Holder | undefined;
  return {
    changed: (stock) => void changed.set(nameOf(stock), stock),
    collect(journal: Pick<Journal, "put" | "drop">) {
      if (told !== state.identity) journal.put("holder", SELF, state.identity);
      told = state.identity;
      for (const [name, stock] of changed) {
        if (state.stocks.get(name) === stock) journal.put("totals", name, pack(stock));
        else journal.drop("totals", name);
      }
      changed.clear();
    },
    *live(): Iterable<JournalEntry> {
      yield { kind: "holder", name: SELF, state: state.identity };
      for (const [name, stock] of state.stocks) yield { kind: "totals", name, state: pack(stock) };
    },
  };
}

/** A stock that is being retired stands beside the one that took its place. */
export const nameOf = ({ lease, retiring, id }: Stock): string =>
  retiring ? `${lease.spec.key}\0${id}` : lease.spec.key;

/** Who went before, as the journal says; undefined: nobody. */
export const predecessor = (recovered: Recovered | undefined): Holder | undefined =>
  recovered?.of("holder").get(SELF) as Holder | undefined;

/** Takes up what the process before had. `leases`: what the engine has restored, by ledger. */
export function succeed(
  state: HolderState,
  recovered: Recovered,
  leases: ReadonlyMap<string, Lease>,
): void {
  for (const [name, found] of recovered.of("totals")) {
    const totals = found as TotalsState;
    const lease = leases.get(name);
    if (recovered.intact && lease && !totals.retiring) takeOver(state, lease, totals);
    else if (lease && !totals.retiring) {
      retire(state, lease.spec, totals); // (HS2)
      rebase(lease);
      register(state, state.stockOf(lease));
    } else if (totals.spec) retire(state, totals.spec, totals, recovered.intact);
  }
}

/** (HS1) */
function takeOver(state: HolderState, lease: Lease, totals: TotalsState): void {
  const stock = state.stockOf(lease);
  stock.id = totals.id;
  stock.witness = totals.witness;
  stock.longestTtl = totals.longestTtl;
  lease.spent = totals.spent;
  lease.returned = totals.returned;
  lease.beyond = totals.beyond;
  lease.overage = totals.overage;
  lease.refunded = totals.refunded;
  lease.unbacked = totals.unbacked;
  stock.sentSpent = totals.spent - totals.beyond;
  lease.granted = 0;
  lease.granted = -free(lease); // nothing is free before the store has answered
  stock.frozen = totals.granted - lease.granted;
  register(state, stock);
}

/** Settles what is proven under the old name. `isOwn`: this process is the heir, and nothing is held there. */
function retire(
  state: HolderState,
  spec: LedgerSpec,
  totals: TotalsState,
  isOwn = false,
): Stock | undefined {
  if (spec.kind !== "budget") return undefined; // (HS4)
  const stock = oldOf(state, spec, totals);
  // An heir that nothing is held by gives all back; what a torn journal leaves open is for the store to keep.
  if (isOwn && !totals.retiring) stock.lease.returned += Math.max(0, free(stock.lease));
  return stock;
}

/** A lease under the name that it had, with nothing held on it: to be told, and then forgotten. */
function oldOf(state: HolderState, spec: LedgerSpec, totals: TotalsState): Stock {
  const lease = createLease(spec, freshView(spec, state.now.mono), state.now.mono);
  Object.assign(lease, {
    granted: totals.granted,
    spent: totals.spent,
    returned: totals.returned,
    beyond: totals.beyond,
    overage: totals.overage,
    refunded: totals.refunded,
  });
  const stock = newStock(lease, totals.id, state.now.mono);
  stock.witness = totals.witness;
  stock.retiring = true;
  state.keep(stock);
  register(state, stock);
  return stock;
}

/** The journal has failed; `isMarked`: whoever reads it will know (HS3, HS5). */
export function retireAll(state: HolderState, isMarked: boolean): void {
  for (const stock of Array.from(state.stocks.values())) {
    if (stock.retiring) continue;
    const { spec } = stock.lease;
    const totals = pack(stock);
    if (stock.inFlight) giveUp(state, stock.inFlight);
    const isMoved = isMarked && spec.kind !== "rate";
    const retired = isMoved ? oldOf(state, spec, totals) : retire(state, spec, totals);
    if (retired) retired.seq = stock.seq; // the same process goes on under this name: to the store it would be old
    if (retired && isMoved) Object.assign(retired, { heir: stock, closing: true });
    beginAnew(state, stock);
  }
}
