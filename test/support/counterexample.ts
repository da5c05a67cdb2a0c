import fc from "fast-check";

/** How many cases a property is tried on; more by environment, for a long search. */
const RUNS = Number(process.env["PROPERTY_RUNS"] ?? 150);

/**
 * Looks for a value on which `holds` throws: "" where none was found, else the report with the smallest one, the seed and
 * the path. So a test reads `expect(counterexample(…)).toBe("")`.
 */
export function counterexample<T>(
  arbitrary: fc.Arbitrary<T>,
  holds: (value: T) => void,
  options: fc.Parameters<[T]> = {},
): string {
  const details = fc.check(fc.property(arbitrary, holds), { numRuns: RUNS, ...options });
  if (!details.failed) return "";
  const cause = details.errorInstance instanceof Error ? details.errorInstance.message : "";
  return `${cause}\n${fc.defaultReportMessage(details) ?? "failed"}`;
}
