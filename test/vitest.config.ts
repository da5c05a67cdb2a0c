import { defineConfig } from "vitest/config";

/** The suites that need neither a long run nor anything beyond this machine: what `npm test` runs. */
const QUICK = "unit,scenarios,property,model,sim,integration,fuzz,regressions,tidy";
/** SUITES names others. */
const suites = (process.env["SUITES"] ?? QUICK).split(",");

export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: suites.map((suite) => `test/${suite}/**/*.test.ts`),
    reporters: [["default", { summary: false }], "./test/support/tally-reporter.ts"],
    // Generous, because a loaded two-core machine runs these too; a test that hangs still ends.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 5_000,
    // A test marked `.only` would silently drop the rest of its file.
    allowOnly: false,
  },
});
