import { describe, expect, test } from "vitest";
import type { Operation } from "../../../src/core/operation.ts";
import { MINUTE } from "../../../src/core/time.ts";
import { aCall, aCommit, aConsume, anExtend, aRelease, aReserve } from "../../support/builders.ts";
import { boundedEngine } from "../../support/bounded-engine.ts";
import { engineWith } from "../../support/engine-harness.ts";

const policy =
  "plans: {p: {limits: [{name: a, meter: tokens, budget: {units: 1000, period: day}}]}}\ntenants: {acme: {plan: p}, globex: {plan: p}}";
const ten = { amounts: { tokens: 10 } };
const key = { idempotencyKey: "k" };

describe("EN3: of equal keys the first answer stands", () => {
  test.each<[string, (id: string) => Operation]>([
    ["reserve", () => aReserve({ ...ten, ...key })],
    ["consume", () => aConsume({ ...ten, ...key })],
    ["commit", (id) => aCommit(id, { amounts: { tokens: 4 }, ...key })],
    ["partial commit", (id) => aCommit(id, { amounts: { tokens: 4 }, partial: true, ...key })],
    ["release", (id) => aRelease(id, key)],
    ["extend", (id) => anExtend(id, { byMs: 1_000, add: { tokens: 5 }, ...key })],
  ])("EN3: a %s that is repeated is answered the same and done once", (_, operation) => {
    const { ok, clock, balance } = engineWith(policy);
    const op = operation(ok(aReserve(ten)).reservationId);
    const first = ok(op);
    const after = balance({}, "a");
    clock.advance(1_000);
    expect(ok(op)).toEqual(first);
    expect(balance({}, "a")).toEqual(after);
  });

  test("EN3: also where amounts and labels come in another order, and verbose is another", () => {
    const { ok } = engineWith(policy);
    const labels = [
      ["a", "1"],
      ["b", "2"],
    ] as const;
    const both = { tokens: 1, usd_micros: 2 };
    const first = ok(aConsume({ amounts: both, labels: new Map(labels), ...key }));
    const again = aConsume({
      amounts: { usd_micros: 2, tokens: 1 },
      labels: new Map(labels.toReversed()),
      verbose: true,
      ...key,
    });
    expect(ok(again)).toEqual(first);
  });

  test("EN3: another request under the key is a conflict that names the field, and does nothing", () => {
    const { ok, run, balance } = engineWith(policy);
    const { reservationId } = ok(aReserve({ ...ten, ...key, ttlMs: MINUTE }));
    expect(run(aReserve({ ...ten, ...key, ttlMs: MINUTE + 1 }))).toMatchObject({
      reason: "IDEMPOTENCY_CONFLICT",
      field: "ttl",
    });
    ok(anExtend(reservationId, { byMs: 5, ...key }));
    expect(run(anExtend(reservationId, { byMs: 6, ...key }))).toMatchObject({ field: "by" });
    expect(balance({}, "a")).toMatchObject({ localReservedUnits: 10 });
  });

  test("S28: keys are per tenant and RPC", () => {
    const { ok, balance } = engineWith(policy);
    ok(aReserve({ ...ten, ...key }));
    ok(aConsume({ ...ten, ...key }));
    ok(aConsume({ ...ten, ...key, subject: { tenant: "globex" } }));
    expect(balance({}, "a")).toMatchObject({ localReservedUnits: 10, spentUnits: 10 });
    expect(balance({ tenant: "globex" }, "a")).toMatchObject({ spentUnits: 10 });
  });

  test("S26: a key tells nobody of another tenant's reservation", () => {
    const { ok, run } = engineWith(policy);
    const { reservationId } = ok(aReserve(ten));
    ok(aCommit(reservationId, key));
    const stranger = aCall({ tenant: "globex" });
    expect(run(aCommit(reservationId, key), stranger)).toMatchObject({
      reason: "RESERVATION_UNKNOWN",
    });
  });

  test("S28: a denial and a rejection are decided afresh", () => {
    const { ok, run } = engineWith(policy);
    const { reservationId } = ok(aReserve({ amounts: { tokens: 1_000 } }));
    const keyed = aReserve({ ...ten, ...key });
    expect(ok(keyed).verdict.decision).toBe("deny");
    ok(aRelease(reservationId));
    expect(ok(keyed).verdict.decision).toBe("allow");
    const unknown = aConsume({ amounts: { pages: 1 }, ...key });
    expect(run(unknown)).toMatchObject({ reason: "UNKNOWN_METER" });
    expect(ok(aConsume({ ...ten, ...key })).verdict.decision).toBe("allow");
  });
});

describe("S29: how long a key is remembered", () => {
  test("S29: for 15 minutes", () => {
    const { ok, clock, balance } = engineWith(policy);
    ok(aConsume({ ...ten, ...key }));
    clock.advance(15 * MINUTE - 1);
    ok(aConsume({ ...ten, ...key }));
    expect(balance({}, "a")).toMatchObject({ spentUnits: 10 });
    clock.advance(2_000);
    ok(aConsume({ ...ten, ...key }));
    expect(balance({}, "a")).toMatchObject({ spentUnits: 20 });
  });

  test.each<[string, (id: string) => Operation]>([
    ["an extension", (id) => anExtend(id, { byMs: 1_000, add: { tokens: 5 }, ...key })],
    ["a partial commit", (id) => aCommit(id, { ...ten, partial: true, ...key })],
  ])("S29: the key of %s until its reservation is past grace", (_, operation) => {
    const { ok, clock, balance } = engineWith(policy);
    const op = operation(ok(aReserve({ ...ten, ttlMs: 120 * MINUTE })).reservationId);
    const first = ok(op);
    clock.advance(100 * MINUTE);
    const after = balance({}, "a");
    expect(ok(op)).toEqual(first);
    expect(balance({}, "a")).toEqual(after);
  });

  test("S29: the key of a Reserve lives as long as its reservation, grace included", () => {
    const { ok, clock } = engineWith(policy);
    const keyed = aReserve({ ...ten, ...key, ttlMs: 60 * MINUTE });
    const { reservationId } = ok(keyed);
    clock.advance(69 * MINUTE);
    expect(ok(keyed).reservationId).toBe(reservationId);
    clock.advance(30 * MINUTE);
    expect(ok(keyed).reservationId).not.toBe(reservationId);
  });

  test("S29: beyond the bound the oldest settled one goes first and is counted", () => {
    const { ok, evicted, engine } = boundedEngine(policy, { idempotencyKeys: 2 });
    const consume = (name: string) => aConsume({ ...ten, idempotencyKey: name });
    const open = aReserve({ ...ten, ...key });
    const { reservationId } = ok(open);
    const first = ok(consume("1"));
    const second = ok(consume("2"));
    expect([ok(consume("1")), ok(consume("2")), evicted()]).toEqual([first, second, 0]);
    ok(consume("3"));
    expect(evicted()).toBe(1);
    expect(ok(consume("2"))).toEqual(second);
    expect(ok(consume("1"))).not.toEqual(first);
    expect(ok(open).reservationId).toBe(reservationId);
    expect(engine.openReservations()).toBe(1);
  });
});
