/**
 * Looks at everything when it has come to rest: the store against the truth, and every process against both.
 *
 *   L4  When faults stop, the ledger is the truth, nothing of a live idle holder is outstanding, and everything
 *       closes.
 *   I7  What a refused operation asked for is held nowhere: a process holds what its callers were allowed, and
 *       no more.
 */
import type { Account } from "./account.ts";
import type { Agenda } from "./agenda.ts";
import type { Cluster } from "./cluster.ts";
import type { Fleet, Process } from "./fleet.ts";
import { factsOf, type LedgerFacts } from "./reference.ts";
import { TENANTS } from "./scheme.ts";
import { accountName, type Truth } from "./truth.ts";

export interface RestOptions {
  readonly agenda: Agenda;
  readonly cluster: Cluster;
  readonly fleet: Fleet;
  readonly truth: Truth;
  /** Nothing was lost anywhere: figures are equal, not only on the safe side. */
  readonly exact: boolean;
  readonly fail: (what: string) => void;
}

export interface Stranded {
  quarantined: number;
  capacity: number;
}

type Spec = Pick<LedgerFacts, "key" | "kind" | "end">;

/** The account of a ledger of the store; its key has uid, limit and meter, values of `per`, period. */
export function nameOf({ key, kind, end }: Spec): string {
  const [uid = "", limit = "", values = ""] = key.split("\0");
  const [name = ""] = limit.split("/");
  const ends = kind === "budget" && end < Number.MAX_SAFE_INTEGER;
  return accountName(uid, name, values, ends ? end : undefined);
}

const everything = ({ cluster }: RestOptions): readonly LedgerFacts[] => {
  const node = cluster.primary();
  return Array.from(node.data.values()).flatMap((shard) => factsOf(shard, cluster.clockOf(node)));
};

/** After the load: what is used agrees, and what is left is no more than it may be. */
export function checkStore(options: RestOptions): Stranded {
  const { truth, exact, fail } = options;
  const stranded = { quarantined: 0, capacity: 0 };
  truth.tick();
  const now = options.cluster.clockOf(options.cluster.primary());
  for (const ledger of everything(options)) {
    const account = truth.accounts.get(nameOf(ledger));
    if (!account || account.kind !== "budget" || ledger.end <= now) continue; // of what is over nothing is granted
    stranded.quarantined += ledger.quarantined;
    stranded.capacity += ledger.capacity;
    checkBudget(account, ledger, fail);
    if (exact && ledger.settled !== account.charged) {
      fail(`L4 ${account.name}: settled ${ledger.settled}, charged ${account.charged}`);
    }
  }
  return stranded;
}

/** What nobody has used yet must not be more than what the limit still allows. */
function checkBudget(
  account: Account,
  { available, settled, out, quarantined }: LedgerFacts,
  fail: (what: string) => void,
): void {
  const { name, charged, held, overage, capacity } = account;
  const used = charged + held - overage;
  if (used + Math.max(0, available) > Math.max(capacity, used)) {
    fail(
      `L4 ${name}: ${available} available (settled ${settled} out ${out} quarantined ${quarantined}), used ${used} of ${capacity}`,
    );
  }
}

/** Before everybody drains: what is out with those who live is renewed. */
export function checkRenewed(options: RestOptions): void {
  const now = options.cluster.clockOf(options.cluster.primary());
  const living = livingLeases(options.fleet);
  for (const ledger of everything(options)) {
    for (const { id, state, out, expiresAt } of ledger.records) {
      const name = living.get(id);
      if (name === undefined || out === 0 || state === "retired") continue;
      if (state === "live" && expiresAt > now) continue;
      options.fail(`L4 ${name}: ${out} of ${nameOf(ledger)} is not renewed under ${id}`);
    }
  }
}

export const livingLeases = ({ processes }: Fleet): ReadonlyMap<string, string> =>
  new Map(
    processes.flatMap(({ name, sidecar }) =>
      Array.from(sidecar?.wire.leases() ?? [], (id) => [id, name] as const),
    ),
  );

/**
 * After everybody has drained: nothing is out with those who live. `living`: their leases before. (A store that loses
 * what it has heard last may lose that somebody has closed: then the units stay with the dead.)
 */
export function checkClosed(options: RestOptions, living: ReadonlyMap<string, string>): void {
  for (const ledger of everything(options)) {
    for (const { id, state, out } of ledger.records) {
      const name = living.get(id);
      if (name === undefined || state !== "live" || out === 0) continue;
      options.fail(`L4 ${name}: ${out} of ${nameOf(ledger)} left outstanding under ${id}`);
    }
  }
}

const LOOK_MS = 500;
const AGAIN_MS = 7;
/** Three that expire one after the other may each be seen so. */
const TRIES = 6;

/** Now and then compares what each process says it holds with what its callers were allowed (I7). */
export function watchHolds({ agenda, fleet, truth, fail }: RestOptions, until: number): void {
  const isUnsure = ({ isTorn, unsureUntil }: Process): boolean =>
    isTorn || agenda.now() < unsureUntil;

  /** A difference has to last: an expiry may be seen a moment earlier on one side. */
  function look(process: Process, tries: number): void {
    const { sidecar, owner } = process;
    if (!sidecar?.lives() || !process.host.runs() || isUnsure(process)) return;
    truth.tick();
    const open = sidecar.openReservations();
    const known = truth.openOf(owner);
    let wrong =
      open === known ? "" : `${process.name} has ${open} open reservations, made ${known}`;
    for (const tenant of TENANTS) {
      sidecar.balances(tenant, (balances) => {
        if (process.owner !== owner || process.sidecar !== sidecar) return;
        truth.tick();
        for (const balance of balances) {
          const account = truth.find(tenant, balance);
          if (!account || account.kind === "rate") continue;
          const held = truth.heldBy(owner, account);
          if (held >= balance.localReservedUnits) continue;
          wrong = `${account.name}: ${process.name} holds ${balance.localReservedUnits}, allowed ${held}`;
        }
      });
    }
    agenda.at(AGAIN_MS, "looked", () => {
      if (wrong === "") return;
      if (tries >= TRIES) fail(`I7 ${wrong}`);
      else look(process, tries + 1);
    });
  }

  const turn = (): void => {
    if (agenda.now() > until) return;
    for (const process of fleet.processes) look(process, 1);
    agenda.at(LOOK_MS, "look", turn);
  };
  agenda.at(LOOK_MS, "look", turn);
}
