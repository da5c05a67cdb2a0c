/**
 * What happens in a run, and when. Events are kept in a heap by (time, order of making), so that two at the same
 * moment always happen in the same order; every event is hashed, so that two runs can be compared.
 */
export interface Agenda {
  /** True time, ms since the run began; what no clock of the run shows. */
  now(): number;
  /** Does `task` once, `after` ms from now. */
  at(after: number, what: string, task: () => void): void;
  /** Does the next event, unless there is none until `until`. */
  step(until: number): boolean;
  /** Something worth comparing and showing. */
  note(what: string): void;
  /** Something to be shown where somebody looks. */
  show(what: () => string): void;
  /** Of all events and notes so far, 8 hexadecimal digits. */
  hash(): string;
  events(): number;
}

interface Entry {
  readonly time: number;
  readonly order: number;
  readonly what: string;
  readonly task: () => void;
}

const isBefore = (a: Entry, b: Entry): boolean =>
  a.time < b.time || (a.time === b.time && a.order < b.order);

function createHeap() {
  const entries: Entry[] = [];
  const at = (i: number): Entry | undefined => entries[i];

  function up(entry: Entry): void {
    let i = entries.push(entry) - 1;
    for (; i > 0;) {
      const parent = (i - 1) >> 1;
      const above = at(parent);
      if (!above || !isBefore(entry, above)) break;
      entries[i] = above;
      i = parent;
    }
    entries[i] = entry;
  }

  function down(entry: Entry): void {
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      const left = at(child);
      if (!left) break;
      const right = at(child + 1);
      const first = right && isBefore(right, left) ? right : left;
      if (first === right) child++;
      if (!isBefore(first, entry)) break;
      entries[i] = first;
      i = child;
    }
    entries[i] = entry;
  }

  return {
    peek: () => at(0),
    push: up,
    pop(): void {
      const last = entries.pop();
      if (last && entries.length > 0) down(last);
    },
  };
}

/** `trace`: called with each event and note, as text. */
export function createAgenda(trace?: (line: string) => void): Agenda {
  const heap = createHeap();
  let now = 0;
  let made = 0;
  let done = 0;
  let hash = 0x811c9dc5;

  function mix(text: string): void {
    for (let i = 0; i < text.length; i++) {
      hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    }
  }

  const line = (what: string): string => `${now.toFixed(2).padStart(9)}  ${what}`;

  return {
    now: () => now,
    at: (after, what, task) =>
      heap.push({ time: now + Math.max(0, after), order: made++, what, task }),
    step(until) {
      const next = heap.peek();
      if (!next || next.time > until) return false;
      heap.pop();
      now = next.time;
      done++;
      mix(next.what);
      hash = Math.imul(hash ^ (Math.floor(now * 1024) | 0), 0x01000193);
      next.task();
      return true;
    },
    note(what) {
      mix(what);
      trace?.(line(what));
    },
    show: (what) => trace?.(line(what())),
    hash: () => (hash >>> 0).toString(16).padStart(8, "0"),
    events: () => done,
  };
}
