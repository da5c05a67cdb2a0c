import { describe, expect, test } from "vitest";
import { demo } from "../../../src/cli/demo.ts";
import { createFakeHost, type FakeHost } from "../../support/fake-host.ts";

async function runDemo(seed: number, json: boolean, isTty = false): Promise<[number, FakeHost]> {
  const host = createFakeHost([], { isTty });
  return [await demo.run(host, { values: { seed, json }, positionals: [] }), host];
}

const jsonOf = (host: FakeHost) => JSON.parse(host.printed.stdout);

describe("imprest demo", () => {
  test("tells the incident as it is known, in one JSON object, within 20 s", async () => {
    const [status, host] = await runDemo(1, true);
    const told = jsonOf(host);
    expect(told.claims.filter((claim: { held: boolean }) => !claim.held)).toEqual([]);
    expect(status).toBe(0);
    expect(told.loop.stoppedBy).toBe("run-budget");
    expect(told.loop.shadowSeenAtCall).toBe(6);
    expect(told.loop.spentMicros).toBeLessThanOrEqual(25_000_000);
    // The next call did not fit: what is left is less than it would have cost.
    expect(told.loop.spentMicros).toBeGreaterThan(24_000_000);
    expect(told.others).toMatchObject({ refused: 0, refusedBy: {} });
    expect(told.withoutImprest.totalMicros).toBeGreaterThan(5_000_000_000);
    expect(told.tookMs).toBeLessThan(20_000);
  });

  test("comes out the same for the same seed, and holds for another", async () => {
    const [first, second, other] = await Promise.all([
      runDemo(2, true),
      runDemo(2, true),
      runDemo(3, true),
    ]);
    const { tookMs: _, ...one } = jsonOf(first[1]);
    const { tookMs: __, ...two } = jsonOf(second[1]);
    expect(one).toEqual(two);
    expect(other[0]).toBe(0);
    expect(jsonOf(other[1]).loop.spentMicros).not.toBe(one.loop.spentMicros);
  });

  test("without a terminal it is a plain log with a table and what to try next", async () => {
    const [status, host] = await runDemo(1, false);
    const { stdout } = host.printed;
    expect(status).toBe(0);
    expect(stdout).not.toContain("\u001b");
    expect(stdout).not.toContain("\r");
    expect(stdout).toMatch(/same-call \(on trial\) sees the loop at call 6/);
    expect(stdout).toMatch(/run-budget refuses the loop's call \d+: BUDGET_EXHAUSTED/);
    expect(stdout).toMatch(/the other 49 tenants +1,960 +0 +\$/);
    expect(stdout).toContain("npx imprest sidecar --policy deploy/examples/policy.yaml");
  });

  test("on a terminal one line is rewritten while it goes on", async () => {
    const [status, host] = await runDemo(1, false, true);
    expect(status).toBe(0);
    expect(host.printed.stdout.split("\r\u001b[2K").length).toBeGreaterThan(20);
    expect(host.printed.stdout).toContain("✓");
  });
});
