/** What a sidecar of a fleet says of limits that it holds nothing of, and what it leaves behind when it goes. */
import { describe, expect, test } from "vitest";
import { isRejection, type Rejection } from "../../../../src/core/rejection.ts";
import type { Answer, Balance, Verdict } from "../../../../src/core/verdict.ts";
import { aCheck, aCommit, aConsume, aRelease, aReserve } from "../../../support/builders.ts";
import { aPolicy } from "../../../support/engine-harness.ts";
import { fleetOf, type FleetHarness, type Pending } from "../../../support/fleet-harness.ts";

const policy = (units: number, { mode = "enforce", revision = 1 } = {}): string => `
revision: ${revision}
tenants:
  acme:
    uid: acme-1
    limits:
      - { name: money, meter: usd_micros, mode: ${mode}, budget: { units: ${units}, period: month } }
`;
const dollars = (units: number) => ({ amounts: { usd_micros: units } });

function verdictOf(pending: Pending<Answer> | undefined): Verdict {
  const answer = pending?.answer;
  if (!answer || isRejection(answer) || !("verdict" in answer)) throw new Error("no verdict");
  return answer.verdict;
}
const moneyOf = (pending: Pending<readonly Balance[]> | undefined): Balance | undefined => {
  const answer: readonly Balance[] | Rejection | undefined = pending?.answer;
  return answer && !isRejection(answer) ? answer[0] : undefined;
};
const ledgersOf = ({ shards }: FleetHarness) =>
  [...shards.values()].flatMap(({ ledgers }) => [...ledgers.values()]);

describe("a look", () => {
  test("S31: Check where nothing is held reads the store, says so, and creates nothing", () => {
    const fleet = fleetOf(policy(1_000));
    const [one, two] = fleet.replicas;
    one?.run(aConsume(dollars(900)));
    fleet.clock.advance(10_000);
    const messages = fleet.counted.messages;
    const [small, large] = [two?.run(aCheck(dollars(100))), two?.run(aCheck(dollars(101)))];
    fleet.clock.advance(20);
    expect([verdictOf(small).decision, verdictOf(small).source]).toEqual(["allow", "store"]);
    expect(verdictOf(large).denial?.reason).toBe("BUDGET_EXHAUSTED");
    expect(fleet.counted.messages).toBe(messages);
    expect(ledgersOf(fleet)[0]?.records.size).toBe(1);
    expect(two?.engine.liveBuckets()).toBe(0);
  });

  test("S31: a ledger that nobody has used is whole, and is not made by being looked at", () => {
    const fleet = fleetOf(policy(1_000));
    const seen = fleet.replicas[0]?.balances({});
    fleet.clock.advance(20);
    expect(moneyOf(seen)?.remainingUnits).toBe(1_000);
    expect(ledgersOf(fleet)).toEqual([]);
  });

  test.each([
    ["debt", 180, 20, 21],
    ["what is left", 30, 130, 131],
  ])(
    "S31: %s of a period that is over is seen in the next one before anybody has opened it",
    (_, spent, fits, tooMuch) => {
      const daily = policy(100)
        .replace("period: month", "period: day, rollover: 30")
        .replace("mode: enforce", "overage: debt, carry_debt: true");
      const fleet = fleetOf(daily, { now: "2026-11-21T23:59:00Z" });
      const [one, two] = fleet.replicas;
      const reserved = one?.run(aReserve(dollars(20)));
      fleet.clock.advance(20);
      const { answer } = reserved ?? {};
      if (!answer || isRejection(answer) || !("reservationId" in answer)) throw new Error("none");
      one?.run(aCommit(answer.reservationId, dollars(spent)));
      for (let step = 0; step < 720; step++) fleet.clock.advance(60_000);
      const looks = [two?.run(aCheck(dollars(fits))), two?.run(aCheck(dollars(tooMuch)))];
      const seen = two?.balances({});
      fleet.clock.advance(20);
      expect(looks.map((look) => verdictOf(look).decision)).toEqual(["allow", "deny"]);
      expect(moneyOf(seen)?.remainingUnits).toBe(fits);
      const taken = [two?.run(aConsume(dollars(tooMuch))), two?.run(aConsume(dollars(fits)))];
      fleet.clock.advance(1_000);
      expect(taken.map((one) => verdictOf(one).decision)).toEqual(["deny", "allow"]);
    },
  );

  test("S30: a refreshed balance knows what another sidecar has spent; remaining is what all of them left", () => {
    const fleet = fleetOf(policy(1_000));
    const [one, two] = fleet.replicas;
    two?.run(aConsume(dollars(10)));
    fleet.clock.advance(3_000);
    one?.run(aConsume(dollars(500)));
    fleet.clock.advance(10_000);
    const fresh = two?.balances({}, true);
    fleet.clock.advance(50);
    const { spentUnits, leasedUnits, remainingUnits, localAvailableUnits } = moneyOf(fresh) ?? {};
    expect([spentUnits, remainingUnits]).toEqual([510, 490]);
    expect(1_000 - 510 - (leasedUnits ?? 0) + (localAvailableUnits ?? 0)).toBe(490);
  });
});

describe("a look where the store has the numbers of another revision", () => {
  const numbered = (revision: number, times: number): string => `
revision: ${revision}
tenants:
  acme:
    uid: acme-1
    limits:
      - { name: money, meter: usd_micros, budget: { units: ${100 * times}, period: month } }
      - { name: pace, meter: tokens, rate: { units: ${100 * times}, every: 1h } }
      - { name: slots, concurrency: { max: ${2 * times} } }
`;
  const all = { amounts: { usd_micros: 50, tokens: 50 } };
  /** The first sidecar has used all under its revision; the second one holds nothing. */
  function usedUp(mine: string, theirs: string) {
    const fleet = fleetOf(mine);
    const [one, two] = fleet.replicas;
    two?.engine.reload(aPolicy(theirs));
    for (let i = 0; i < 2; i++) {
      one?.run(aReserve(all));
      fleet.clock.advance(300);
    }
    return { fleet, two };
  }
  const numbersOf = (pending: Pending<readonly Balance[]> | undefined) => {
    const answer = pending?.answer;
    if (!answer || isRejection(answer)) throw new Error("no balances");
    return answer.map(({ limitUnits, remainingUnits }) => [limitUnits, remainingUnits]);
  };

  test("S31, policy.md: the numbers of the higher revision hold, though the store has not heard of them", () => {
    const { fleet, two } = usedUp(numbered(1, 1), numbered(2, 10));
    const [fits, seen] = [two?.run(aCheck(all)), two?.balances({})];
    const tooMuch = two?.run(aCheck({ amounts: { usd_micros: 901 } }));
    fleet.clock.advance(20);
    expect(numbersOf(seen)).toEqual([
      [1_000, 900],
      [1_000, 900],
      [20, 18],
    ]);
    expect(verdictOf(fits).decision).toBe("allow");
    expect(verdictOf(tooMuch).denial?.reason).toBe("BUDGET_EXHAUSTED");
    expect(ledgersOf(fleet).map(({ spec }) => spec.version)).toEqual([1, 1, 1]);
    const admitted = two?.run(aReserve(all));
    fleet.clock.advance(300);
    expect(verdictOf(admitted).decision).toBe("allow");
  });

  test("S31, policy.md: where the store's is the higher one, its numbers hold", () => {
    const { fleet, two } = usedUp(numbered(2, 10), numbered(1, 1));
    const [fits, seen] = [two?.run(aCheck(all)), two?.balances({})];
    fleet.clock.advance(20);
    expect(numbersOf(seen).map(([limit]) => limit)).toEqual([1_000, 1_000, 20]);
    for (const [, remaining = 0] of numbersOf(seen)) expect(remaining).toBeGreaterThan(10);
    expect(verdictOf(fits).decision).toBe("allow");
  });
});

describe("limits that refuse nothing", () => {
  test.each(["soft", "shadow"])(
    "S10a, S11: %s counts past its end, and what it counts is seen by all",
    (mode) => {
      const fleet = fleetOf(policy(100, { mode }));
      const [one, two] = fleet.replicas;
      const admitted = one?.run(aConsume(dollars(150)));
      fleet.clock.advance(10_000);
      expect(verdictOf(admitted).decision).toBe("allow");
      const after = two?.run(aConsume(dollars(10)));
      fleet.clock.advance(10_000);
      expect(verdictOf(after).decision).toBe("allow");
      expect(ledgersOf(fleet)[0]?.settled).toBe(160);
      expect(ledgersOf(fleet)[0]?.out).toBe(0);
    },
  );
});

test("a limit that was raised lets the next request through, however it was refused before", () => {
  const fleet = fleetOf(policy(100));
  const [one, two] = fleet.replicas;
  one?.run(aReserve(dollars(100)));
  fleet.clock.advance(100);
  for (let i = 0; i < 5; i++) {
    const refused = two?.run(aReserve(dollars(60)));
    fleet.clock.advance(300);
    expect(verdictOf(refused).decision).toBe("deny");
  }
  for (const { engine } of fleet.replicas) {
    engine.reload(aPolicy(policy(1_000, { revision: 2 })));
  }
  const admitted = two?.run(aReserve(dollars(60)));
  fleet.clock.advance(10);
  expect(verdictOf(admitted).decision).toBe("allow");
});

test("S27: a drain settles what is open and gives all back: the others can use it at once", async () => {
  const fleet = fleetOf(policy(1_000));
  const [one, two] = fleet.replicas;
  const reserved = one?.run(aReserve(dollars(300)));
  one?.run(aConsume(dollars(100)));
  fleet.clock.advance(50);
  const answer = reserved?.answer;
  if (!answer || isRejection(answer) || answer.op !== "reserve") throw new Error("not reserved");
  one?.run(aCommit(answer.reservationId, { ...dollars(200), partial: true }));
  one?.run(aReserve(dollars(50)));
  const drained = one?.engine.drain();
  fleet.clock.advance(50);
  await drained;
  const [ledger] = ledgersOf(fleet);
  expect([ledger?.settled, ledger?.out, ledger?.live]).toEqual([300, 0, 0]);
  const rest = two?.run(aReserve(dollars(700)));
  fleet.clock.advance(50);
  expect(verdictOf(rest).decision).toBe("allow");
});

test("EN4: who waits for units when a drain begins is told so, and what was asked for him goes back", async () => {
  const fleet = fleetOf(policy(1_000));
  const [one] = fleet.replicas;
  one?.run(aReserve(dollars(10)));
  fleet.clock.advance(50);
  const waiting = one?.run(aReserve(dollars(900)));
  const drained = one?.engine.drain();
  fleet.clock.advance(50);
  await drained;
  expect(waiting?.answer).toMatchObject({ reason: "DRAINING" });
  expect(one?.engine.openReservations()).toBe(0);
  const [ledger] = ledgersOf(fleet);
  expect([ledger?.settled, ledger?.out, ledger?.live]).toEqual([0, 0, 0]);
});

test("ST4, AB1: a slot that is here is not given for longer than the store knows of, though it is lost", () => {
  const fleet = fleetOf(`
revision: 1
tenants:
  acme: { uid: acme-1, limits: [{ name: slots, concurrency: { max: 4 } }] }
`);
  const [one] = fleet.replicas;
  const reserved = [one?.run(aReserve({ ttlMs: 1_000 })), one?.run(aReserve({ ttlMs: 1_000 }))];
  fleet.clock.advance(50);
  expect(reserved.map((one) => verdictOf(one).decision)).toEqual(["allow", "allow"]);
  fleet.up(false);
  fleet.clock.advance(1_000); // they have expired: two slots are free here
  const long = one?.run(aReserve({ ttlMs: 3_600_000 }));
  const short = one?.run(aReserve({ ttlMs: 1_000 }));
  fleet.clock.advance(300);
  expect(verdictOf(long).denial?.reason).toBe("STORE_UNAVAILABLE");
  expect(verdictOf(short).decision).toBe("allow");
});

describe("S15: slots that another sidecar of the fleet holds", () => {
  /** Both are taken there, for 45 s and for 20 s, after one for an hour has gone again. */
  function taken(): FleetHarness {
    const fleet = fleetOf(`
revision: 1
tenants:
  acme: { uid: acme-1, limits: [{ name: slots, concurrency: { max: 2 } }] }
`);
    const two = fleet.replicas[1];
    const long = two?.run(aReserve({ ttlMs: 3_600_000 }));
    fleet.clock.advance(50);
    const { answer } = long ?? {};
    if (!answer || isRejection(answer) || !("reservationId" in answer)) throw new Error("none");
    two?.run(aRelease(answer.reservationId));
    fleet.clock.advance(20_000);
    const held = [45_000, 20_000].map((ttlMs) => two?.run(aReserve({ ttlMs })));
    fleet.clock.advance(50);
    expect(held.map((one) => verdictOf(one).decision)).toEqual(["allow", "allow"]);
    return fleet;
  }
  /** 0: allowed. */
  function tryOne({ replicas: [one], clock }: FleetHarness): number {
    const tried = one?.run(aReserve({ ttlMs: 10_000 }));
    clock.advance(300);
    const { denial } = verdictOf(tried);
    if (!denial) return 0;
    expect(denial.reason).toBe("CONCURRENCY_EXHAUSTED");
    return denial.retryAfterMs ?? -1;
  }

  test("the first is there when it was said to be", () => {
    const fleet = taken();
    const waitMs = tryOne(fleet);
    expect(waitMs).toBeGreaterThan(19_000);
    expect(waitMs).toBeLessThan(21_000);
    fleet.clock.advance(waitMs);
    expect(tryOne(fleet)).toBe(0);
  });

  test("of one that is gone they are there when it lapses, which is said once it lets none go", () => {
    const fleet = taken();
    fleet.cut(1);
    fleet.clock.advance(tryOne(fleet) + 1_000);
    const waitMs = tryOne(fleet);
    expect(waitMs).toBeGreaterThan(20_000);
    expect(waitMs).toBeLessThan(40_000);
    fleet.clock.advance(waitMs);
    expect(tryOne(fleet)).toBe(0);
  });
});

test.each([
  { case: "brief ones", open: [5_000, 5_000], sooner: 0, withinMs: 15_000 },
  { case: "long ones", open: [20_000, 20_000], sooner: 0, withinMs: 27_000 },
  { case: "brief ones after a long one", open: [2_000, 2_000], sooner: 90_000, withinMs: 15_000 },
])(
  "ST5, S27: slots of a sidecar that died with $case are back soon after they end",
  ({ open, sooner, withinMs }) => {
    const fleet = fleetOf(`
revision: 1
tenants:
  acme: { uid: acme-1, limits: [{ name: slots, concurrency: { max: 2 } }] }
`);
    const [one, two] = fleet.replicas;
    if (sooner > 0) {
      const first = two?.run(aReserve({ ttlMs: sooner }));
      fleet.clock.advance(50);
      const answer = first?.answer;
      const id = answer && "reservationId" in answer ? answer.reservationId : "";
      two?.run(aRelease(id));
      fleet.clock.advance(11_000);
    }
    const held = open.map((ttlMs) => two?.run(aReserve({ ttlMs })));
    fleet.clock.advance(50);
    expect(held.map((one) => verdictOf(one).decision)).toEqual(["allow", "allow"]);
    fleet.clock.advance(3_000);
    fleet.cut(1);
    const since = fleet.clock.mono();
    const isBack = (): boolean => {
      const again = one?.run(aReserve({ ttlMs: 1_000 }));
      fleet.clock.advance(300);
      return verdictOf(again).decision === "allow";
    };
    while (!isBack() && fleet.clock.mono() - since < 120_000);
    expect(fleet.clock.mono() - since).toBeLessThan(withinMs);
  },
);

test("WA6, S10: best effort takes what is left, though another sidecar has had some since this one heard of it", () => {
  const fleet = fleetOf(policy(100));
  const [one, two] = fleet.replicas;
  const reserve = (replica: typeof one, units: number, bestEffort = false) =>
    replica?.run(aReserve({ ...dollars(units), bestEffort }));
  reserve(one, 30);
  fleet.clock.advance(50);
  reserve(two, 30);
  fleet.clock.advance(50);
  const most = reserve(one, 90, true);
  fleet.clock.advance(300);
  expect(verdictOf(most).decision).toBe("allow");
  const answer = most?.answer;
  const reserved = answer && "reserved" in answer ? answer.reserved : [];
  expect(reserved).toEqual([{ meter: "usd_micros", units: 40 }]);
});

test("S17: an exhausted limit of one tenant costs the others nothing", () => {
  const fleet = fleetOf(`
revision: 1
tenants:
  acme: { uid: acme-1, limits: [{ name: money, meter: usd_micros, budget: { units: 100, period: month } }] }
  globex: { uid: globex-1, limits: [{ name: money, meter: usd_micros, budget: { units: 1000000, period: month } }] }
`);
  const [one] = fleet.replicas;
  for (let i = 0; i < 2_000; i++) {
    one?.run(aReserve({ ...dollars(10), subject: { tenant: "acme" } }));
    const other = one?.run(aConsume({ ...dollars(10), subject: { tenant: "globex" } }));
    fleet.clock.advance(5);
    expect(verdictOf(other).decision).toBe("allow");
    if (i > 10) expect(verdictOf(other).source).toBe("lease");
  }
});
