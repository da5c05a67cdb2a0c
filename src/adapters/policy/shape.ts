/**
 * Checks a document's shape and marks what is wrong in it, so that the reader of meaning can go on with the rest.
 */
import type * as z from "zod";
import {
  FAULTY,
  isList,
  isMap,
  show,
  type Node,
  type Path,
  type Problem,
  type Report,
} from "../../core/policy/node.ts";
import { allowedWords } from "../../core/policy/suggestion.ts";
import { ON_KEY, POLICY_SCHEMA } from "./schema.ts";

type Issue = z.core.$ZodIssue;

/** Reports every fault of shape and puts FAULTY in its place. False: it is no mapping at all. */
export function checkShape(root: Node, report: Report): boolean {
  const result = POLICY_SCHEMA.safeParse(root);
  if (result.success) return true;
  const problems = result.error.issues.flatMap((issue) => problemsOf(issue, root, []));
  // Told before anything is marked: an alias makes one value stand at several paths.
  for (const problem of problems) report(problem);
  for (const problem of problems) mark(root, problem.path);
  return isMap(root);
}

function problemsOf(issue: Issue, root: Node, base: Path): Problem[] {
  const path = [...base, ...(issue.path as Path)];
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => unknownKey(path, key, issue.message));
  const node = nodeAt(root, path);
  // What is required is told by the reader of meaning, which knows what a plan supplies.
  if (node === undefined || node === FAULTY) return [];
  if (issue.code === "invalid_union" && isMap(node)) {
    const [only, ...others] = issue.errors.filter((branch) => branch.every(isWithin));
    if (only !== undefined && others.length === 0)
      return only.flatMap((inner) => problemsOf(inner, root, path));
  }
  const onKey = issue.code === "custom" && issue.params?.["onKey"] === ON_KEY.onKey;
  const found = onKey ? `the key ${show(String(path.at(-1)))}` : foundAt(path, node);
  return [{ path, onKey, found, allowed: issue.message }];
}

/** Whether the issue is about something in a mapping, so that the mapping as such was right. */
const isWithin = (issue: Issue): boolean =>
  issue.path.length > 0 || issue.code === "unrecognized_keys";

function unknownKey(path: Path, key: string, keys: string): Problem {
  const found = `the key ${show(key)}`;
  return { path: [...path, key], onKey: true, found, allowed: allowedWords(key, keys.split(", ")) };
}

/** Somebody may have put the key itself where its hash belongs: that is not shown. */
function foundAt(path: Path, node: Node): string {
  const isSecret = path.at(-1) === "sha256" && typeof node === "string";
  return isSecret ? `${node.length} characters` : show(node);
}

function nodeAt(root: Node, path: Path): Node | undefined {
  let node: Node | undefined = root;
  for (const step of path) {
    if (isMap(node)) node = node.get(String(step));
    else if (isList(node) && typeof step === "number") node = node[step];
    else return undefined;
  }
  return node;
}

/** The tree is ours: it was composed for this check, and nothing else holds it. */
function mark(root: Node, path: Path): void {
  const parent = nodeAt(root, path.slice(0, -1));
  const step = path.at(-1);
  if (step === undefined) return;
  if (isMap(parent)) (parent as Map<string, Node>).set(String(step), FAULTY);
  else if (isList(parent) && typeof step === "number") (parent as Node[])[step] = FAULTY;
}
