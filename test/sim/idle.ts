/**
 * Where the units of one budget lie, and for how long they have lain there: in the store's pool, and with each process
 * what the store says it was granted, less what its callers hold and have used.
 *
 * That a sum stays does not mean that the same units do: those of a short budget change hands within milliseconds. So
 * what has been idle is counted place by place, as the least that lay there, and summed then. A process that has used
 * more than it was granted has nothing idle; a pool that is in debt is paid first (S23).
 */
const POOL = "";
const KEPT_MS = 1_000;

interface Place {
  units: number;
  /** What lay here, and since when: for as long as may be asked. */
  readonly past: { readonly at: number; readonly units: number }[];
}

export interface Idle {
  /** More at this place, or less. */
  moved(place: string, by: number, now: number): void;
  pool(available: number, now: number): void;
  /** All that this lease of the process has been granted so far, and not returned. */
  granted(place: string, lease: string, units: number, now: number): void;
  /** What lay idle all the last `ms`. */
  least(ms: number, now: number): number;
}

export function createIdle(): Idle {
  const places = new Map<string, Place>();
  const leases = new Map<string, number>();

  function moved(name: string, by: number, now: number): void {
    if (by === 0) return;
    let place = places.get(name);
    if (!place) places.set(name, (place = { units: 0, past: [{ at: now, units: 0 }] }));
    const { past } = place;
    place.units += by;
    past.push({ at: now, units: place.units });
    while (past.length > 2 && (past[1]?.at ?? now) < now - KEPT_MS) past.shift();
  }

  /** 0 of what is not known for so long. */
  function leastOf({ units, past }: Place, since: number): number {
    let least = units;
    for (const then of past.toReversed()) {
      least = Math.min(least, then.units);
      if (then.at <= since) return least;
    }
    return Math.min(0, least);
  }

  return {
    moved,
    pool: (available, now) => moved(POOL, available - (places.get(POOL)?.units ?? 0), now),
    granted(place, lease, units, now) {
      moved(place, units - (leases.get(lease) ?? 0), now);
      leases.set(lease, units);
    },
    least(ms, now) {
      let sum = 0;
      for (const [name, place] of places) {
        const least = leastOf(place, now - ms);
        sum += name === POOL ? least : Math.max(0, least);
      }
      return sum;
    },
  };
}

/** Of all budgets, by the names of their accounts: the store may speak of one before any caller does. */
export function createIdles(): (name: string) => Idle {
  const all = new Map<string, Idle>();
  return (name) => {
    let idle = all.get(name);
    if (!idle) all.set(name, (idle = createIdle()));
    return idle;
  };
}
