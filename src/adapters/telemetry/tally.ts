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

  /** As many values as there are labels. */
  add(count: number, ...values: string[]): void {
    let level = this.#root;
    const last = values.length - 1;
    for (let i = 0; i < last; i += 1) level = descend(level, values[i] ?? "");
    const value = values[last] ?? "";
    const known = level.get(value);
    const cell = known === undefined || known instanceof Map ? this.#create(level, values) : known;
    cell.count += count;
  }

  #create(level: Level, values: readonly string[]): Cell {
    if (this.#cells.length >= MOST_CELLS) return this.#other();
    const cell = { values: [...values], count: 0 };
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
