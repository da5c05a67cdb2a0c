/**
 * A binary heap of things by deadline, earliest first, from which any of them can be taken out again in
 * O(log n): most reservations settle long before they expire, and must not stay in memory until then.
 */
export interface Timed {
  /** Milliseconds (mono). Change it only through {@link DeadlineHeap.move}. */
  deadline: number;
  /** Where it lies in the heap; −1: not in it. */
  slot: number;
}

export interface DeadlineHeap<T extends Timed> {
  add(item: T): void;
  remove(item: T): void;
  /** Gives an item another deadline. */
  move(item: T, deadline: number): void;
  /** Takes the earliest out if its deadline is not after `now`. */
  takeDue(now: number): T | undefined;
  /** Infinity: it is empty. */
  next(): number;
  size(): number;
}

export function createDeadlineHeap<T extends Timed>(): DeadlineHeap<T> {
  const items: T[] = [];

  function put(item: T, slot: number): void {
    items[slot] = item;
    item.slot = slot;
  }

  function rise(item: T, from: number): void {
    let slot = from;
    while (slot > 0) {
      const up = (slot - 1) >> 1;
      const parent = items[up];
      if (!parent || parent.deadline <= item.deadline) break;
      put(parent, slot);
      slot = up;
    }
    put(item, slot);
  }

  function sink(item: T, from: number): void {
    let slot = from;
    for (;;) {
      const left = items[2 * slot + 1];
      const right = items[2 * slot + 2];
      const child = right && left && right.deadline < left.deadline ? right : left;
      if (!child || child.deadline >= item.deadline) break;
      const down = child.slot;
      put(child, slot);
      slot = down;
    }
    put(item, slot);
  }

  function settle(item: T): void {
    const { slot } = item;
    rise(item, slot);
    if (item.slot === slot) sink(item, slot);
  }

  const heap: DeadlineHeap<T> = {
    add: (item) => rise(item, items.length),
    remove(item) {
      const { slot } = item;
      if (slot < 0) return;
      const last = items.pop();
      item.slot = -1;
      if (!last || last === item) return;
      put(last, slot);
      settle(last);
    },
    move(item, deadline) {
      item.deadline = deadline;
      if (item.slot >= 0) settle(item);
    },
    takeDue(now) {
      const [first] = items;
      if (!first || first.deadline > now) return undefined;
      heap.remove(first);
      return first;
    },
    next: () => items[0]?.deadline ?? Infinity,
    size: () => items.length,
  };
  return heap;
}
