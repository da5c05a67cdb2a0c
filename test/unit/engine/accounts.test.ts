import { describe, expect, test } from "vitest";
import { aCheck, aCommit, aConsume, anExtend, aRelease, aReserve } from "../../support/builders.ts";
import { boundedEngine } from "../../support/bounded-engine.ts";
import { aPolicy, engineWith } from "../../support/engine-harness.ts";

const policyOf = (limits: string, tenants = "{acme: {plan: p}}"): string =>
  `dimensions: [run, user]\nplans: {p: {limits: [${limits}]}}\ntenants: ${tenants}\n`;
const perRun = policyOf(
  "{name: run, meter: tokens, per: [run], budget: {units: 100, period: day}}",
);
const inRun = (run: string) => ({ dimensions: { run } });
const DAY = 86_400_000;

describe("AC1: what usage is kept under", () => {
  const budget = (parts: string): string =>
    policyOf(`{name: a, meter: tokens, budget: {units: 100, period: day}, ${parts}}`);

  test.each([
    ["numbers", "{name: a, meter: tokens, budget: {units: 500, period: day, overdraft: 7}}"],
    [
      "match",
      '{name: a, match: {action: "llm.*"}, meter: tokens, budget: {units: 100, period: day}}',
    ],
    [
      "mode and overage",
      "{name: a, meter: tokens, mode: soft, overage: cap, budget: {units: 100, period: day}}",
    ],
    [
      "its place in the plan",
      "{name: z, meter: tokens, budget: {units: 9, period: day}}, {name: a, meter: tokens, budget: {units: 100, period: day}}",
    ],
  ])("AC1: an edit of %s finds the same account again", (_, limits) => {
    const harness = engineWith(budget("mode: enforce"));
    harness.ok(aConsume({ amounts: { tokens: 30 } }));
    harness.reload(policyOf(limits));
    expect(harness.balance({}, "a")).toMatchObject({ spentUnits: 30 });
  });

  test("AC1: another plan with a limit of that name and meter has it, too", () => {
    const plans =
      "plans: {p: {limits: [{name: a, meter: tokens, budget: {units: 100, period: day}}]}, q: {limits: [{name: a, meter: tokens, budget: {units: 900, period: day}}]}}";
    const harness = engineWith(`${plans}\ntenants: {acme: {plan: p}}`);
    harness.ok(aConsume({ amounts: { tokens: 30 } }));
    harness.reload(`${plans}\ntenants: {acme: {plan: q}}`);
    expect(harness.balance({}, "a")).toMatchObject({ spentUnits: 30, limitUnits: 900 });
  });

  test.each([
    ["name", "{name: b, meter: tokens, budget: {units: 100, period: day}}"],
    ["meter", "{name: a, meter: pages, budget: {units: 100, period: day}}"],
    ["period", "{name: a, meter: tokens, budget: {units: 100, period: month}}"],
  ])("AC1: another %s is another account", (_, limit) => {
    const harness = engineWith(budget("mode: enforce"));
    harness.ok(aConsume({ amounts: { tokens: 30 } }));
    harness.reload(policyOf(limit));
    expect(harness.balances({})).toMatchObject([{ spentUnits: 0, remainingUnits: 100 }]);
  });

  test("AC1: a period that is edited and edited back finds what the first one had used", () => {
    const day = budget("mode: enforce");
    const harness = engineWith(day);
    harness.ok(aConsume({ amounts: { tokens: 30 } }));
    harness.reload(policyOf("{name: a, meter: tokens, budget: {units: 100, period: month}}"));
    harness.ok(aConsume({ amounts: { tokens: 5 } }));
    harness.clock.advance(5_000);
    harness.reload(day);
    expect(harness.balance({}, "a")).toMatchObject({ spentUnits: 30 });
  });

  test("AC1: what was put aside by an edit goes when its own period is over", () => {
    const bounded = boundedEngine(budget("mode: enforce"));
    bounded.ok(aConsume({ amounts: { tokens: 30 } }));
    const month = policyOf("{name: a, meter: tokens, budget: {units: 100, period: month}}");
    bounded.engine.reload(aPolicy(month));
    bounded.ok(aConsume({ amounts: { tokens: 5 } }));
    expect(bounded.ledgers().size).toBe(2);
    bounded.clock.advance(DAY);
    bounded.clock.advance(2_000);
    expect(bounded.ledgers().size).toBe(1);
  });

  test("AC1: the uid is whose account it is, and scopes are told by the names of today", () => {
    const limit = (workspace: string): string =>
      `{name: a, match: {workspace: ${workspace}}, meter: tokens, budget: {units: 100, period: day}}`;
    const harness = engineWith(policyOf(limit("prod"), "{old: {uid: t-1, plan: p}}"));
    const before = { tenant: "old", workspace: "prod" };
    for (let i = 0; i < 2; i += 1)
      harness.ok(aConsume({ subject: before, amounts: { tokens: 15 } }));
    harness.reload(policyOf(limit("test"), "{new: {uid: t-1, plan: p}}"));
    const subject = { tenant: "new", workspace: "test" };
    const { verdict } = harness.ok(aConsume({ subject, amounts: { tokens: 80 } }));
    const scope = "tenant:new/workspace:test";
    expect(verdict.denial).toMatchObject({ scope, remainingUnits: 70 });
    expect(harness.balances(subject)).toMatchObject([{ scope, spentUnits: 30 }]);
  });

  test.each(["platform", "__proto__", "constructor"])(
    "AC1: a tenant that is called %j has accounts of its own",
    (tenant) => {
      const limit = "{name: a, meter: tokens, budget: {units: 100, period: day}}";
      const harness = engineWith(
        `default_plan: p\nlimits: [${limit}]\nplans: {p: {limits: [${limit}]}}`,
      );
      harness.ok(aConsume({ subject: { tenant }, amounts: { tokens: 60 } }));
      harness.ok(aConsume({ subject: { tenant: "other" }, amounts: { tokens: 10 } }));
      const of = (name: string) =>
        harness.balances({ tenant: name }).map(({ spentUnits }) => spentUnits);
      expect(of(tenant)).toEqual([70, 60]);
      expect(of("other")).toEqual([70, 10]);
    },
  );

  test("AC1: a reload with 5,000 tenants finds the usage of every one of them", () => {
    const tenants = Array.from({ length: 5_000 }, (_, i) => `t${i}`);
    const listed = `{${tenants.map((name) => `${name}: {plan: p}`).join(", ")}}`;
    const harness = engineWith(
      policyOf("{name: a, meter: tokens, budget: {units: 100, period: day}}", listed),
    );
    for (const [i, tenant] of tenants.entries()) {
      harness.ok(aConsume({ subject: { tenant }, amounts: { tokens: i % 90 } }));
    }
    harness.reload(policyOf("{name: a, meter: tokens, budget: {units: 200, period: day}}", listed));
    const wrong = tenants.filter((tenant, i) => {
      const balance = harness.balance({ tenant }, "a");
      return balance?.spentUnits !== i % 90 || balance.limitUnits !== 200;
    });
    expect(wrong).toEqual([]);
  });
});

describe("AC2: the end of a period", () => {
  const minute = policyOf("{name: a, meter: tokens, budget: {units: 100, period: minute}}");

  test("AC2: new operations are in the new period, the reservation settles in its own (S24)", () => {
    const { ok, clock, balance } = engineWith(minute);
    const { reservationId } = ok(aReserve({ amounts: { tokens: 80 }, ttlMs: 300_000 }));
    clock.advance(60_000);
    expect(balance({}, "a")).toMatchObject({ spentUnits: 0, remainingUnits: 100, leasedUnits: 0 });
    ok(aConsume({ amounts: { tokens: 100 } }));
    expect(ok(aCommit(reservationId, { amounts: { tokens: 90 } }))).toMatchObject({
      charged: [{ meter: "tokens", units: 90 }],
    });
    expect(balance({}, "a")).toMatchObject({ spentUnits: 100, remainingUnits: 0, debtUnits: 0 });
  });

  test("S4, S24: its commit says where the period stands that has begun since", () => {
    const { ok, clock } = engineWith(minute);
    const { reservationId } = ok(aReserve({ amounts: { tokens: 80 }, ttlMs: 300_000 }));
    clock.advance(60_000);
    const later = ok(aReserve({ amounts: { tokens: 10 } }));
    ok(aCommit(later.reservationId, { amounts: { tokens: 120 } }));
    const { verdict } = ok(aCommit(reservationId, { amounts: { tokens: 80 } }));
    expect(verdict.denial).toMatchObject({ reason: "BUDGET_EXHAUSTED", remainingUnits: -20 });
  });

  test("AC2: its old period pays for its overage, and the old ledger goes with it", () => {
    const { ok, clock, ledgers } = boundedEngine(minute);
    const { reservationId } = ok(aReserve({ amounts: { tokens: 80 }, ttlMs: 300_000 }));
    clock.advance(60_000);
    ok(aConsume({ amounts: { tokens: 1 } }));
    expect([...ledgers().values()].map(({ out, spent }) => [out, spent])).toEqual([
      [80, 0],
      [0, 1],
    ]);
    ok(aCommit(reservationId, { amounts: { tokens: 900 } }));
    expect([...ledgers().values()].map(({ out, spent }) => [out, spent])).toEqual([[0, 1]]);
  });

  test("AC2: an extension belongs to the reservation's own period", () => {
    const { ok, clock, balance } = engineWith(minute);
    const { reservationId } = ok(aReserve({ amounts: { tokens: 80 }, ttlMs: 300_000 }));
    clock.advance(60_000);
    ok(aConsume({ amounts: { tokens: 100 } }));
    const more = ok(anExtend(reservationId, { add: { tokens: 20 } }));
    expect(more.verdict.decision).toBe("allow");
    const tooMuch = ok(anExtend(reservationId, { add: { tokens: 1 } }));
    expect(tooMuch.verdict.decision).toBe("deny");
    expect(balance({}, "a")).toMatchObject({ spentUnits: 100, leasedUnits: 0 });
  });

  test("S23: carried units come with the first look at the new period", () => {
    const carrying = policyOf(
      "{name: a, meter: tokens, carry_debt: true, budget: {units: 100, period: minute, rollover: 30}}",
    );
    const saving = engineWith(carrying);
    saving.ok(aConsume({ amounts: { tokens: 80 } }));
    saving.clock.advance(60_000);
    expect(saving.balance({}, "a")).toMatchObject({ limitUnits: 120, remainingUnits: 120 });
    expect(saving.ok(aConsume({ amounts: { tokens: 120 } })).verdict.decision).toBe("allow");
    const owing = engineWith(carrying);
    const { reservationId } = owing.ok(aReserve({ amounts: { tokens: 100 } }));
    owing.ok(aCommit(reservationId, { amounts: { tokens: 150 } }));
    owing.clock.advance(60_000);
    expect(owing.balance({}, "a")).toMatchObject({ remainingUnits: 50 });
    expect(owing.ok(aConsume({ amounts: { tokens: 51 } })).verdict.decision).toBe("deny");
    expect(owing.ok(aConsume({ amounts: { tokens: 50 } })).verdict.decision).toBe("allow");
  });

  test("S23: carried units outlive the sweeps of a quiet beginning", () => {
    const { ok, clock, balance } = engineWith(
      policyOf("{name: a, meter: tokens, budget: {units: 100, period: minute, rollover: 30}}"),
    );
    ok(aConsume({ amounts: { tokens: 80 } }));
    clock.advance(60_000);
    expect(balance({}, "a")).toMatchObject({ remainingUnits: 120 });
    clock.advance(5_000);
    expect(balance({}, "a")).toMatchObject({ remainingUnits: 120 });
  });
});

describe("AC3: a tenant at its bound", () => {
  const bound = (policy = perRun, bucketsPerTenant = 3) =>
    boundedEngine(policy, { bucketsPerTenant });
  const two = policyOf(
    "{name: run, meter: tokens, per: [run], budget: {units: 100, period: day}}",
    "{acme: {plan: p}, globex: {plan: p}}",
  );

  test("AC3: is refused the next bucket, and keeps those that it has", () => {
    const { ok, outcome, engine } = bound();
    for (const run of ["1", "2", "3"]) {
      ok(aConsume({ subject: inRun(run), amounts: { tokens: 1 } }));
    }
    expect(outcome(aReserve({ subject: inRun("4"), amounts: { tokens: 1 } }))).toBe(
      "TOO_MANY_BUCKETS",
    );
    expect(outcome(aConsume({ subject: inRun("3"), amounts: { tokens: 1 } }))).toBe("allow");
    expect(engine.liveBuckets()).toBe(3);
  });

  test("AC3: is refused alone", () => {
    const { ok, outcome } = bound(two);
    for (const run of ["1", "2", "3"]) {
      ok(aConsume({ subject: inRun(run), amounts: { tokens: 1 } }));
    }
    expect(outcome(aConsume({ subject: inRun("4"), amounts: { tokens: 1 } }))).toBe(
      "TOO_MANY_BUCKETS",
    );
    const other = { tenant: "globex", ...inRun("4") };
    expect(outcome(aConsume({ subject: other, amounts: { tokens: 1 } }))).toBe("allow");
  });

  test("AC3: gets room again at once where one of its buckets is idle", () => {
    const { ok, outcome } = bound();
    const { reservationId } = ok(aReserve({ subject: inRun("1"), amounts: { tokens: 9 } }));
    for (const run of ["2", "3"]) ok(aConsume({ subject: inRun(run), amounts: { tokens: 1 } }));
    ok(aRelease(reservationId));
    expect(outcome(aConsume({ subject: inRun("4"), amounts: { tokens: 1 } }))).toBe("allow");
    expect(outcome(aConsume({ subject: inRun("5"), amounts: { tokens: 1 } }))).toBe(
      "TOO_MANY_BUCKETS",
    );
  });

  test("AC3: and when the period of what it used is over", () => {
    const { ok, outcome, clock, engine } = bound();
    for (const run of ["1", "2", "3"]) {
      ok(aConsume({ subject: inRun(run), amounts: { tokens: 1 } }));
    }
    clock.advance(DAY);
    expect(outcome(aConsume({ subject: inRun("4"), amounts: { tokens: 1 } }))).toBe("allow");
    clock.advance(2_000);
    expect(engine.liveBuckets()).toBe(1);
  });

  test("AC3: a look needs no bucket, so it is answered at the bound as well", () => {
    const { ok, outcome, engine } = bound();
    for (const run of ["1", "2", "3"]) {
      ok(aConsume({ subject: inRun(run), amounts: { tokens: 1 } }));
    }
    expect(outcome(aCheck({ subject: inRun("4"), amounts: { tokens: 1 } }))).toBe("allow");
    expect(outcome(aReserve({ subject: inRun("4"), amounts: { tokens: 1 }, dryRun: true }))).toBe(
      "allow",
    );
    expect(engine.liveBuckets()).toBe(3);
  });

  test("AC3: buckets of a platform limit count against the tenant that made them", () => {
    const { outcome } = boundedEngine(
      "limits: [{name: rpm, per: [name], meter: tokens, budget: {units: 9, period: day}}]\ntenants: {acme: {}, globex: {}}",
      { bucketsPerTenant: 2 },
    );
    const calling = (name: string, tenant = "acme") =>
      outcome(aConsume({ subject: { tenant }, action: { name }, amounts: { tokens: 1 } }));
    expect([calling("m1"), calling("m2"), calling("m3")]).toEqual([
      "allow",
      "allow",
      "TOO_MANY_BUCKETS",
    ]);
    expect([calling("m3", "globex"), calling("m3")]).toEqual(["allow", "allow"]);
  });

  test("AC3: all tenants together have a bound as well", () => {
    const { outcome } = boundedEngine(two, { bucketsMax: 2 });
    const using = (tenant: string, run: string) =>
      outcome(aConsume({ subject: { tenant, ...inRun(run) }, amounts: { tokens: 1 } }));
    expect([using("acme", "1"), using("acme", "2"), using("globex", "1")]).toEqual([
      "allow",
      "allow",
      "TOO_MANY_BUCKETS",
    ]);
  });

  test("AC3: a refused operation charges nothing at the limits that it had reached before", () => {
    const { ok, outcome, ledgers } = bound(
      policyOf(
        "{name: all, meter: tokens, budget: {units: 100, period: day}}, {name: run, meter: tokens, per: [run], budget: {units: 100, period: day}}",
      ),
    );
    for (const run of ["1", "2"]) ok(aConsume({ subject: inRun(run), amounts: { tokens: 1 } }));
    expect(outcome(aConsume({ subject: inRun("3"), amounts: { tokens: 50 } }))).toBe(
      "TOO_MANY_BUCKETS",
    );
    const spent = [...ledgers().values()].map((view) => view.spent);
    expect(spent.toSorted((a, b) => a - b)).toEqual([1, 1, 2]);
  });
});
