/**
 * From YAML (or JSON) text to the plain values of core/policy/node.ts.
 *
 * js-yaml does the parsing. Composing is done here rather than by the library, because a policy needs Maps, keys as
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

export interface Composed {
  readonly root: Node;
}

/** The text is no YAML at all: one place, since a parser cannot go on after it. */
export interface Unreadable {
  readonly reason: string;
  readonly place?: { readonly line: number; readonly column: number };
}

/** Values that aliases may add; ten thousand tenants that share a hundred values are within it. */
const MOST_ALIASED = 1_000_000;
export const DEEPEST = 64;

/** How far the events have been composed. */
interface Cursor {
  readonly text: string;
  readonly events: readonly Event[];
  next: number;
  readonly anchors: Map<string, Part>;
  readonly report: Report;
  aliased: number;
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
  return { root };
}

interface Part {
  readonly node: Node;
  /** Values in it, its aliases written out. */
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
    cursor.anchors.set(name, part);
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
