/** Timers in the order of their due time, then of their making: a binary heap, since a fleet has thousands. */
export interface Timer {
  readonly due: number;
  readonly order: number;
  readonly task: () => void;
  isCancelled: boolean;
}

export interface TimerQueue {
  add(timer: Timer): void;
  /** Takes the first out if it is due at `until`; cancelled ones are thrown away. */
  takeDue(until: number): Timer | undefined;
}

const isBefore = (a: Timer, b: Timer): boolean =>
  a.due < b.due || (a.due === b.due && a.order < b.order);

export function createTimerQueue(): TimerQueue {
  const heap: Timer[] = [];

  function add(timer: Timer): void {
    let slot = heap.length;
    for (; slot > 0;) {
      const parent = heap[(slot - 1) >> 1];
      if (!parent || !isBefore(timer, parent)) break;
      heap[slot] = parent;
      slot = (slot - 1) >> 1;
    }
    heap[slot] = timer;
  }

  /** Puts `timer` where the first was. */
  function replaceFirst(timer: Timer): void {
    let slot = 0;
    for (;;) {
      const left = heap[2 * slot + 1];
      const right = heap[2 * slot + 2];
      const isRight = left && right && isBefore(right, left);
      const child = isRight ? right : left;
      if (!child || !isBefore(child, timer)) break;
      heap[slot] = child;
      slot = 2 * slot + (isRight ? 2 : 1);
    }
    heap[slot] = timer;
  }

  return {
    add,
    takeDue(until) {
      for (;;) {
        const [first] = heap;
        if (!first || (first.due > until && !first.isCancelled)) return undefined;
        const last = heap.pop();
        if (last && last !== first) replaceFirst(last);
        if (!first.isCancelled) return first;
      }
    },
  };
}
