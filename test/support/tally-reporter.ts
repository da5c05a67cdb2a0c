/**
 * Ends a test run with one line that people and scripts can read: `412 passed, 0 failed`.
 *
 * A test may be skipped only with a reason (`ctx.skip("no python3-venv here")`), which is printed; a skip
 * without one counts as a failure, and so does every skip where CI is set: there, what tests need is installed.
 * Tests that a name filter (`-t`) left out are not counted.
 */
import type { Reporter, TestModule, Vitest } from "vitest/node";

interface Skip {
  readonly name: string;
  readonly reason: string | undefined;
}

interface Tally {
  passed: number;
  failed: number;
  readonly skips: Skip[];
}

const isStrict = (): boolean => process.env["CI"] === "true";

function count(modules: readonly TestModule[], isFiltered: boolean): Tally {
  const tally: Tally = { passed: 0, failed: 0, skips: [] };
  for (const module of modules) {
    // A file that does not load, or a hook that fails, fails without a failing test.
    let failed = 0;
    for (const test of module.children.allTests()) {
      const result = test.result();
      if (result.state === "passed") tally.passed += 1;
      else if (result.state === "failed") failed += 1;
      else if (result.state === "skipped" && (result.note !== undefined || !isFiltered)) {
        tally.skips.push({
          name: `${module.relativeModuleId}: ${test.fullName}`,
          reason: result.note,
        });
      }
    }
    tally.failed += module.state() === "failed" ? Math.max(failed, 1) : failed;
  }
  return tally;
}

export default class TallyReporter implements Reporter {
  #isFiltered = false;

  onInit(vitest: Vitest): void {
    this.#isFiltered = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const { passed, failed, skips } = count(modules, this.#isFiltered);
    for (const skip of skips)
      console.log(`skipped: ${skip.name}: ${skip.reason ?? "no reason given"}`);
    const refused = skips.filter((skip) => isStrict() || skip.reason === undefined).length;
    if (refused > 0) process.exitCode = 1;
    const allowed = skips.length - refused;
    const suffix = allowed > 0 ? `, ${allowed} skipped` : "";
    console.log(`${passed} passed, ${failed + refused + unhandled.length} failed${suffix}`);
  }
}
