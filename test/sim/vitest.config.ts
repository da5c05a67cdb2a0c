/** Runs tests with the mutant named in MUTANT in the sources; "": as they are. */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { patched } from "../proof/patch.ts";
import { MUTANTS } from "./mutant-list.ts";

const name = process.env["MUTANT"] ?? "";
const { file, source } = name === "" ? { file: "", source: "" } : patched(name, MUTANTS);

export default defineConfig({
  plugins: [{ name: "mutant", enforce: "pre", load: (id) => (id === file ? source : undefined) }],
  test: {
    root: fileURLToPath(new URL("../..", import.meta.url)),
    include: ["test/{unit,property}/**/*.test.ts"],
    bail: 1,
    testTimeout: 120_000, // one that a busy machine ends would pass for a kill
    fsModuleCache: false, // it would find the sources as another mutant left them
  },
});
