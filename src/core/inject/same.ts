/** Whether what stands in a pod is what the injector would have put there. */
import type { Json, JsonMembers } from "./pod.ts";

/** `addable`: members that the API server adds by itself, with whatever value. */
export function isSame(
  rendered: Json | undefined,
  found: Json | undefined,
  addable: ReadonlySet<string> = NONE,
): boolean {
  if (isEmpty(rendered) || isEmpty(found)) return isEmpty(rendered) && isEmpty(found);
  if (!isObject(rendered) || !isObject(found)) return rendered === found;
  if (Array.isArray(rendered) !== Array.isArray(found)) return false;
  const [wanted, there] = [rendered, found].map((each) => new Map(Object.entries(each)));
  const keys = new Set([...(wanted?.keys() ?? []), ...(there?.keys() ?? [])]);
  return [...keys].every(
    (key) =>
      (addable.has(key) && wanted?.has(key) !== true) ||
      isSame(wanted?.get(key), there?.get(key), addable),
  );
}

const NONE: ReadonlySet<string> = new Set();

export const isObject = (json: Json | undefined): json is readonly Json[] | JsonMembers =>
  typeof json === "object" && json !== null;

/** A list without elements says no more than one that is not there. */
const isEmpty = (json: Json | undefined): boolean =>
  json === undefined ||
  json === null ||
  json === "" ||
  json === false ||
  (isObject(json) && Object.keys(json).length === 0);
