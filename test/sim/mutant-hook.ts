/** Loaded before anything else (`node --import`): applies the mutant named in MUTANT to the sources. */
import { applyPatch } from "../proof/patch.ts";
import { MUTANTS } from "./mutant-list.ts";

applyPatch(process.env["MUTANT"] ?? "", MUTANTS);
