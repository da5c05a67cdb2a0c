import { describe, expect, test } from "vitest";
import type { Operation } from "../../../../src/core/operation.ts";
import type { Verdict } from "../../../../src/core/verdict.ts";
import { aCheck, aConsume, aReserve } from "../../../support/builders.ts";
import { LEARNS, LOST } from "../../../support/endurance.ts";
import { fleetOf, type FleetHarness } from "../../../support/fleet-harness.ts";
import { holderWith } from "../../../support/holder-harness.ts";

const LIMITS = (limits: string): string => `
revision: 1
tenants:
  acme:
    uid: acme-1
    limits:
${limits}
`;
const BUDGET = (loss = ""): string =>
  LIMITS(
    `      - { name: money, meter: usd_micros, budget: { units: 1000, period: month }${loss} }`,
  );
const RATE = (loss = ""): string =>
  LIMITS(`      - { name: pace, meter: tokens, rate: { units: 60, every: 60s }${loss} }`);

const spend = (units: number, meter = "usd_micros") => aConsume({ amounts: { [meter]: units } });

function verdict(fleet: FleetHarness, operation: Operation = spend(10), replica = 0): Verdict {
  const pending = fleet.replicas[replica]?.run(operation);
  fleet.clock.advance(300);
  const answer = pending?.answer;
  if (!answer || !("verdict" in answer)) throw new Error("no verdict");
  return answer.verdict;
}

const told = ({ decision, denial, source, degraded }: Verdict): unknown[] => [
  denial?.reason ?? decision,
  source,
  degraded,
];

describe("the store is lost", () => {
  test("AB1, FB1: deny is the rule of a budget; what is here is spent first, and the answer says so", () => {
    const fleet = fleetOf(BUDGET());
    for (let i = 0; i < 10; i++) verdict(fleet);
    fleet.up(false);
    const left = fleet.replicas[0]?.engine.leasedUnits().get("usd_micros") ?? 0;
    expect(left).toBeGreaterThan(20);
    expect(told(verdict(fleet))).toEqual(["allow", "lease", true]);
    const refused = verdict(fleet, spend(900));
    expect(told(refused)).toEqual(["STORE_UNAVAILABLE", "fallback", true]);
    expect(refused.denial?.retryAfterMs).toBeGreaterThan(0);
  });

  test("AB1: nothing was ever heard: a pending lease where the store is slow, STORE_UNAVAILABLE where it is away", () => {
    const slow = fleetOf(BUDGET(), { roundTripMs: 2_000, waitMs: 100 });
    const pending = slow.replicas[0]?.run(spend(10), slow.clock.wall() + 200);
    slow.clock.advance(300);
    expect(pending?.answer).toMatchObject({ verdict: { denial: { reason: "LEASE_PENDING" } } });
    const away = fleetOf(BUDGET());
    away.up(false);
    expect(told(verdict(away))).toEqual(["STORE_UNAVAILABLE", "fallback", true]);
  });

  test.each([
    ["deny", ""],
    ["a ceiling", ", on_store_loss: { allow: { max_units: 300, for: 1m } }"],
    ["allow", ", on_store_loss: allow"],
  ])(
    "AB1, S31: with %s a look says what an operation would be told, and changes nothing",
    (_, rule) => {
      const fleet = fleetOf(BUDGET(rule));
      verdict(fleet);
      fleet.up(false);
      fleet.clock.advance(50);
      const kinds: readonly ((units: number) => Operation)[] = [
        (units) => aCheck({ amounts: { usd_micros: units } }),
        (units) => aReserve({ amounts: { usd_micros: units }, dryRun: true }),
        spend,
      ];
      for (const units of [200, 900]) {
        const [checked, tried, done] = kinds.map((kind) => told(verdict(fleet, kind(units))));
        expect([checked, tried]).toEqual([done, done]);
        // Nothing was ever asked of the other one: a look there opens nothing.
        expect(told(verdict(fleet, kinds[0]?.(units), 1))).toEqual(done);
        expect(fleet.replicas[1]?.engine.liveBuckets()).toBe(0);
      }
      expect(told(verdict(fleet, kinds[0]?.(1)))[0]).toBe("allow"); // of what is leased
      // The minute of the ceiling begins with the first operation, not with a look.
      const later = fleetOf(BUDGET(rule));
      verdict(later);
      later.up(false);
      const looked = told(verdict(later, kinds[0]?.(250)));
      later.clock.advance(61_000);
      expect(told(verdict(later, spend(250)))).toEqual(looked);
    },
  );

  test("AB2, FB1, FB3: allow lets through, counts beyond, and the store hears of it when it is back", () => {
    const fleet = fleetOf(BUDGET(", on_store_loss: allow"));
    verdict(fleet);
    fleet.up(false);
    expect(told(verdict(fleet, spend(900)))).toEqual(["allow", "fallback", true]);
    fleet.up(true);
    fleet.clock.advance(5_000);
    const other = fleet.replicas[1]?.balances({}, true);
    fleet.clock.advance(50);
    expect(other?.answer).toMatchObject([{ spentUnits: 910 }]);
  });

  test("FB2: ceilings hold for one sidecar and one outage", () => {
    const fleet = fleetOf(BUDGET(", on_store_loss: { allow: { max_units: 100, for: 1m } }"));
    fleet.up(false);
    expect(told(verdict(fleet, spend(60)))[0]).toBe("allow");
    expect(told(verdict(fleet, spend(60)))[0]).toBe("STORE_UNAVAILABLE");
    expect(told(verdict(fleet, spend(40)))[0]).toBe("allow");
    fleet.up(true);
    fleet.clock.advance(5_000);
    fleet.up(false);
    fleet.clock.advance(50);
    expect(told(verdict(fleet, spend(900)))[0]).toBe("STORE_UNAVAILABLE");
    fleet.clock.advance(70_000);
    expect(told(verdict(fleet, spend(900)))[0]).toBe("STORE_UNAVAILABLE");
  });

  test("FB1, FB3: share is a rate's own: refill and burst by the holders last seen", () => {
    const fleet = fleetOf(RATE(), { replicas: 3 });
    for (const replica of [0, 1, 2]) verdict(fleet, spend(1, "tokens"), replica);
    fleet.clock.advance(1_000);
    for (const replica of [0, 1, 2]) verdict(fleet, spend(1, "tokens"), replica);
    fleet.up(false);
    fleet.clock.advance(11_000); // leases of a rate are over
    const took = [0, 1, 2].map((replica) => {
      let units = 0;
      while (verdict(fleet, spend(5, "tokens"), replica).decision === "allow") units += 5;
      return units;
    });
    expect(Math.max(...took)).toBeLessThanOrEqual(30);
    expect(took.reduce((sum, one) => sum + one, 0)).toBeGreaterThanOrEqual(45);
  });

  test("FB1: the share of a rate that was empty begins empty", () => {
    const fleet = fleetOf(RATE());
    const drain = (): number => {
      let units = 0;
      while (verdict(fleet, spend(5, "tokens")).decision === "allow") units += 5;
      return units;
    };
    expect(drain()).toBeGreaterThan(0);
    fleet.clock.advance(1_000);
    drain();
    fleet.up(false);
    const lost = drain();
    expect(lost).toBeLessThanOrEqual(5);
    fleet.clock.advance(60_000);
    expect(drain()).toBeGreaterThan(5);
  });

  test("AB1: a store that learns before it ever granted is new, not lost: LEASE_PENDING", () => {
    const fleet = fleetOf(BUDGET(), { learnMs: 2_000 });
    expect(told(verdict(fleet))).toEqual(["LEASE_PENDING", "store", false]);
    fleet.clock.advance(2_000);
    expect(verdict(fleet).decision).toBe("allow");
  });

  test("AB1: a store that learns after it has granted was lost: STORE_UNAVAILABLE", () => {
    const fleet = fleetOf(BUDGET());
    verdict(fleet);
    fleet.shards.get("acme-1")?.ledgers.clear();
    const meta = fleet.shards.get("acme-1")?.meta;
    if (meta) meta.historyId = "another";
    for (const { engine } of fleet.replicas) expect(engine.degraded()).toBe(false);
    fleet.clock.advance(4_000);
    expect(told(verdict(fleet, spend(900)))).toEqual(["STORE_UNAVAILABLE", "fallback", true]);
    fleet.clock.advance(13_000);
    expect(verdict(fleet, aReserve({ amounts: { usd_micros: 500 } })).decision).toBe("allow");
  });
});

describe("what is said of it", () => {
  const levelsOf = (fleet: FleetHarness, replica = 0): unknown[] =>
    (fleet.replicas[replica]?.lines ?? []).map(({ level, message }) => `${level} ${message}`);

  const MANY = `
revision: 1
tenants:
  acme: { uid: acme-1, limits: [{ name: money, meter: usd_micros, budget: { units: 1000, period: month } }, { name: slots, concurrency: { max: 9 } }] }
  globex: { uid: globex-1, limits: [{ name: money, meter: usd_micros, budget: { units: 1000, period: month } }] }
`;
  const spendEverywhere = (fleet: FleetHarness): void => {
    for (const replica of fleet.replicas) {
      for (const tenant of ["acme", "globex"]) {
        replica.run(aConsume({ amounts: { usd_micros: 1 }, subject: { tenant } }));
      }
    }
    fleet.clock.advance(300);
  };
  /** The store has nothing any more, and another history. */
  const flush = (fleet: FleetHarness): void => {
    for (const shard of fleet.shards.values()) {
      shard.ledgers.clear();
      shard.families.clear();
      if (shard.meta) shard.meta.historyId = `another ${fleet.clock.wall()}`;
    }
  };
  /** Time goes on; at each moment the log says what the gauges say. */
  function watch(fleet: FleetHarness, ms: number): number {
    let lostMs = 0;
    for (let at = 0; at < ms; at += 50) {
      fleet.clock.advance(50);
      for (const { engine, lines } of fleet.replicas) {
        const isTold = /^store (lost|may)/.test(lines.at(-1)?.message ?? "");
        expect(isTold).toBe(engine.degraded());
        expect(engine.whyDegraded() !== "").toBe(engine.degraded() && engine.storeUp());
      }
      if (fleet.replicas[0]?.engine.degraded()) lostMs += 50;
    }
    return lostMs;
  }

  test("LS1, LS2: data is lost under everybody: one line when units are not to be had, one when they are", () => {
    const fleet = fleetOf(MANY);
    spendEverywhere(fleet);
    flush(fleet);
    expect(watch(fleet, 20_000)).toBeGreaterThan(11_000);
    for (const replica of fleet.replicas.keys()) {
      expect(levelsOf(fleet, replica)).toEqual([
        "info store found",
        `warn ${LEARNS}`,
        "info store back",
      ]);
      const [, lost, back] = fleet.replicas[replica]?.lines ?? [];
      const lostMs = Number(back?.fields["lostMs"]);
      expect(lost?.fields).toEqual({ store: "reference", atMostMs: 15_000 });
      expect(lostMs).toBeGreaterThan(11_000);
      expect(lostMs).toBeLessThanOrEqual(15_000);
    }
  });

  test("LS4: where one tenant's data is lost another's limits go on, whatever their rule", () => {
    const fleet = fleetOf(`
revision: 1
tenants:
  acme: { uid: acme-1, limits: [{ name: money, meter: usd_micros, budget: { units: 1000, period: month } }] }
  globex: { uid: globex-1, limits: [{ name: money, meter: usd_micros, budget: { units: 1000, period: month }, on_store_loss: allow }] }
`);
    spendEverywhere(fleet);
    const lost = fleet.shards.get("acme-1");
    lost?.ledgers.clear();
    if (lost?.meta) lost.meta = { ...lost.meta, historyId: "another" };
    watch(fleet, 4_000);
    expect(fleet.replicas[0]?.engine.degraded()).toBe(true);
    const of = (tenant: string, units: number) =>
      verdict(fleet, aConsume({ amounts: { usd_micros: units }, subject: { tenant } }));
    expect(of("acme", 900).denial?.reason).toBe("STORE_UNAVAILABLE");
    expect(of("globex", 900)).toMatchObject({ decision: "allow", source: "store" });
    expect(of("globex", 900).denial?.reason).toBe("BUDGET_EXHAUSTED");
  });

  test("LS4: a store that grants sooner than it said is waited for again at once", () => {
    const fleet = fleetOf(MANY);
    spendEverywhere(fleet);
    flush(fleet);
    watch(fleet, 5_000);
    for (const shard of fleet.shards.values()) {
      if (shard.meta) shard.meta = { ...shard.meta, learningUntil: 0 };
      for (const ledger of shard.ledgers.values()) ledger.learningUntil = 0;
    }
    expect(watch(fleet, 8_000)).toBeLessThan(5_000);
    expect(verdict(fleet, spend(900)).decision).toBe("allow");
  });

  test("LS1, LS2: a store that comes back without its data is back when it grants", () => {
    const fleet = fleetOf(MANY);
    spendEverywhere(fleet);
    fleet.up(false);
    watch(fleet, 10_000);
    flush(fleet);
    fleet.up(true);
    fleet.clock.advance(1);
    expect(fleet.replicas[0]?.engine.whyDegraded()).not.toBe("");
    expect(watch(fleet, 20_000)).toBeGreaterThan(11_000);
    expect(levelsOf(fleet)).toEqual(["info store found", `error ${LOST}`, "info store back"]);
    expect(fleet.replicas[0]?.lines.at(-1)?.fields["lostMs"]).toBeGreaterThan(21_000);
    expect(verdict(fleet).decision).toBe("allow");
  });

  test("LS2: one that has lost nothing is back with its first answer; why it was away is in the log", () => {
    const fleet = fleetOf(MANY);
    spendEverywhere(fleet);
    fleet.up(false, "connect ECONNREFUSED");
    watch(fleet, 10_000);
    fleet.up(true);
    expect(watch(fleet, 3_000)).toBeLessThanOrEqual(50);
    expect(levelsOf(fleet)).toEqual(["info store found", `error ${LOST}`, "info store back"]);
    expect(fleet.replicas[0]?.lines[1]?.fields["cause"]).toBe("connect ECONNREFUSED");
  });

  test("LS2: that a store which learns cannot be reached either is in the log, with why", () => {
    const fleet = fleetOf(MANY);
    spendEverywhere(fleet);
    flush(fleet);
    watch(fleet, 4_000);
    fleet.up(false, "connect ECONNREFUSED");
    watch(fleet, 30_000);
    fleet.up(true);
    watch(fleet, 20_000);
    expect(levelsOf(fleet)).toEqual([
      "info store found",
      `warn ${LEARNS}`,
      `error ${LOST}`,
      "info store back",
    ]);
    expect(fleet.replicas[0]?.lines[2]?.fields["cause"]).toBe("connect ECONNREFUSED");
  });

  test("LS2: a store that can be reached again, and does not answer what it is asked, is not back", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a" });
    h.wait(lease, 10);
    h.answerAll();
    h.pass(1_000);
    h.listener.up(false, "no answer for 5 s");
    h.pass(100);
    h.listener.up(true);
    h.pass(6_000);
    expect([h.holder.isLost(), h.lines.at(-1)?.message]).toEqual([true, LOST]);
    h.answerAll();
    h.pass(0);
    expect([h.holder.isLost(), h.lines.at(-1)?.message]).toEqual([false, "store back"]);
  });

  test("LS2: nor is one asked of which nothing was ever heard", () => {
    const h = holderWith();
    h.listener.up(false, "no answer for 5 s");
    h.pass(100);
    expect(h.take(h.lease({ key: "a" }), 10)).toBe("short");
    h.listener.up(true);
    h.pass(0);
    expect(h.holder.isLost()).toBe(false);
  });

  test("LS3: one that comes and goes all the time writes a pair of lines in five seconds, and the last one is true", () => {
    const fleet = fleetOf(MANY);
    spendEverywhere(fleet);
    for (let i = 0; i < 300; i++) {
      fleet.up(i % 2 === 1);
      fleet.clock.advance(200);
    }
    expect(levelsOf(fleet).length).toBeLessThanOrEqual(2 * (60 / 5) + 3);
    expect(levelsOf(fleet).at(-1)).toBe("info store back");
    fleet.up(false);
    fleet.clock.advance(6_000);
    expect(levelsOf(fleet).at(-1)).toBe(`error ${LOST}`);
  });
});
