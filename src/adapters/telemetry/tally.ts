/**
 * Counts by label values, cheaply: prom-client hashes the labels of every increment, several times what a
 * decision costs. Here a count is a few lookups by strings that the program keeps anyway; a scrape copies.
 */

export interface Cell {
  /** In the order of the label names. */
  readonly values: readonly string[];
  count: number;
}

/** More series than this share one, "other" in every label: labels are bounded, whatever a policy names. */
const MOST_CELLS = 2000;

type Level = Map<string, Level | Cell>;

export class Tally {
  readonly labels: readonly string[];
  readonly #root: Level = new Map();
  readonly #cells: Cell[] = [];

  constructor(...labels: string[]) {
    this.labels = labels;
  }

  get cells(): readonly Cell[] {
    return this.#cells;
  }

  /** As many values as there are labels, three at most: a list of them would be made anew for each call. */
  add(count: number, first = "", second = "", third = ""): void {
    const labels = this.labels.length;
    const upper = labels > 1 ? descend(this.#root, first) : this.#root;
    const level = labels > 2 ? descend(upper, second) : upper;
    const value = labels > 2 ? third : labels > 1 ? second : first;
    const known = level.get(value);
    if (known === undefined || known instanceof Map) {
      this.#create(level, [first, second, third].slice(0, labels)).count += count;
    } else known.count += count;
  }

  #create(level: Level, values: readonly string[]): Cell {
    if (this.#cells.length >= MOST_CELLS) return this.#other();
    const cell = { values, count: 0 };
    this.#cells.push(cell);
    level.set(values.at(-1) ?? "", cell);
    return cell;
  }

  #other(): Cell {
    const last = this.#cells.at(-1);
    if (last !== undefined && this.#cells.length > MOST_CELLS) return last;
    const cell = { values: this.labels.map(() => "other"), count: 0 };
    this.#cells.push(cell);
    return cell;
  }
}

function descend(level: Level, value: string): Level {
  const known = level.get(value);
  if (known instanceof Map) return known;
  const next: Level = new Map();
  level.set(value, next);
  return next;
}
