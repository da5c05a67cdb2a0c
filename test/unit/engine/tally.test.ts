import assert from "node:assert/strict";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  ALLOWED,
  commitAnswer,
  newLine,
  packTally,
  releaseAnswer,
  tallyOf,
  unpackTally,
} from "../../../src/engine/tally.ts";
import { aCommit, aConsume, aReserve } from "../../support/builders.ts";
import { counterexample } from "../../support/counterexample.ts";
import { engineWith } from "../../support/engine-harness.ts";

const policy =
  "plans: {p: {limits: [{name: cap, meter: tokens, overage: cap, budget: {units: 100, period: day}}]}}\ntenants: {acme: {plan: p}}";

test("TA1: charged and uncharged are the highest total that was stated, and neither ever falls", () => {
  const step = fc.record({
    total: fc.nat({ max: 140 }),
    others: fc.nat({ max: 30 }),
  });
  const found = counterexample(fc.array(step, { minLength: 1, maxLength: 6 }), (steps) => {
    const { ok, run } = engineWith(policy);
    const { reservationId } = ok(aReserve({ amounts: { tokens: 40 } }));
    let [charged, uncharged, highest] = [0, 0, 0];
    for (const { total, others } of steps) {
      run(aConsume({ amounts: { tokens: others } })); // takes what the commit would have found
      const answer = ok(aCommit(reservationId, { amounts: { tokens: total }, partial: true }));
      const now = [answer.charged[0]?.units ?? 0, answer.uncharged[0]?.units ?? 0] as const;
      highest = Math.max(highest, total);
      assert.equal(now[0] + now[1], highest);
      assert.ok(now[0] >= charged && now[1] >= uncharged);
      [charged, uncharged] = now;
    }
  });
  expect(found).toBe("");
});

const line = (meter: string, reserved: number, charged: number, stated = true) => ({
  meter,
  reserved,
  charged,
  uncharged: meter === "pages" ? 3 : 0,
  stated,
});
const lines = [
  line("tokens", 100, 70),
  line("pages", 10, 25),
  line("usd_micros", 9, 0, false),
  line("requests", 1, 1),
];
const rest = { late: false, verdict: ALLOWED };

test("an answer says what was charged, what came free and what went over, meter by meter", () => {
  const tally = tallyOf({ lines, countsRequests: true, ...rest });
  expect(commitAnswer(tally, false)).toEqual({
    op: "commit",
    charged: [
      { meter: "tokens", units: 70 },
      { meter: "pages", units: 25 },
      { meter: "usd_micros", units: 0 },
      { meter: "requests", units: 1 },
    ],
    released: [
      { meter: "tokens", units: 30 },
      { meter: "usd_micros", units: 9 },
    ],
    overage: [{ meter: "pages", units: 15 }],
    uncharged: [{ meter: "pages", units: 3 }],
    ...rest,
  });
});

test("S22: a running total lists what was stated so far, and releases nothing", () => {
  const answer = commitAnswer(tallyOf({ lines, countsRequests: true, ...rest }, false), true);
  expect(answer.charged.map(({ meter }) => meter)).toEqual(["tokens", "pages", "requests"]);
  expect(answer.released).toEqual([]);
});

test("S1: requests are listed where a limit counts them", () => {
  const { meters } = tallyOf({ lines, countsRequests: false, ...rest });
  expect(meters).toEqual(["tokens", "pages", "usd_micros"]);
});

test("a release gives back what was reserved and not charged, and nothing where more was", () => {
  expect(releaseAnswer(tallyOf({ lines, countsRequests: false, ...rest })).released).toEqual([
    { meter: "tokens", units: 30 },
    { meter: "usd_micros", units: 9 },
  ]);
});

test("a tally that is remembered does not follow what happens afterwards", () => {
  const live = lines.map((one) => ({ ...one }));
  const tally = tallyOf({ lines: live, countsRequests: true, ...rest });
  const before = commitAnswer(tally, false);
  for (const one of live) one.charged += 1;
  expect(commitAnswer(tally, false)).toEqual(before);
});

test("a packed tally unpacks to what it was, to the last unit", () => {
  const most = [newLine("tokens", Number.MAX_SAFE_INTEGER), newLine("pages", 0)];
  for (const some of [most, []]) {
    const tally = tallyOf({ lines: some, countsRequests: true, ...rest });
    expect(unpackTally(packTally(tally))).toEqual(tally);
  }
});

test("packed tallies of the same form share it, and of another do not", () => {
  const packed = (late: boolean, verdict = rest.verdict) =>
    packTally(tallyOf({ lines, countsRequests: true, late, verdict })).form;
  const first = packed(false);
  expect(packed(false)).toBe(first);
  const soft = { ...rest.verdict, decision: "allow_with_caps" as const };
  for (const other of [packed(true), packed(false, soft)]) expect(other).not.toEqual(first);
});
