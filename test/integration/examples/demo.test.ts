import { beforeAll, describe, expect, test } from "vitest";
import { typeCommand } from "../../support/fake-host.ts";
import { onlyBlock } from "./markdown.ts";

interface Shown {
  readonly status: number;
  readonly stdout: string;
  readonly cpuSeconds: number;
}

async function runDemo(seed: number, json: boolean, isTty = false): Promise<Shown> {
  const before = process.cpuUsage();
  const words = ["demo", "--seed", String(seed), ...(json ? ["--json"] : [])];
  const { status, stdout } = await typeCommand(words, { isTty });
  const { user, system } = process.cpuUsage(before);
  return { status, stdout, cpuSeconds: (user + system) / 1e6 };
}

/** Seconds on an idle machine, many times that on one that is busy with other tests. */
const PATIENCE_MS = 180_000;

describe("imprest demo", () => {
  let first: Shown;
  let again: Shown;
  let other: Shown;
  beforeAll(async () => {
    first = await runDemo(1, true);
    again = await runDemo(1, false);
    other = await runDemo(2, false, true);
  }, PATIENCE_MS);

  test("tells the incident as it is known, in one JSON object", () => {
    const told = JSON.parse(first.stdout);
    expect(told.claims.filter((claim: { held: boolean }) => !claim.held)).toEqual([]);
    expect(first.status).toBe(0);
    expect(told.loop.stoppedBy).toBe("run-budget");
    expect(told.loop.shadowSeenAtCall).toBe(6);
    expect(told.loop.spentMicros).toBeLessThanOrEqual(25_000_000);
    // The next call did not fit: what is left is less than it would have cost.
    expect(told.loop.spentMicros).toBeGreaterThan(24_000_000);
    expect(told.others).toMatchObject({ refused: 0, refusedBy: {} });
    expect(told.withoutImprest.totalMicros).toBeGreaterThan(5_000_000_000);
  });

  test("shows the table that the README shows", () => {
    expect(again.stdout).toContain(onlyBlock("README.md", "text"));
  });

  test("needs well under twenty seconds of a processor", () => {
    expect(first.cpuSeconds).toBeLessThan(15);
  });

  test("without a terminal it is a plain log with a table and what to try next", () => {
    const { status, stdout } = again;
    expect(status).toBe(0);
    expect(stdout).not.toContain("\u001b");
    expect(stdout).not.toContain("\r");
    expect(stdout).toMatch(/same-call \(on trial\) sees the loop at call 6/);
    expect(stdout).toMatch(/run-budget refuses the loop's call \d+: BUDGET_EXHAUSTED/);
    expect(stdout).toMatch(/the other 49 tenants +1,960 +0 +\$/);
    expect(stdout).toContain("npx imprest sidecar --policy deploy/examples/policy.yaml");
  });

  test("comes out the same for the same seed, otherwise for another, and holds for both", () => {
    const claimsOf = ({ stdout }: Shown) => stdout.split("\n").filter((line) => /✓|✗/.test(line));
    const told = JSON.parse(first.stdout).claims.map(
      ({ claim }: { claim: string }) => `✓ ${claim}`,
    );
    expect(claimsOf(again)).toEqual(told);
    expect(other.status).toBe(0);
    expect(claimsOf(other)).not.toEqual(told);
  });

  test("on a terminal one line is rewritten while it goes on", () => {
    expect(other.stdout.split("\r\u001b[2K").length).toBeGreaterThan(20);
  });
});
