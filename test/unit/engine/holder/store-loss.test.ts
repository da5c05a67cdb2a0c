import { describe, expect, test } from "vitest";
import type { Operation } from "../../../../src/core/operation.ts";
import type { Verdict } from "../../../../src/core/verdict.ts";
import { aConsume, aReserve } from "../../../support/builders.ts";
import { fleetOf, type FleetHarness } from "../../../support/fleet-harness.ts";

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
