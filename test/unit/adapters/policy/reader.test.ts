import { describe, expect, test } from "vitest";
import { parsePolicy, versionOf } from "../../../../src/adapters/policy/parse.ts";
import { readPolicy, type Reading } from "../../../../src/adapters/policy/reader.ts";
import { EXAMPLE, policyText } from "./example.ts";

function start(text: string): Reading {
  const bytes = new TextEncoder().encode(text);
  return readPolicy(bytes, versionOf(bytes));
}

/** CPU time of this thread, ms: what other programs take on a busy machine is not in it. */
function threadCpu(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** The most that this thread computed in one turn of its loop, ms, until it is asked. */
function longestTurn(): () => number {
  let longest = 0;
  let last = threadCpu();
  const timer = setInterval(() => {
    const now = threadCpu();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  return () => {
    clearInterval(timer);
    return longest;
  };
}

const tenantText = (i: number): string =>
  `  tenant-${i}: {plan: pro, timezone: America/New_York, limits: [{name: month, budget: {units: $${i}}}]}\n`;
const plans =
  "plans: {pro: {limits: [{name: month, meter: usd_micros, budget: {units: $5, period: month}}]}}\n";

describe("a policy read on another thread", () => {
  test("is the same as one read here", async () => {
    const there = await start(policyText(EXAMPLE)).result;
    const here = parsePolicy(policyText(EXAMPLE));
    if (!there.ok || !here.ok) throw new Error("the example is good");
    for (const name of ["acme", "mallory", "oldco", "globex", "nobody"]) {
      expect(there.document.tenant(name)).toEqual(here.document.tenant(name));
      expect(there.document.defaultTenant(name)).toEqual(here.document.defaultTenant(name));
    }
    expect(JSON.stringify(there.document)).toBe(JSON.stringify(here.document));
  });
  test("of ten thousand tenants never holds this thread for 20 ms", async () => {
    const tenants = Array.from({ length: 10_000 }, (_, i) => tenantText(i)).join("");
    const text = policyText(`${plans}tenants:\n${tenants}`);
    expect(text.length).toBeGreaterThan(1_000_000);
    const turns = longestTurn();
    const result = await start(text).result;
    expect(turns()).toBeLessThan(20);
    const last = result.ok ? result.document.tenant("tenant-9999") : undefined;
    expect(last?.rules.limits[0]?.shape).toMatchObject({ units: 9_999_000_000 });
  });
  test("tells the first thousand problems, and how many there are besides", async () => {
    const wrong = Array.from({ length: 1_500 }, (_, i) => `  t${i}: 5\n`).join("");
    const result = await start(policyText(`tenants:\n${wrong}`)).result;
    const problems = result.ok ? [] : result.problems;
    expect(problems).toHaveLength(1_001);
    expect(problems.at(-1)?.found).toBe("500 further problems");
  });
  test("that is stopped ends with a problem, not with silence", async () => {
    const reading = start(policyText(EXAMPLE));
    reading.stop();
    const result = await reading.result;
    expect(result.ok ? [] : result.problems.map(({ path }) => path)).toEqual([""]);
  });
});
