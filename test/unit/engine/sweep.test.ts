import { describe, expect, test } from "vitest";
import { createCalendar } from "../../../src/adapters/calendar/calendar.ts";
import { createMemoryLeaseStore } from "../../../src/adapters/memory/lease-store.ts";
import { compilePolicy } from "../../../src/core/policy/compile.ts";
import { createAccounts } from "../../../src/engine/accounts.ts";
import { createFunds } from "../../../src/engine/funds.ts";
import { holdBeyond } from "../../../src/engine/lease.ts";
import { createTenants } from "../../../src/engine/tenants.ts";
import { aCheck, aConsume, aReserve } from "../../support/builders.ts";
import { boundedEngine } from "../../support/bounded-engine.ts";
import { aPolicy, engineWith } from "../../support/engine-harness.ts";
import { createManualClock } from "../../support/manual-clock.ts";

const MINUTE = 60_000;

describe("a caller who invents names", () => {
  const bounds = { bucketsPerTenant: 5 };
  const five = [1, 2, 3, 4, 5];

  test("of calls: fingerprints fill the tenant's own bound, until their window is over", () => {
    const { ok, outcome, clock } = boundedEngine(
      "plans: {p: {loops: [{name: l, repeats: 2, window: 10m}]}}\ntenants: {acme: {plan: p}, globex: {plan: p}}",
      bounds,
    );
    const call = (fingerprint: string, tenant = "acme") =>
      aConsume({ subject: { tenant }, action: { fingerprint } });
    for (const i of five) ok(call(`f${i}`));
    expect(outcome(call("f6"))).toBe("TOO_MANY_BUCKETS");
    expect([outcome(call("f5")), outcome(call(""))]).toEqual(["allow", "allow"]);
    expect(outcome(call("f6", "globex"))).toBe("allow");
    clock.advance(10 * MINUTE);
    expect(outcome(call("f6"))).toBe("allow");
  });

  test("of models and tools: breakers per name, until their window is over", () => {
    const { ok, outcome, clock } = boundedEngine(
      "plans: {p: {breakers: [{name: b, per: [name], errors: 50%, of: 1, window: 10m, open: 1m}]}}\ntenants: {acme: {plan: p}}",
      bounds,
    );
    const call = (name: string, failed = false) =>
      aConsume({ action: { name }, outcome: failed ? "error" : "success" });
    for (const i of five) ok(call(`m${i}`, i === 5));
    expect(outcome(call("m6"))).toBe("TOO_MANY_BUCKETS");
    expect(ok(call("m5")).verdict.denial?.reason).toBe("CIRCUIT_OPEN");
    clock.advance(10 * MINUTE);
    expect([6, 7, 8, 9].map((i) => outcome(call(`m${i}`)))).not.toContain("TOO_MANY_BUCKETS");
    clock.advance(12 * MINUTE);
    expect(five.map((i) => outcome(call(`n${i}`)))).not.toContain("TOO_MANY_BUCKETS");
  });

  test("of models at the platform: breakers there count against the tenant that calls", () => {
    const { ok, outcome, clock } = boundedEngine(
      "breakers: [{name: b, per: [name], errors: 50%, of: 9, window: 10m, open: 1m}]\ntenants: {acme: {}, globex: {}}",
      bounds,
    );
    const call = (name: string, tenant = "acme") =>
      aConsume({ subject: { tenant }, action: { name } });
    for (const i of five) ok(call(`m${i}`));
    expect(outcome(call("m6"))).toBe("TOO_MANY_BUCKETS");
    expect(outcome(call("m6", "globex"))).toBe("allow");
    clock.advance(11 * MINUTE);
    expect(outcome(call("m7"))).toBe("allow");
  });

  test("of runs: buckets that are asked for and denied are idle, and go", () => {
    const { ok, outcome, engine, clock } = boundedEngine(
      "plans: {p: {limits: [{name: all, meter: tokens, budget: {units: 0, period: day}}, {name: run, per: [run], meter: tokens, budget: {units: 5, period: day}}]}}\ntenants: {acme: {plan: p}}",
      { bucketsPerTenant: 50 },
    );
    const at = (run: string) =>
      aReserve({ subject: { dimensions: { run } }, amounts: { tokens: 1 } });
    for (let i = 0; i < 1_000; i += 1) expect(ok(at(`r${i}`)).verdict.denial?.limit).toBe("all");
    expect(engine.liveBuckets()).toBeLessThanOrEqual(50);
    clock.advance(3_000);
    expect(engine.liveBuckets()).toBe(0);
    expect(outcome(at("r"))).toBe("deny");
  });

  test("of tenants of a default plan: looks keep nothing, and what was used goes with its period", () => {
    const { ok, engine, clock, ledgers } = boundedEngine(
      "default_plan: p\nplans: {p: {limits: [{name: a, meter: tokens, budget: {units: 9, period: minute}}]}}",
    );
    for (let i = 0; i < 1_000; i += 1) {
      ok(aCheck({ subject: { tenant: `looker-${i}` }, amounts: { tokens: 1 } }));
      ok(aConsume({ subject: { tenant: `user-${i}` }, amounts: { tokens: 1 } }));
    }
    expect([engine.liveBuckets(), ledgers().size]).toEqual([1_000, 1_000]);
    clock.advance(MINUTE);
    clock.advance(3_000);
    expect([engine.liveBuckets(), ledgers().size]).toEqual([0, 0]);
  });

  test("a sweep that goes round does not forget a loop or a breaker before its time", () => {
    const { ok, clock } = engineWith(
      "plans: {p: {loops: [{name: l, repeats: 1, window: 10m}], breakers: [{name: b, match: {action: tool.*}, errors: 50%, of: 1, window: 10m, open: 9m}]}}\ntenants: {acme: {plan: p}}",
    );
    ok(aConsume({ action: { fingerprint: "f" } }));
    ok(aConsume({ action: { kind: "tool.call" }, outcome: "error" }));
    clock.advance(9 * MINUTE - 1);
    const reasons = [{ fingerprint: "f" }, { kind: "tool.call" }].map(
      (action) => ok(aConsume({ action })).verdict.denial?.reason,
    );
    expect(reasons).toEqual(["LOOP_DETECTED", "CIRCUIT_OPEN"]);
  });
});

/** Accounts whose sweep a test moves step by step. */
function bench(bucketsPerTenant = 99) {
  const clock = createManualClock(Date.UTC(2026, 10, 21, 10));
  const funds = createFunds(createMemoryLeaseStore(clock));
  const calendar = createCalendar();
  const accounts = createAccounts({ calendar, funds, bucketsPerTenant, bucketsMax: 99 });
  const policy = compilePolicy(
    aPolicy(
      "plans: {p: {limits: [{name: a, per: [run], meter: tokens, budget: {units: 100, period: day}}, {name: b, per: [run], meter: tokens, budget: {units: 100, period: day}}]}}\ntenants: {acme: {plan: p}}",
    ),
    1,
  );
  const tenant = createTenants(policy, accounts.books).get("acme");
  const [first, second] = tenant?.policy.limits ?? [];
  if (!tenant || !first || !second) throw new Error("the tenant has two limits");
  const now = { wall: clock.wall(), latest: clock.wall(), mono: clock.mono() };
  return {
    accounts,
    now,
    sweep: (steps: number) => accounts.sweep(now, steps),
    find: (run: string) => accounts.find(tenant, first, run, now),
    other: second,
    /** Opens an account, of the first limit unless said, and spends `units` there. */
    use(run: string, units: number, limit = first) {
      const account = accounts.open(tenant, limit, run, now);
      if (!account) throw new Error("there is room");
      if (units > 0) holdBeyond(account.lease, units);
      funds.flush();
      return account;
    },
  };
}

describe("SW1: what was left empty and is in use again", () => {
  test.each([1, 2, 3, 4])(
    "SW1: is not dropped by a sweep that stopped %d steps before",
    (steps) => {
      const { accounts, use, sweep, find } = bench();
      use("idle", 0);
      sweep(steps);
      accounts.leased(); // a scrape looks at all of it in between
      const used = use("used", 5);
      sweep(100);
      sweep(100);
      expect(find("used")).toBe(used);
      expect([accounts.live(), accounts.leased().get("tokens")]).toEqual([1, 5]);
    },
  );

  test("SW1: nor is a home that a tenant at its bound has lost and made again in between", () => {
    const { accounts, use, sweep, find, other } = bench(2);
    use("idle", 0);
    use("used", 5, other);
    sweep(1); // drops the idle one, and stops in its home
    use("idle", 0, other);
    const again = use("again", 7); // makes room, home and all
    sweep(100);
    expect(find("again")).toBe(again);
    expect([accounts.live(), accounts.leased().get("tokens")]).toEqual([2, 12]);
  });

  test("SW1: a book that nobody uses any more goes, and the next use opens a new one", () => {
    const { accounts, use, sweep } = bench();
    use("idle", 0);
    const book = accounts.books("acme");
    sweep(100);
    expect(accounts.live()).toBe(0);
    expect(accounts.books("acme")).not.toBe(book);
  });

  test("a scrape changes nothing: it neither makes nor drops a book", () => {
    const { accounts, use } = bench();
    use("used", 5);
    const book = accounts.books("acme");
    for (let i = 0; i < 3; i += 1) accounts.leased();
    expect(accounts.books("acme")).toBe(book);
    expect(book.homes.size).toBe(1);
  });
});
