/**
 * Applies a patch to one of the sources as node loads it, before anything else is loaded (`node --import`). Throws
 * where the text to replace is not there exactly once, so that no mutant goes stale unseen.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

export interface Patch {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** Where the one called `name` belongs, and what stands there then. */
export function patched(
  name: string,
  patches: readonly Patch[],
): { readonly file: string; readonly source: string } {
  const patch = patches.find((one) => one.name === name);
  if (patch === undefined) throw new Error(`no mutant is called ${name}`);
  const file = fileURLToPath(new URL(`../../${patch.file}`, import.meta.url));
  const source = readFileSync(file, "utf8");
  const found = source.split(patch.find).length - 1;
  if (found !== 1) throw new Error(`${name}: ${patch.file} has its text ${found} times`);
  return { file, source: source.replace(patch.find, () => patch.replace) };
}

/** Applies the one called `name`; "": none. */
export function applyPatch(name: string, patches: readonly Patch[]): void {
  if (name === "") return;
  const { file, source } = patched(name, patches);
  const target = pathToFileURL(file).href;
  registerHooks({
    load(url, context, nextLoad) {
      if (url !== target) return nextLoad(url, context);
      return { format: "module-typescript", source, shortCircuit: true };
    },
  });
}
