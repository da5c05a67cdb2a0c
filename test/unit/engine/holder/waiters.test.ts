import { describe, expect, test } from "vitest";
import { free, hold, holdBeyond, unhold } from "../../../../src/engine/lease.ts";
import { aCommit, aConsume, aReserve } from "../../../support/builders.ts";
import { fleetOf, type Pending } from "../../../support/fleet-harness.ts";
import { holderWith } from "../../../support/holder-harness.ts";

const MONEY = (units: number, more = ""): string => `
revision: 1
tenants:
  acme:
    uid: acme-1
    limits:
      - { name: money, meter: usd_micros, budget: { units: ${units}, period: month }${more} }
`;
const dollars = (units: number) => ({ amounts: { usd_micros: units } });
const said = (pending: Pending<unknown>): string => {
  const answer = pending.answer as { verdict?: { decision: string; denial?: { reason: string } } };
  return answer?.verdict?.denial?.reason ?? answer?.verdict?.decision ?? "nothing";
};

describe("who waits", () => {
  test("WA1: a small request does not overtake a large one that came first", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a", capacity: 1_000 });
    const large = h.wait(lease, 900);
    expect(h.take(lease, 1)).toBe("wait");
    h.answerAll();
    expect([large.resumed, lease.reserved]).toEqual([1, 900]);
  });

  test("WA2, WA3: of scarce money the rests go back in the message that asks for the whole", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a", capacity: 100 });
    h.wait(lease, 60);
    h.answerAll();
    unhold(lease, 30);
    h.holder.touch(lease);
    expect(free(lease)).toBeGreaterThan(0);
    h.wait(lease, 60);
    const asked = h.sent.at(-1)?.blocks[0];
    expect([asked?.returned, asked?.need, free(lease)]).toEqual([lease.returned, 60, 0]);
    h.answerAll();
    expect(lease.reserved).toBe(90);
  });

  test("WA2: what comes free here while somebody waits for more goes back, too (S17)", () => {
    const h = holderWith();
    const other = holderWith({ shard: h.shard });
    const [lease, others] = [
      h.lease({ key: "a", capacity: 100 }),
      other.lease({ key: "a", capacity: 100 }),
    ];
    other.wait(others, 30);
    other.answerAll();
    h.wait(lease, 40);
    h.answerAll();
    const waiting = h.wait(lease, 60);
    h.answerAll();
    unhold(lease, 20);
    h.holder.touch(lease);
    for (let i = 0; i < 10; i++) {
      h.pass(10);
      h.pump();
      h.answerAll();
    }
    const { granted = 0, returned = 0 } =
      h.shard.ledgers.get("u\0a")?.records.get(lease.stock?.id ?? "") ?? {};
    expect([waiting.resumed, free(lease), granted - returned]).toEqual([0, 0, lease.reserved]);
  });

  test("WA2: nobody asks for money on behalf of one who waits for a slot", () => {
    const slots = " }\n      - { name: slots, concurrency: { max: 1 }, match: { tag: slot }";
    const fleet = fleetOf(MONEY(1_000, slots));
    const [one, two] = fleet.replicas;
    two?.run(aReserve({ ...dollars(500), action: { tags: ["slot"] } }));
    fleet.clock.advance(20);
    for (let i = 0; i < 3; i++) one?.run(aReserve({ ...dollars(100), action: { tags: ["slot"] } }));
    fleet.clock.advance(5);
    const alone = one?.run(aReserve(dollars(100)));
    fleet.clock.advance(5);
    const out = Array.from(fleet.shards.values(), ({ ledgers }) =>
      Array.from(ledgers.values()).filter(({ spec }) => spec.kind === "budget"),
    ).flat()[0]?.out;
    expect([alone && said(alone), out]).toEqual(["allow", 600]);
  });

  test("what a debt takes is told before it is refused: others may have more (S17, S23)", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a", capacity: 1_000 });
    h.wait(lease, 50);
    h.answerAll();
    unhold(lease, 20);
    const had = free(lease);
    holdBeyond(lease, had);
    expect([had >= 10, h.take(lease, 10)]).toEqual([true, "wait"]);
  });

  test("what a debt of others takes is not refused while they have as much idle (S17, S23)", () => {
    const h = holderWith();
    const other = holderWith({ shard: h.shard });
    const [lease, others] = [
      h.lease({ key: "a", capacity: 1_000 }),
      other.lease({ key: "a", capacity: 1_000 }),
    ];
    other.wait(others, 900);
    other.answerAll();
    h.wait(lease, 60);
    h.answerAll();
    holdBeyond(others, 50);
    other.holder.touch(others);
    for (let i = 0; i < 300; i++) {
      for (const one of [h, other]) {
        one.pass(10);
        one.pump();
        one.answerAll();
      }
    }
    unhold(lease, 20);
    h.holder.touch(lease);
    expect([free(lease), lease.view.available]).toEqual([20, -10]);
    const waiting = h.wait(lease, 15);
    expect(waiting.resumed).toBe(0);
    h.answerAll();
    unhold(others, 30);
    other.holder.touch(others);
    for (let i = 0; i < 10; i++) {
      other.pass(10);
      other.pump();
      other.answerAll();
    }
    const { key } = lease.spec;
    h.listener.hint({ kind: "wake", key, holder: lease.stock?.id ?? "", units: 40 });
    h.answerAll();
    expect([waiting.resumed, lease.reserved]).toEqual([1, 55]);
  });

  test("WA4: one that is being asked for holds up nobody on another ledger", () => {
    const h = holderWith();
    const [a, b] = [h.lease({ key: "a" }), h.lease({ key: "b" })];
    h.wait(a, 10);
    h.wait(b, 10);
    expect(h.sent.map(({ blocks }) => blocks[0]?.spec.key)).toEqual(["u\0a", "u\0b"]);
  });

  test("WA5: what nobody could give back is refused after one answer, not after the wait", () => {
    const fleet = fleetOf(MONEY(1_000));
    const [one, two] = fleet.replicas;
    one?.run(aReserve(dollars(950)));
    fleet.clock.advance(50);
    const refused = two?.run(aReserve(dollars(400)));
    fleet.clock.advance(3);
    expect(refused && said(refused)).toBe("nothing"); // the other's could be idle
    fleet.clock.advance(300);
    expect(refused && said(refused)).toBe("BUDGET_EXHAUSTED");
    one?.run(aConsume({ amounts: { usd_micros: 40 } }));
    fleet.clock.advance(2_500);
    const alone = fleetOf(MONEY(1_000), { replicas: 1 });
    alone.replicas[0]?.run(aReserve(dollars(950)));
    alone.clock.advance(50);
    const hopeless = alone.replicas[0]?.run(aReserve(dollars(400)));
    alone.clock.advance(3);
    expect(hopeless && said(hopeless)).toBe("BUDGET_EXHAUSTED");
  });

  test("units that idle elsewhere are recalled, and the wait is worth it (S17)", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const fleet = fleetOf(MONEY(1_000), { seed });
      const [one, two] = fleet.replicas;
      for (let i = 0; i < 20; i++) {
        one?.run(aConsume({ amounts: { usd_micros: 10 } }));
        fleet.clock.advance(20);
      }
      const rest = two?.run(aReserve(dollars(800)));
      fleet.clock.advance(250);
      expect([seed, rest && said(rest)]).toEqual([seed, "allow"]);
    }
  });

  test("S28: a caller that has gone, or whose deadline has passed, gets nothing made", () => {
    const fleet = fleetOf(MONEY(1_000), { roundTripMs: 40 });
    const [one] = fleet.replicas;
    const late = one?.run(aReserve(dollars(10)), fleet.clock.wall() + 20);
    fleet.clock.advance(200);
    expect(late && said(late)).toBe("LEASE_PENDING");
    expect(one?.engine.openReservations()).toBe(0);
  });

  test("S28: a second call with the key waits for the first, and gets its answer", () => {
    const fleet = fleetOf(MONEY(1_000));
    const [one] = fleet.replicas;
    const reserve = aReserve({ ...dollars(10), idempotencyKey: "k" });
    const [first, second] = [one?.run(reserve), one?.run(reserve)];
    expect(second?.answer).toBeUndefined();
    fleet.clock.advance(20);
    expect(second?.answer).toEqual(first?.answer);
    expect(one?.engine.openReservations()).toBe(1);
  });

  test("S23: a commit that must not overspend waits for the store before it refuses, and before it cuts", () => {
    for (const [overage, expected] of [
      ["reject", "charged"],
      ["cap", "charged"],
    ] as const) {
      const fleet = fleetOf(MONEY(1_000, `, overage: ${overage}`));
      const [one] = fleet.replicas;
      const made = one?.run(aReserve(dollars(100)));
      fleet.clock.advance(20_000);
      const answer = made?.answer;
      const reservationId = answer && "reservationId" in answer ? answer.reservationId : "";
      const done = one?.run(aCommit(reservationId, dollars(900)));
      fleet.clock.advance(300);
      expect(done?.answer).toMatchObject({ [expected]: [{ meter: "usd_micros", units: 900 }] });
    }
  });
});

describe("HO1, HO2: what a lease holds", () => {
  test("free units never fall below none, and a refused decision takes nothing", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a", capacity: 100 });
    h.wait(lease, 60);
    h.answerAll();
    h.wait(lease, 60);
    h.answerAll();
    h.pass(300);
    h.answerAll();
    expect([lease.reserved, free(lease) >= 0]).toEqual([60, true]);
    expect(() => hold(lease, 1_000)).toThrow("LE1");
  });

  test("HO4: a ledger is forgotten when the store has closed it, and opened again under another name", () => {
    const h = holderWith();
    const lease = h.lease({ key: "a" });
    h.wait(lease, 10);
    h.answerAll();
    unhold(lease, 10);
    h.holder.touch(lease);
    h.holder.close(lease);
    const first = lease.stock?.id;
    h.pass(10);
    expect(lease.stock?.closing).toBe(true);
    for (let i = 0; i < 5; i++) {
      h.answerAll();
      h.pass(10);
    }
    expect([lease.stock, lease.granted, h.shard.ledgers.get("u\0a")?.out]).toEqual([
      undefined,
      0,
      0,
    ]);
    h.wait(lease, 10);
    expect(h.sent.at(-1)?.blocks[0]?.holder).not.toBe(first);
    h.answerAll();
    expect(lease.reserved).toBe(10);
  });
});
