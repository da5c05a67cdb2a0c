/**
 * Loaded before anything else (`node --import`): applies the mutant named in MUTANT to the sources as node loads them.
 * Throws where the text to replace is not there exactly once, so that no mutant goes stale unseen.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import { MUTANTS } from "./mutant-list.ts";

const name = process.env["MUTANT"] ?? "";
const mutant = MUTANTS.find((one) => one.name === name);
if (name !== "" && mutant === undefined) throw new Error(`no mutant is called ${name}`);

if (mutant !== undefined) {
  const target = new URL(`../../${mutant.file}`, import.meta.url).href;
  const source = readFileSync(fileURLToPath(target), "utf8");
  const found = source.split(mutant.find).length - 1;
  if (found !== 1) throw new Error(`${mutant.name}: ${mutant.file} has its text ${found} times`);
  registerHooks({
    load(url, context, nextLoad) {
      if (url !== target) return nextLoad(url, context);
      return {
        format: "module-typescript",
        source: source.replace(mutant.find, () => mutant.replace),
        shortCircuit: true,
      };
    },
  });
}
