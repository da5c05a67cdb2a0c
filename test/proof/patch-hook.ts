/** Loaded before anything else (`node --import`): applies the mutant named in MUTANT to the sources. */
import { MUTANTS } from "./mutant-list.ts";
import { applyPatch } from "./patch.ts";

applyPatch(process.env["MUTANT"] ?? "", MUTANTS);
