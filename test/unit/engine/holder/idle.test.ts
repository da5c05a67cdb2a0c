/** Ledgers that the store forgets for want of use, while sidecars still know them. */
import { describe, expect, test } from "vitest";
import type { Operation } from "../../../../src/core/operation.ts";
import { isRejection } from "../../../../src/core/rejection.ts";
import type { Answer, Verdict } from "../../../../src/core/verdict.ts";
import { aConsume, aReserve } from "../../../support/builders.ts";
import { fleetOf, type FleetHarness, type Pending } from "../../../support/fleet-harness.ts";

const LIMITS = {
  rate: "{ name: pace, meter: requests, rate: { units: 5, every: 1s } }",
  slots: "{ name: slots, concurrency: { max: 5 } }",
  once: "{ name: run, meter: tokens, budget: { units: 10000, period: once, ttl: 12s } }",
};
const policy = (limit: string): string => `
revision: 1
tenants:
  acme:
    uid: acme-1
    limits:
      - { name: year, meter: tokens, budget: { units: 10000, period: year } }
      - ${limit}
`;
const some = { amounts: { tokens: 10 } };

function verdictOf({ answer }: Pending<Answer>): Verdict {
  if (!answer || isRejection(answer) || !("verdict" in answer)) throw new Error("no verdict");
  return answer.verdict;
}

/** One operation at each sidecar in turn: what was decided. */
function useAll(fleet: FleetHarness, operation: Operation = aConsume(some)): readonly string[] {
  return fleet.replicas.map((replica) => {
    const pending = replica.run(operation);
    fleet.clock.advance(300);
    const { decision, denial, degraded } = verdictOf(pending);
    return `${denial?.reason ?? decision}${degraded ? ", degraded" : ""}`;
  });
}

describe.each(Object.keys(LIMITS) as (keyof typeof LIMITS)[])("SH6: a %s that idles", (kind) => {
  test.each([15, 17, 20, 25, 30, 45, 59, 70, 100])(
    "for %i s is as good as new, and nothing is taken for lost (S13, S17)",
    (seconds) => {
      const fleet = fleetOf(policy(LIMITS[kind]));
      fleet.clock.advance(5_000);
      expect(useAll(fleet)).toEqual(["allow", "allow"]);
      for (let left = seconds; left > 0; left--) fleet.clock.advance(1_000);
      expect(useAll(fleet)).toEqual(["allow", "allow"]);
      expect(useAll(fleet, aReserve(some))).toEqual(["allow", "allow"]);
    },
  );

  test("while the store is away is not lost with it", () => {
    const fleet = fleetOf(policy(LIMITS[kind]));
    fleet.clock.advance(5_000);
    expect(useAll(fleet)).toEqual(["allow", "allow"]);
    fleet.up(false);
    for (let s = 0; s < 20; s++) fleet.clock.advance(1_000);
    for (const replica of fleet.replicas) replica.run(aConsume({ amounts: { tokens: 9_000 } })); // a message is under way
    for (let s = 0; s < 20; s++) fleet.clock.advance(1_000);
    fleet.up(true);
    fleet.clock.advance(1_500);
    expect(useAll(fleet)).toEqual(["allow", "allow"]);
    fleet.clock.advance(1_500);
    expect(useAll(fleet)).toEqual(["allow", "allow"]);
  });
});
