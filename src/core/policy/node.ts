/**
 * A policy document as plain values, before its meaning is read: what a YAML parser makes of it, with a Map
 * for every mapping, since tenants and plans are named by callers (`__proto__` is a name like any other).
 *
 * Whoever checks the shape first puts {@link FAULTY} where it has already reported a problem. A reader of
 * meaning takes FAULTY for "present, nothing to add", so that one mistake is told once and the rest of the
 * document is still looked at.
 */

/** Stands for a value whose problem has been reported. */
export const FAULTY: unique symbol = Symbol("faulty");

export type NodeMap = ReadonlyMap<string, Node>;
export type Node = null | boolean | number | string | readonly Node[] | NodeMap | typeof FAULTY;

/** Keys and list positions from the top of the document. */
export type Path = readonly (string | number)[];

/** One thing that is wrong, before its line is looked up. */
export interface Problem {
  readonly path: Path;
  /** True where the key itself is wrong (unknown, duplicate), not its value. */
  readonly onKey: boolean;
  readonly found: string;
  readonly allowed: string;
}

export type Report = (problem: Problem) => void;

/** A value, where it stands and who hears about problems there. `node` is undefined for an absent key. */
export interface Spot {
  readonly node: Node | undefined;
  readonly path: Path;
  readonly report: Report;
}

export const isMap = (node: Node | undefined): node is NodeMap => node instanceof Map;
export const isList = (node: Node | undefined): node is readonly Node[] => Array.isArray(node);

const NOTHING: NodeMap = new Map();

/** The value under `key`; absent where `spot` is no mapping. */
export function at(spot: Spot, key: string): Spot {
  const node = isMap(spot.node) ? spot.node.get(key) : undefined;
  return { node, path: [...spot.path, key], report: spot.report };
}

/** The pairs of a mapping, in the document's order; none where `spot` is no mapping. */
export function pairs(spot: Spot): (readonly [string, Spot])[] {
  const map = isMap(spot.node) ? spot.node : NOTHING;
  return [...map].map(([key, node]) => [
    key,
    { node, path: [...spot.path, key], report: spot.report },
  ]);
}

/** The items of a list; none where `spot` is no list. */
export function items(spot: Spot): Spot[] {
  if (!isList(spot.node)) return [];
  return spot.node.map((node, index) => ({
    node,
    path: [...spot.path, index],
    report: spot.report,
  }));
}

/** The text there; "" where there is none. */
export const textAt = (spot: Spot): string => (typeof spot.node === "string" ? spot.node : "");

/** The words there; none where it is no list. */
export const textsAt = (spot: Spot): string[] => items(spot).map(textAt);

export const flagAt = (spot: Spot): boolean => spot.node === true;

/** Reports that what stands at `spot` is not `allowed`; an absent value is found as "nothing". */
export function refuse(spot: Spot, allowed: string, found: string = show(spot.node)): void {
  spot.report({ path: spot.path, onKey: false, found, allowed });
}

/** Reports that the key of `spot` is not `allowed` there. */
export function refuseKey(spot: Spot, allowed: string, found?: string): void {
  const key = spot.path.at(-1) ?? "";
  spot.report({
    path: spot.path,
    onKey: true,
    found: found ?? `the key ${quote(String(key))}`,
    allowed,
  });
}

/** False, with a report, where a value that must be there is absent. */
export function isPresent(spot: Spot, allowed: string): boolean {
  if (spot.node !== undefined) return true;
  refuse(spot, `${allowed} (required)`);
  return false;
}

const SHOWN_CHARACTERS = 60;

const quote = (text: string): string =>
  JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);

/** A value as a problem shows it: short, on one line. */
export function show(node: Node | undefined): string {
  if (node === undefined) return "nothing";
  if (node === FAULTY) return "a faulty value";
  if (typeof node === "string") return quote(node);
  if (isList(node)) return node.length === 0 ? "an empty list" : `a list of ${node.length}`;
  if (isMap(node)) return node.size === 0 ? "an empty mapping" : "a mapping";
  return String(node);
}

const PLAIN_KEY = /^[A-Za-z0-9_-]+$/;

/** `plans.free.limits[0].rate.units`; keys with other characters are quoted: `allow["llm.*"]`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!PLAIN_KEY.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}
