/**
 * From YAML (or JSON) text to the plain values of core/policy/node.ts, and from a path back to its line.
 *
 * js-yaml does the parsing; its events carry offsets into the text, so that places cost nothing until a
 * problem needs one. Composing is done here rather than by the library, because a policy needs Maps, keys as
 * they are written (a tenant named 007 or null), every duplicate key reported instead of the first one thrown,
 * and a bound on what aliases can multiply.
 *
 *   Y1  No key is lost or special; a key that stands twice in one mapping is a problem.
 *   Y2  The document with its aliases written out has at most MOST_ALIASED values more than without.
 */
import {
  CORE_SCHEMA,
  EVENT_ID,
  NOT_RESOLVED,
  SCALAR_STYLE,
  YAMLException,
  getScalarValue,
  parseEvents,
  type Event,
  type ScalarEvent,
} from "js-yaml";
import {
  FAULTY,
  isList,
  isMap,
  type Node,
  type Path,
  type Report,
} from "../../core/policy/node.ts";

/** Line and column, from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface Composed {
  readonly root: Node;
  /** The places of these paths (of the key itself where `onKey`), or of what stands nearest above them. */
  locate(wanted: readonly Wanted[]): Place[];
}

interface Wanted {
  readonly path: Path;
  readonly onKey: boolean;
}

/** The text is no YAML at all: one place, since a parser cannot go on after it. */
export interface Unreadable {
  readonly reason: string;
  readonly place?: Place;
}

/** Values that aliases may add; ten thousand tenants that share a hundred values are within it. */
const MOST_ALIASED = 1_000_000;
const DEEPEST = 64;

/** A value and where it begins, before the tree is built: where events of it start and end. */
interface Cursor {
  readonly text: string;
  readonly events: readonly Event[];
  next: number;
  readonly anchors: Map<string, Anchor>;
  readonly report: Report;
  aliased: number;
}

interface Anchor {
  readonly node: Node;
  /** Values in it, its own aliases written out. */
  readonly size: number;
  /** Index of its first event. */
  readonly event: number;
}

/** Parses and composes; problems of single values are reported, a text that is no YAML is returned as such. */
export function composeYaml(text: string, report: Report): Composed | Unreadable {
  let events: Event[];
  try {
    events = parseEvents(text, { maxDepth: DEEPEST });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { mark } = error;
    const reason = `text that is no YAML (${error.reason})`;
    return mark ? { reason, place: { line: mark.line + 1, column: mark.column + 1 } } : { reason };
  }
  const documents = events.filter((event) => event.type === EVENT_ID.DOCUMENT).length;
  if (documents > 1) return { reason: `${documents} documents` };
  const cursor: Cursor = { text, events, next: 1, anchors: new Map(), report, aliased: 0 };
  const isEmpty = events.length === 0 || events[1]?.type === EVENT_ID.POP;
  const root = isEmpty ? null : compose(cursor, []).node;
  if (cursor.aliased > MOST_ALIASED) {
    return { reason: `aliases that stand for more than ${MOST_ALIASED} values` };
  }
  return { root, locate: (wanted) => locate(cursor, wanted) };
}

interface Part {
  readonly node: Node;
  readonly size: number;
}

const FAULTY_PART: Part = { node: FAULTY, size: 1 };

function compose(cursor: Cursor, path: Path): Part {
  const index = cursor.next++;
  const event = cursor.events[index];
  switch (event?.type) {
    case EVENT_ID.SCALAR:
      return anchored(cursor, index, { node: scalar(cursor, event, path), size: 1 });
    case EVENT_ID.SEQUENCE:
      return anchored(cursor, index, composeList(cursor, path));
    case EVENT_ID.MAPPING:
      return anchored(cursor, index, composeMap(cursor, path));
    case EVENT_ID.ALIAS:
      return aliased(cursor, cursor.text.slice(event.anchorStart, event.anchorEnd), path);
    default:
      return { node: null, size: 1 };
  }
}

function anchored(cursor: Cursor, index: number, part: Part): Part {
  const event = cursor.events[index];
  if (event && "anchorStart" in event && event.anchorStart >= 0) {
    const name = cursor.text.slice(event.anchorStart, event.anchorEnd);
    cursor.anchors.set(name, { ...part, event: index });
  }
  return part;
}

/** An anchor is known once its value is complete, so that nothing can hold itself. */
function aliased(cursor: Cursor, name: string, path: Path): Part {
  const anchor = cursor.anchors.get(name);
  if (anchor === undefined) {
    cursor.report({
      path,
      onKey: false,
      found: `the alias *${name}`,
      allowed: "an alias of an anchor that stands before it",
    });
    return FAULTY_PART;
  }
  cursor.aliased += anchor.size;
  // Past the bound the tree is thrown away; sizes must not grow without end meanwhile.
  return cursor.aliased > MOST_ALIASED ? FAULTY_PART : anchor;
}

const isAtEnd = (cursor: Cursor): boolean => {
  const type = cursor.events[cursor.next]?.type;
  return type === undefined || type === EVENT_ID.POP;
};

function composeList(cursor: Cursor, path: Path): Part {
  const node: Node[] = [];
  let size = 1;
  while (!isAtEnd(cursor)) {
    const part = compose(cursor, [...path, node.length]);
    node.push(part.node);
    size += part.size;
  }
  cursor.next++;
  return { node, size };
}

const MERGE_KEY = "<<";

function composeMap(cursor: Cursor, path: Path): Part {
  const node = new Map<string, Node>();
  const merged: Node[] = [];
  let size = 1;
  while (!isAtEnd(cursor)) {
    const key = composeKey(cursor, path);
    const isDuplicate = key !== undefined && node.has(key);
    if (isDuplicate) {
      const allowed = "each key once in a mapping";
      cursor.report({
        path: [...path, key],
        onKey: true,
        found: `the key ${JSON.stringify(key)} again`,
        allowed,
      });
    }
    const part = compose(cursor, [...path, key ?? "?"]);
    size += part.size;
    if (key === MERGE_KEY) merged.push(part.node);
    else if (key !== undefined && !isDuplicate) node.set(key, part.node);
  }
  cursor.next++;
  for (const below of merged)
    mergeInto(node, below, { path: [...path, MERGE_KEY], report: cursor.report });
  return { node, size };
}

/** `<<: *anchor`: keys of the anchor that the mapping does not have itself. */
function mergeInto(
  node: Map<string, Node>,
  below: Node,
  { path, report }: { path: Path; report: Report },
): void {
  if (isMap(below)) {
    for (const [key, value] of below) if (!node.has(key)) node.set(key, value);
  } else if (isList(below)) {
    for (const item of below) mergeInto(node, item, { path, report });
  } else if (below !== FAULTY) {
    report({
      path,
      onKey: true,
      found: "<< with no mapping",
      allowed: "an alias of a mapping, or a list of them",
    });
  }
}

/** Keys are text as it is written; a key that is a list or a mapping is a problem. */
function composeKey(cursor: Cursor, path: Path): string | undefined {
  const event = cursor.events[cursor.next];
  if (event?.type === EVENT_ID.SCALAR) {
    const index = cursor.next++;
    const key = getScalarValue(cursor.text, event);
    anchored(cursor, index, { node: key, size: 1 });
    return key;
  }
  const { node } = compose(cursor, path);
  if (typeof node === "string") return node;
  cursor.report({ path, onKey: false, found: "a key that is no text", allowed: "keys of text" });
  return undefined;
}

const CORE_TAGS = ["str", "int", "float", "bool", "null"];
const LONG_TAG = "tag:yaml.org,2002:";

function scalar(cursor: Cursor, event: ScalarEvent, path: Path): Node {
  const source = getScalarValue(cursor.text, event);
  const tag = event.tagStart < 0 ? "" : cursor.text.slice(event.tagStart, event.tagEnd);
  if (tag === "") {
    if (event.style !== SCALAR_STYLE.PLAIN) return source;
    return valueOf(CORE_SCHEMA.resolveImplicitScalarTag(source).value);
  }
  if (tag === "!") return source;
  const name = tag.replace(/^!!/, "");
  const resolved = CORE_TAGS.includes(name)
    ? CORE_SCHEMA.lookupScalarTag(LONG_TAG + name)?.resolve(source, true, LONG_TAG + name)
    : NOT_RESOLVED;
  if (resolved !== NOT_RESOLVED && resolved !== undefined) return valueOf(resolved);
  cursor.report({ path, onKey: false, found: `the tag ${tag}`, allowed: "values without a tag" });
  return FAULTY;
}

const valueOf = (value: unknown): Node =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? value
    : null;

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

function locate(cursor: Cursor, wanted: readonly Wanted[]): Place[] {
  const offsets: number[] = Array.from({ length: wanted.length }, () => 0);
  const { events } = cursor;

  /** Gives a branch the offset of the value above it; what is found below overwrites it. */
  function settle(branch: Branch, offset: number): void {
    for (const index of [...branch.values, ...branch.keys]) offsets[index] = offset;
    for (const below of branch.below.values()) settle(below, offset);
  }
  function visit(index: number, branch: Branch, above: number): void {
    const event = events[index];
    if (event?.type === EVENT_ID.ALIAS) {
      const name = cursor.text.slice(event.anchorStart, event.anchorEnd);
      const anchor = branch.below.size > 0 ? cursor.anchors.get(name) : undefined;
      if (anchor !== undefined) visit(anchor.event, branch, above);
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
      const key =
        keyEvent?.type === EVENT_ID.SCALAR ? getScalarValue(cursor.text, keyEvent) : undefined;
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
  return placesOf(cursor.text, offsets);
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
