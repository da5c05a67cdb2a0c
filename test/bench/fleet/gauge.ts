/**
 * What is really left of one limit, over time: seen by nobody in a fleet, but by whoever measures one. Of a rate it
 * is an ideal bucket that is fed with what the fleet admits.
 */
export interface Gauge {
  /** Admitted; below 0: given back. */
  take(units: number, now: number): void;
  left(now: number): number;
  /** The least that lay there at any moment of the last `within` ms, 5 s at most. */
  least(within: number, now: number): number;
  /** The farthest below 0 that it ever was. */
  over(): number;
}

interface Note {
  readonly at: number;
  readonly left: number;
}

const KEPT = 5_000;

/** `refill`: units a ms, up to the capacity. */
export function createGauge(capacity: number, refill = 0): Gauge {
  let level = capacity;
  let levelAt = 0;
  let over = 0;
  /** Left after each change, without those that a later one is not above: so the first of a span is its least. */
  let notes: Note[] = [{ at: 0, left: capacity }];

  const left = (now: number): number =>
    refill === 0 ? level : Math.min(capacity, level + refill * (now - levelAt));

  /** The last note that is not after `at`. */
  function before(at: number): number {
    let low = 0;
    for (let high = notes.length; high - low > 1;) {
      const middle = (low + high) >> 1;
      if ((notes[middle]?.at ?? Infinity) <= at) low = middle;
      else high = middle;
    }
    return low;
  }

  return {
    take(units, now) {
      level = left(now) - units;
      levelAt = now;
      over = Math.max(over, -level);
      while (notes.length > 1 && (notes.at(-1)?.left ?? 0) >= level) notes.pop();
      notes.push({ at: now, left: level });
      if (notes.length > 10_000) notes = notes.slice(before(now - KEPT));
    },
    left,
    least(within, now) {
      const from = now - within;
      const at = before(from);
      const then = notes[at];
      if (!then) return capacity;
      const atFirst = Math.min(capacity, then.left + refill * Math.max(0, from - then.at));
      return Math.min(atFirst, notes[at + 1]?.left ?? Infinity);
    },
    over: () => over,
  };
}
