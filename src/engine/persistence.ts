/**
 * What the engine journals, and how a process goes on from it.
 *
 *   PE1  What survives is what was true after a write: of one event-loop turn all changes or none.
 *   PE2  A reservation, a settled one and the answer under a key say after a restart what they said before.
 *   PE3  What is held on a lease is what its reservations hold: it is counted from them, not kept beside them.
 *   PE4  Nothing is walked through to find what has changed: a turn costs what it touched.
 *
 * A reservation's entry is its whole state, so the latest one counts and an operation is never played again.
 * Leases are told of at which account they hang; what they have had and used is kept by whoever knows it: the
 * embedded store by ledger, the holder of a shared one beside its leases. Loops and breakers begin anew: they
 * are about the last minutes of a process, and a call too many is all that is lost.
 */
import type { Journal, JournalEntry, Keeper, Recovered } from "../ports/journal.ts";
import type { Core } from "./core.ts";
import {
  packLease,
  packMemory,
  packReservation,
  unpackLease,
  unpackMemory,
  unpackReservation,
} from "./journal-state.ts";
import { hasTakers, type Lease } from "./lease.ts";
import type { Now } from "./now.ts";
import type { Keyed, Reservation, Reservations } from "./reservations.ts";
import type { Placing, Watch } from "./watch.ts";

/** How exactly is kept when a lease was last used, ms: the ttl of a `once` bucket counts from it. */
const USED_WITHIN = 10_000;

export interface Persistence extends Keeper, Watch {
  /** Where the engine's things are. Before the first change. */
  attach(reservations: Reservations, now: () => Now): void;
  /** From now on changes count; until now things were put back as they were. */
  begin(): void;
}

interface Placed extends Placing {
  /** The use that is in the journal (mono). */
  savedAt: number;
}

export function createPersistence(): Persistence {
  let reservations: Reservations | undefined;
  let now: () => Now = () => ({ wall: 0, latest: 0, mono: 0 });
  const placed = new Map<Lease, Placed>();
  const ids = new Set<string>();
  const keys = new Set<string>();
  /** By ledger; undefined: it is forgotten. */
  const leases = new Map<string, Lease | undefined>();

  const leaseEntry = (lease: Lease, placing: Placing, at: Now): JournalEntry => ({
    kind: "lease",
    name: lease.spec.key,
    state: packLease(lease, placing, at),
  });

  function collectId(journal: Pick<Journal, "put" | "drop">, id: string, at: Now): void {
    const found = reservations?.get(id);
    if (found && "holds" in found) return journal.put("reservation", id, packReservation(found));
    if (!id.startsWith("\0")) journal.drop("reservation", id);
    const memory = reservations?.memory(id);
    if (memory) journal.put("memory", id, packMemory(memory, at));
    else journal.drop("memory", id);
  }

  return {
    attach(to, moment) {
      reservations = to;
      now = moment;
    },
    begin() {
      ids.clear();
      keys.clear();
      leases.clear();
    },
    changed: (id) => void ids.add(id),
    answered: (key) => void keys.add(key),
    placed(lease, placing) {
      placed.set(lease, { ...placing, savedAt: lease.usedAt });
      leases.set(lease.spec.key, lease);
    },
    used(lease) {
      const at = placed.get(lease);
      if (!at || lease.usedAt - at.savedAt < USED_WITHIN) return;
      at.savedAt = lease.usedAt;
      leases.set(lease.spec.key, lease);
    },
    gone(lease) {
      placed.delete(lease);
      leases.set(lease.spec.key, undefined);
    },
    collect(journal) {
      if (ids.size + keys.size + leases.size === 0) return;
      const at = now();
      for (const [key, lease] of leases) {
        const placing = lease && placed.get(lease);
        if (placing) journal.put("lease", key, packLease(lease, placing, at));
        else journal.drop("lease", key);
      }
      for (const id of ids) collectId(journal, id, at);
      for (const key of keys) {
        const keyed = reservations?.keyed(key);
        if (keyed) journal.put("answer", key, keyed);
        else journal.drop("answer", key);
      }
      ids.clear();
      keys.clear();
      leases.clear();
    },
    *live() {
      for (const [lease, placing] of placed) yield leaseEntry(lease, placing, now());
      if (!reservations) return;
      for (const one of reservations.live()) {
        yield { kind: "reservation", name: one.id, state: packReservation(one) };
      }
      for (const memory of reservations.memories()) {
        yield { kind: "memory", name: memory.id, state: packMemory(memory, now()) };
      }
      for (const [name, state] of reservations.answers()) yield { kind: "answer", name, state };
    },
  };
}

/** A journal, and what the process before has left in it. */
export interface Kept {
  readonly journal: Journal;
  readonly recovered: Recovered;
}

/** Puts back what was kept, and keeps what happens from now on. */
export function goOn(
  core: Core,
  { journal, recovered }: Kept,
  persistence: Persistence,
  readNow: () => Now,
): void {
  const { funds, reservations } = core;
  const now = readNow();
  funds.begin(now);
  persistence.attach(reservations, readNow);
  const leases = restore(core, recovered, { watch: persistence, now });
  funds.restore(recovered, leases);
  persistence.begin();
  journal.join(persistence);
  if (funds.keeper) journal.join(funds.keeper);
  funds.end();
}

/** Returns the leases that were, by ledger. */
function restore(
  core: Core,
  recovered: Recovered,
  { watch, now }: { readonly watch: Watch; readonly now: Now },
): ReadonlyMap<string, Lease> {
  const { reservations, accounts, funds } = core;
  const found = new Map<string, ReturnType<typeof unpackLease>>();
  for (const [key, state] of recovered.of("lease")) found.set(key, unpackLease(state, now));
  const open = Array.from(recovered.of("reservation"), ([id, state]) =>
    unpackReservation(id, state, found, now),
  );
  for (const reservation of open.sort((a, b) => a.sequence - b.sequence)) {
    reservations.add(reservation);
    takeHolds(reservation);
  }
  for (const { lease, placing } of found.values()) {
    accounts.restore(lease, placing);
    watch.placed(lease, placing);
  }
  recallAnswers(core, recovered, now);
  for (const { lease } of found.values()) {
    lease.dirty = true;
    funds.touch(lease); // what the store knows of it comes with its answer
  }
  return new Map(Array.from(found, ([key, { lease }]) => [key, lease]));
}

/** What the reservation holds counts on its leases again (PE3). */
function takeHolds(reservation: Reservation): void {
  for (const { lease, held } of reservation.holds) {
    lease.holds++;
    if (lease.spec.kind === "rate") lease.pending += held;
    else {
      lease.reserved += held;
      lease.granted += held;
    }
    if (reservation.state === "expired") lease.lapsed += held;
    else if (hasTakers(lease.spec)) lease.takers.add(reservation);
  }
}

/** Those that are wanted for the shortest time are the oldest, but for reservations of more than five minutes. */
function recallAnswers({ reservations }: Core, recovered: Recovered, now: Now): void {
  const memories = Array.from(recovered.of("memory"), ([id, state]) =>
    unpackMemory(id, state, now),
  );
  memories.sort((a, b) => a.deadline - b.deadline);
  for (const memory of memories) reservations.recall(memory);
  for (const [key, keyed] of recovered.of("answer")) {
    reservations.recallAnswer(key, keyed as Keyed);
  }
}
