import { describe, expect, it, test } from "vitest";
import type { Answer } from "../../../src/core/verdict.ts";
import { HOUR, MINUTE } from "../../../src/core/time.ts";
import {
  aCall,
  aCheck,
  aCommit,
  aConsume,
  anExtend,
  aRelease,
  aReserve,
} from "../../support/builders.ts";
import { engineWith } from "../../support/engine-harness.ts";

const tenant = (limits: string): string => `tenants: {acme: {limits: [${limits}]}}`;
const DAY = tenant("{name: a, meter: tokens, budget: {units: 1000, period: day}}");
const withJournal = { journal: true } as const;
const ten = { amounts: { tokens: 10 } };

describe("PE1: what survives is what was written", () => {
  it("PE1: an answer leaves after the write, and of many in one event-loop turn there is one", () => {
    const { engine, clock, journal } = engineWith(DAY, withJournal);
    const answers: unknown[] = [];
    const done = (answer: unknown): void => void answers.push(answer);
    for (let n = 0; n < 5; n++) engine.run(aCall(), aReserve(ten), done);
    engine.run(aCall(), aConsume(ten), done);
    expect([answers.length, journal.frames()]).toEqual([0, 0]);
    clock.settle();
    expect([answers.length, journal.frames()]).toEqual([6, 1]);
  });

  it("PE1: what was decided but not written is as if it had never been asked", () => {
    const { engine, ok, restart, balance } = engineWith(DAY, withJournal);
    ok(aReserve(ten));
    const answers: unknown[] = [];
    engine.run(aCall(), aReserve(ten), (answer) => answers.push(answer));
    restart();
    expect(balance({}, "a")).toMatchObject({ localReservedUnits: 10 });
    expect(answers).toEqual([]);
  });

  it("PE4: what changes nothing writes nothing", () => {
    const { ok, balances, journal, clock, reservations } = engineWith(DAY, withJournal);
    ok(aReserve(ten));
    const written = journal.frames();
    ok(aCheck(ten));
    balances({});
    reservations();
    clock.advance(10_000);
    expect(journal.frames()).toBe(written);
    journal.check();
  });

  it("OU3: a journal that fails stops nobody", () => {
    const { ok, journal, balance } = engineWith(DAY, withJournal);
    journal.fail();
    const { reservationId } = ok(aReserve(ten));
    ok(aCommit(reservationId));
    expect(balance({}, "a")).toMatchObject({ spentUnits: 10 });
  });

  it("a drain is written before it is over", async () => {
    const { ok, engine, restart, reservations, journal, clock } = engineWith(DAY, withJournal);
    ok(aReserve(ten));
    const written = journal.frames();
    await engine.drain();
    expect(journal.frames()).toBe(written + 1);
    restart();
    clock.settle();
    expect(reservations().reservations).toEqual([]);
  });
});

describe("S18, S27: on_expiry: charge, through drains", () => {
  const CHARGE = tenant(
    "{name: a, meter: tokens, on_expiry: charge, budget: {units: 1000, period: day}}, " +
      "{name: pace, meter: pages, on_expiry: charge, rate: {units: 100, every: 30d}}",
  );
  const held = { amounts: { tokens: 50, pages: 50 }, ttlMs: 1_000 };
  type Harness = ReturnType<typeof engineWith>;

  async function drained({ engine, restart, clock }: Harness): Promise<void> {
    await engine.drain();
    restart();
    clock.settle();
  }
  const used = ({ balance }: Harness): unknown[] => [
    balance({}, "a")?.remainingUnits,
    balance({}, "pace")?.remainingUnits,
  ];

  it.each(["expired before", "is open"])(
    "what %s is charged once, however often",
    async (state) => {
      const harness = engineWith(CHARGE, withJournal);
      harness.ok(aReserve(held));
      if (state === "expired before") harness.clock.advance(5_000);
      for (let n = 0; n < 3; n++) {
        await drained(harness);
        expect(used(harness)).toEqual([950, 50]);
      }
      for (let n = 0; n < 12; n++) harness.clock.advance(MINUTE);
      expect(harness.balance({}, "a")).toMatchObject({ spentUnits: 50, remainingUnits: 950 });
      await drained(harness);
      expect(harness.balance({}, "a")).toMatchObject({ spentUnits: 50, remainingUnits: 950 });
    },
  );

  it.each([
    ["expired before", 10],
    ["expired before", 60],
    ["is open", 10],
    ["is open", 60],
  ])("what %s may still be committed with %i instead", async (state, actual) => {
    const harness = engineWith(CHARGE, withJournal);
    const { reservationId } = harness.ok(aReserve(held));
    if (state === "expired before") harness.clock.advance(5_000);
    await drained(harness);
    const amounts = { tokens: actual, pages: actual };
    expect(harness.ok(aCommit(reservationId, { amounts })).late).toBe(true);
    expect(used(harness)).toEqual([1_000 - actual, 100 - actual]);
    await drained(harness);
    expect(used(harness)).toEqual([1_000 - actual, 100 - actual]);
  });
});

describe("PE2: time goes on while no process runs", () => {
  it("PE2: what expired meanwhile is free, and a commit is late; later it is too late (S18, S19)", () => {
    const { ok, run, clock, restart, balance } = engineWith(DAY, withJournal);
    const [first, second] = [aReserve(ten), aReserve(ten)].map((one) => ok(one).reservationId);
    clock.advanceWithoutTimers(5 * MINUTE);
    restart();
    expect(balance({}, "a")).toMatchObject({ localReservedUnits: 0, remainingUnits: 1000 });
    expect(ok(aCommit(first ?? "", { amounts: { tokens: 7 } })).late).toBe(true);
    clock.advanceWithoutTimers(7 * MINUTE);
    restart();
    expect(run(aCommit(second ?? ""))).toMatchObject({ reason: "RESERVATION_EXPIRED" });
    expect(balance({}, "a")).toMatchObject({ spentUnits: 7 });
  });

  it("PE2: one that had expired before is in grace as long as it would have been (S19)", () => {
    const { ok, run, clock, restart } = engineWith(DAY, withJournal);
    const [first, second] = [aReserve(ten), aReserve(ten)].map((one) => ok(one).reservationId);
    clock.advance(2 * MINUTE);
    restart();
    expect(ok(aCommit(first ?? "")).late).toBe(true);
    clock.advance(9 * MINUTE);
    expect(run(aCommit(second ?? ""))).toMatchObject({ reason: "RESERVATION_EXPIRED" });
  });

  it("PE2: an open one keeps the rest of its time, to 24 hours after it was made (S25)", () => {
    const { ok, run, clock, restart } = engineWith(DAY, withJournal);
    const { reservationId, expiresAt = 0 } = ok(aReserve({ ...ten, ttlMs: HOUR }));
    clock.advanceWithoutTimers(HOUR - 1_000);
    restart();
    expect(ok(anExtend(reservationId)).expiresAt).toBe(expiresAt);
    const extended = ok(anExtend(reservationId, { byMs: 48 * HOUR }));
    expect(extended.expiresAt).toBe(expiresAt + 23 * HOUR);
    clock.advanceWithoutTimers(23 * HOUR + 1_001);
    restart();
    expect(run(anExtend(reservationId))).toMatchObject({ reason: "RESERVATION_EXPIRED" });
  });

  it("PE2: answers are forgotten 15 minutes after they were given, restarts or not (S29)", () => {
    const { ok, run, clock, restart } = engineWith(DAY, withJournal);
    const { reservationId } = ok(aReserve({ ...ten, idempotencyKey: "k" }));
    const answer = ok(aCommit(reservationId));
    clock.advanceWithoutTimers(14 * MINUTE);
    restart();
    expect(ok(aCommit(reservationId))).toEqual(answer);
    clock.advanceWithoutTimers(MINUTE);
    restart();
    clock.advance(1_000);
    expect(run(aCommit(reservationId))).toMatchObject({ reason: "RESERVATION_UNKNOWN" });
    expect(ok(aReserve({ ...ten, idempotencyKey: "k" })).reservationId).not.toBe(reservationId);
  });

  it("PE2: a rate goes on refilling by the wall clock, and waits where that goes back", () => {
    const rate = tenant("{name: r, meter: tokens, rate: {units: 10, every: 1m, burst: 100}}");
    const { ok, clock, restart, balance } = engineWith(rate, withJournal);
    ok(aConsume({ amounts: { tokens: 100 } }));
    clock.advanceWithoutTimers(5 * MINUTE);
    restart();
    expect(balance({}, "r")).toMatchObject({ remainingUnits: 50 });
    ok(aConsume({ amounts: { tokens: 50 } }));
    clock.stepWall(-HOUR);
    restart();
    clock.advance(MINUTE);
    expect(balance({}, "r")).toMatchObject({ remainingUnits: 10 });
  });

  it("PE2: a once bucket that nobody used for its ttl is another one, restarts or not", () => {
    const once = tenant(
      "{name: o, meter: tokens, per: [run], budget: {units: 100, period: once, ttl: 10m}}",
    );
    const { ok, clock, restart, balance } = engineWith(once, withJournal);
    const subject = { dimensions: { run: "r" } };
    ok(aConsume({ subject, ...ten }));
    clock.advance(4 * MINUTE);
    ok(aConsume({ subject, ...ten }));
    clock.advanceWithoutTimers(9 * MINUTE);
    restart();
    expect(balance(subject, "o")).toMatchObject({ remainingUnits: 80 });
    clock.advanceWithoutTimers(MINUTE);
    restart();
    expect(balance(subject, "o")).toMatchObject({ remainingUnits: 100 });
  });
});

describe("PE3: a process that finds another policy", () => {
  const LOWER = tenant("{name: a, meter: tokens, budget: {units: 15, period: day}}");
  const OTHER = tenant("{name: b, meter: tokens, budget: {units: 500, period: day}}");

  it("PE3: has its numbers at once, and what was used stays used", () => {
    const { ok, restart, balance, run } = engineWith(DAY, withJournal);
    ok(aConsume(ten));
    ok(aReserve(ten));
    restart(LOWER);
    expect(balance({}, "a")).toMatchObject({ limitUnits: 15, spentUnits: 10, remainingUnits: -5 });
    expect(run(aReserve(ten))).toMatchObject({ verdict: { decision: "deny" } });
    restart(DAY);
    expect(balance({}, "a")).toMatchObject({ limitUnits: 1000, remainingUnits: 980 });
  });

  it("PE3: settles reservations of a limit that is gone where they were made, and finds it all again", () => {
    const { ok, restart, balance, journal } = engineWith(DAY, withJournal);
    const ids = [1, 2, 3].map(() => ok(aReserve(ten)).reservationId);
    restart(OTHER);
    const [first = "", second = "", third = ""] = ids;
    expect(ok(aCommit(first, { amounts: { tokens: 25 } })).charged).toEqual([
      { meter: "tokens", units: 25 },
    ]);
    ok(aRelease(second));
    expect(balance({}, "b")).toMatchObject({ spentUnits: 0 });
    restart(OTHER);
    journal.check();
    restart(DAY);
    expect(balance({}, "a")).toMatchObject({ spentUnits: 25, localReservedUnits: 10 });
    ok(aCommit(third));
    expect(balance({}, "a")).toMatchObject({ spentUnits: 35, localReservedUnits: 0 });
  });

  it.each([
    ["overage: reject", 30, "OVERAGE_REJECTED"],
    ["overage: cap", 30, 1000],
  ])("PE3: follows the rules of a limit that is gone: %s", (rule, _, expected) => {
    const text = tenant(`{name: a, meter: tokens, budget: {units: 1000, period: day}, ${rule}}`);
    const { ok, run, restart } = engineWith(text, withJournal);
    const { reservationId } = ok(aReserve({ amounts: { tokens: 1000 } }));
    restart(OTHER);
    const answer = run(aCommit(reservationId, { amounts: { tokens: 1030 } }));
    if (typeof expected === "string") expect(answer).toMatchObject({ reason: expected });
    else expect(answer).toMatchObject({ charged: [{ meter: "tokens", units: expected }] });
  });

  it("PE3: keeps charged what expires under a limit that is gone, with on_expiry: charge", () => {
    const text = tenant(
      "{name: a, meter: tokens, budget: {units: 1000, period: day}, on_expiry: charge}",
    );
    const { ok, clock, restart, balance } = engineWith(text, withJournal);
    ok(aReserve({ ...ten, ttlMs: 1_000 }));
    restart(OTHER);
    clock.advance(2_000);
    restart(text);
    expect(balance({}, "a")).toMatchObject({ spentUnits: 10, remainingUnits: 990 });
    clock.advance(11 * MINUTE);
    restart(text);
    expect(balance({}, "a")).toMatchObject({ spentUnits: 10, localReservedUnits: 0 });
  });

  it("a tenant that is gone keeps its reservations for when it is back", () => {
    const { ok, run, restart, balance } = engineWith(DAY, withJournal);
    const { reservationId } = ok(aReserve(ten));
    restart("tenants: {globex: {}}");
    expect(ok(aCommit(reservationId)).charged).toEqual([{ meter: "tokens", units: 10 }]);
    expect(run(aReserve(ten))).toMatchObject({ reason: "UNKNOWN_TENANT" });
    restart(DAY);
    expect(balance({}, "a")).toMatchObject({ spentUnits: 10 });
  });
});

describe("what is remembered", () => {
  it("PE2: of too many answers the oldest go first, restarts or not (S29)", () => {
    const harness = engineWith(DAY, { ...withJournal, idempotencyKeys: 3 });
    const commits: { readonly id: string; readonly answer: Answer }[] = [];
    for (let n = 0; n < 3; n++) {
      const id = harness.ok(aReserve(ten)).reservationId;
      commits.push({ id, answer: harness.ok(aCommit(id)) });
      harness.clock.advance(1);
    }
    harness.restart();
    harness.ok(aConsume({ ...ten, idempotencyKey: "k" }));
    const again = commits.map(({ id }) => harness.run(aCommit(id)));
    expect(again).toEqual([
      expect.objectContaining({ reason: "RESERVATION_UNKNOWN" }),
      commits[1]?.answer,
      commits[2]?.answer,
    ]);
  });

  it("PE2: a listing goes on at the page where it was", () => {
    const harness = engineWith(DAY, withJournal);
    const { ok, restart, clock } = harness;
    const made = [1, 2, 3].map(() => ok(aReserve(ten)).reservationId);
    restart();
    made.push(ok(aReserve(ten)).reservationId);
    const pages: string[] = [];
    const subject = aReserve().subject;
    let pageToken = "";
    do {
      harness.engine.reservations(aCall(), { subject, pageSize: 3, pageToken }, (page) => {
        if ("rejected" in page) throw new Error(page.message);
        pages.push(...page.reservations.map(({ reservationId }) => reservationId));
        pageToken = page.nextPageToken;
      });
      clock.settle();
      restart();
    } while (pageToken !== "");
    expect(pages).toEqual(made);
  });

  test.each(["__proto__", "constructor", "\0", "a/b%"])("PE2: no name is special: %j", (name) => {
    const text = tenant(
      "{name: o, meter: tokens, per: [run], budget: {units: 100, period: once, ttl: 1h}}",
    );
    const { ok, restart, balance } = engineWith(text, withJournal);
    const subject = { dimensions: new Map([["run", name]]) };
    const ask = aReserve({ subject, ...ten, idempotencyKey: name });
    const answer = ok(ask);
    restart();
    expect(ok(ask)).toEqual(answer);
    expect(balance(subject, "o")).toMatchObject({ localReservedUnits: 10 });
  });
});

test("PE3: what one period leaves to the next passes through a closed one, over restarts", () => {
  const text = tenant(
    "{name: m, meter: tokens, budget: {units: 100, period: minute, rollover: 500}, carry_debt: true}",
  );
  const play = (kills: "never" | "before" | "after"): unknown => {
    const { ok, clock, restart, balance } = engineWith(text, withJournal);
    const { reservationId } = ok(aReserve({ ...ten, ttlMs: 10 * MINUTE }));
    clock.advance(MINUTE);
    ok(aConsume({ amounts: { tokens: 70 } }));
    clock.advance(MINUTE);
    ok(aConsume(ten));
    if (kills === "before") for (let n = 0; n < 2; n++) restart();
    ok(aCommit(reservationId, { amounts: { tokens: 95 } }));
    if (kills === "after") restart();
    return balance({}, "m");
  };
  expect(play("never")).toMatchObject({ remainingUnits: 125 });
  expect(play("before")).toEqual(play("never"));
  expect(play("after")).toEqual(play("never"));
});

test("PE2, HS1: with a store that a fleet shares, answers and units are as they were", () => {
  const text = tenant(
    "{name: a, meter: tokens, budget: {units: 1000, period: day}}, {name: s, concurrency: {max: 3}}",
  );
  const harness = engineWith(`revision: 1\n${text}`, { journal: true, shared: true });
  const { ok, clock, restart, balances, reservations } = harness;
  const keyed = ok(aReserve({ ...ten, idempotencyKey: "k" }));
  const committed = ok(aCommit(keyed.reservationId, { amounts: { tokens: 15 } }));
  const { reservationId } = ok(aReserve({ ...ten, ttlMs: 10 * MINUTE }));
  clock.advance(3_000);
  const before = balances({});
  const open = reservations();
  restart();
  clock.advance(3_000);
  expect(balances({})).toEqual(before);
  expect(reservations()).toEqual(open);
  expect(ok(aReserve({ ...ten, idempotencyKey: "k" }))).toEqual(keyed);
  expect(ok(aCommit(keyed.reservationId, { amounts: { tokens: 15 } }))).toEqual(committed);
  ok(aCommit(reservationId));
  clock.advance(10_000);
  expect(balances({})).toMatchObject([
    { spentUnits: 25, leasedUnits: 0, remainingUnits: 975 },
    { leasedUnits: 0, remainingUnits: 3 },
  ]);
});
