/**
 * From paths back to lines. js-yaml's events carry offsets into the text; the text is parsed once more when a
 * document turns out to have problems, so that a good one does not pay for places that nobody asks for (events
 * take twice the memory of the values).
 */
import { EVENT_ID, SCALAR_STYLE, getScalarValue, parseEvents, type Event } from "js-yaml";
import type { Path } from "../../core/policy/node.ts";
import { DEEPEST } from "./yaml.ts";

/** Line and column, from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

interface Wanted {
  readonly path: Path;
  readonly onKey: boolean;
}

/** Paths that are looked for, as a tree, so that one walk over the events finds them all. */
interface Branch {
  /** Indices into the result: of paths that end here. */
  readonly values: number[];
  readonly keys: number[];
  readonly below: Map<string | number, Branch>;
}

const newBranch = (): Branch => ({ values: [], keys: [], below: new Map() });

function branchesOf(wanted: readonly Wanted[]): Branch {
  const root = newBranch();
  for (const [index, { path, onKey }] of wanted.entries()) {
    let branch = root;
    for (const step of path) {
      let below = branch.below.get(step);
      if (below === undefined) branch.below.set(step, (below = newBranch()));
      branch = below;
    }
    (onKey ? branch.keys : branch.values).push(index);
  }
  return root;
}

/**
 * The places of these paths (of the key itself where `onKey`), or of what stands nearest above them. `text`
 * has been composed before, so it parses.
 */
export function locate(text: string, wanted: readonly Wanted[]): Place[] {
  const offsets: number[] = Array.from({ length: wanted.length }, () => 0);
  const events = parseEvents(text, { maxDepth: DEEPEST });
  const anchors = anchorsIn(text, events);

  /** Gives a branch the offset of the value above it; what is found below overwrites it. */
  function settle(branch: Branch, offset: number): void {
    for (const index of [...branch.values, ...branch.keys]) offsets[index] = offset;
    for (const below of branch.below.values()) settle(below, offset);
  }
  function visit(index: number, branch: Branch, above: number): void {
    const event = events[index];
    if (event?.type === EVENT_ID.ALIAS) {
      const name = text.slice(event.anchorStart, event.anchorEnd);
      const anchor = branch.below.size > 0 ? anchors.get(name) : undefined;
      if (anchor !== undefined) visit(anchor, branch, above);
      else settle(branch, event.anchorStart - 1);
      return;
    }
    const offset = offsetOf(event) ?? above;
    settle(branch, offset);
    if (event?.type === EVENT_ID.SEQUENCE) visitList(index + 1, branch, offset);
    else if (event?.type === EVENT_ID.MAPPING) visitMap(index + 1, branch, offset);
  }
  function visitList(first: number, branch: Branch, above: number): void {
    let index = first;
    for (let item = 0; !isPop(events[index]); item++) {
      const below = branch.below.get(item);
      if (below !== undefined) visit(index, below, above);
      index = skip(events, index);
    }
  }
  function visitMap(first: number, branch: Branch, above: number): void {
    const seen = new Set<string>();
    let index = first;
    while (!isPop(events[index])) {
      const keyEvent = events[index];
      const key = keyEvent?.type === EVENT_ID.SCALAR ? getScalarValue(text, keyEvent) : undefined;
      const value = skip(events, index);
      const below = key === undefined ? undefined : branch.below.get(key);
      if (key !== undefined && below !== undefined) {
        // Of a key that stands twice the first has the value that was read; the last is the one to blame.
        const offset = offsetOf(keyEvent) ?? above;
        if (!seen.has(key)) visit(value, below, offset);
        for (const at of below.keys) offsets[at] = offset;
        seen.add(key);
      }
      index = skip(events, value);
    }
  }
  const root = branchesOf(wanted);
  if (events.length > 1) visit(1, root, 0);
  return placesOf(text, offsets);
}

/** Where each anchor's value begins, as an index of the events. */
function anchorsIn(text: string, events: readonly Event[]): ReadonlyMap<string, number> {
  const anchors = new Map<string, number>();
  for (const [index, event] of events.entries()) {
    if (event.type === EVENT_ID.ALIAS || !("anchorStart" in event) || event.anchorStart < 0)
      continue;
    anchors.set(text.slice(event.anchorStart, event.anchorEnd), index);
  }
  return anchors;
}

const isPop = (event: Event | undefined): boolean =>
  event === undefined || event.type === EVENT_ID.POP;

/** The index after the value that begins at `index`. */
function skip(events: readonly Event[], index: number): number {
  let depth = 0;
  let i = index;
  do {
    const type = events[i]?.type;
    if (type === EVENT_ID.SEQUENCE || type === EVENT_ID.MAPPING) depth++;
    else if (type === EVENT_ID.POP) depth--;
    i++;
  } while (depth > 0 && i < events.length);
  return i;
}

/** Where a value begins; `undefined` for one that is not written at all (`key:`). */
function offsetOf(event: Event | undefined): number | undefined {
  if (event?.type === EVENT_ID.SCALAR) {
    const { style, valueStart } = event;
    const isQuoted = style === SCALAR_STYLE.SINGLE_QUOTED || style === SCALAR_STYLE.DOUBLE_QUOTED;
    return valueStart < 0 ? undefined : valueStart - (isQuoted ? 1 : 0);
  }
  return event !== undefined && "start" in event ? event.start : undefined;
}

function placesOf(text: string, offsets: readonly number[]): Place[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return offsets.map((offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  });
}
