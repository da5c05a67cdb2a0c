import { describe, expect, test } from "vitest";
import {
  breakerWait,
  type Circuit,
  closedCircuit,
  type Ending,
  isBreakerIdle,
  letThrough,
  OUTCOMES_MAX,
  recordOutcome,
} from "../../../../src/core/limit/breaker.ts";
import type { BreakerRule } from "../../../../src/core/policy/document.ts";

const rule: BreakerRule = {
  name: "tool-errors",
  match: [],
  per: [],
  errorsPpm: 500_000,
  of: 4,
  windowMs: 60_000,
  openMs: 30_000,
  mode: "enforce",
};
type End = Ending["outcome"];
const record = (circuit: Circuit, outcome: End, now: number, id = "x"): boolean =>
  recordOutcome(circuit, rule, { id, outcome }, now);

/** Opened at 0, so that the trial is due at 30,000. */
function openCircuit(): Circuit {
  const circuit = closedCircuit();
  for (const outcome of ["error", "error", "error", "error"] as const) record(circuit, outcome, 0);
  expect(breakerWait(circuit, rule, 0)).toBe(30_000);
  return circuit;
}
/** Open, with trial "t" on its way since 30,000. */
function onTrial(expiresAt = 40_000): Circuit {
  const circuit = openCircuit();
  letThrough(circuit, { id: "t", expiresAt }, 30_000);
  return circuit;
}

describe("a closed breaker", () => {
  test("BR1: opens on the outcome with which enough lie in the window and the share is reached", () => {
    const circuit = closedCircuit();
    expect(record(circuit, "error", 0)).toBe(false);
    expect(record(circuit, "error", 1)).toBe(false);
    expect(record(circuit, "success", 2)).toBe(false);
    expect(breakerWait(circuit, rule, 2)).toBe(0);
    expect(record(circuit, "success", 3)).toBe(true); // the fourth: 2 of 4 is the share
    expect(breakerWait(circuit, rule, 3)).toBe(30_000);
  });

  test("BR1: stays closed below the share, and opens when an error reaches it", () => {
    const circuit = closedCircuit();
    for (const outcome of ["success", "success", "success", "error", "error"] as const) {
      expect(record(circuit, outcome, 0)).toBe(false);
    }
    expect(record(circuit, "error", 0)).toBe(true);
  });

  test("BR1: outcomes leave the window to the millisecond, and errors with them", () => {
    const circuit = closedCircuit();
    record(circuit, "error", 0);
    record(circuit, "error", 0);
    record(circuit, "error", 0);
    expect(record(circuit, "error", 60_000)).toBe(false);
    expect(circuit).toMatchObject({ outcomes: [{ at: 60_000, error: true }], errors: 1 });
    const inTime = closedCircuit();
    for (const now of [0, 0, 0]) record(inTime, "error", now);
    expect(record(inTime, "error", 59_999)).toBe(true);
  });

  test("BR1: nothing but an outcome opens it: not time, not calls, not what says nothing", () => {
    const circuit = closedCircuit();
    for (const now of [0, 1, 2]) record(circuit, "error", now);
    letThrough(circuit, { id: "y", expiresAt: 9 }, 3);
    for (const outcome of ["aborted", "void", "expired"] as const) {
      expect(record(circuit, outcome, 3)).toBe(false);
    }
    expect(breakerWait(circuit, rule, 4)).toBe(0);
    expect(circuit.outcomes).toHaveLength(3);
    expect(circuit.trial).toBeUndefined();
  });

  test("BR4: of a busier window the latest outcomes count, and no more are kept", () => {
    const circuit = closedCircuit();
    for (let i = 0; i < OUTCOMES_MAX; i += 1) record(circuit, "success", 0);
    for (let i = 0; i < OUTCOMES_MAX / 2 - 1; i += 1) {
      expect(record(circuit, "error", 1)).toBe(false);
      expect(circuit.outcomes.length).toBe(OUTCOMES_MAX);
    }
    expect(circuit.errors).toBe(OUTCOMES_MAX / 2 - 1);
    expect(record(circuit, "error", 1)).toBe(true);
  });
});

describe("an open breaker", () => {
  test("BR2: nothing passes until its time is over", () => {
    const circuit = openCircuit();
    expect(breakerWait(circuit, rule, 29_999)).toBe(1);
    expect(breakerWait(circuit, rule, 30_000)).toBe(0);
  });

  test("BR2: one trial passes at a time; the next waits for its expiry and a new opening", () => {
    const circuit = onTrial(40_000);
    expect(breakerWait(circuit, rule, 30_001)).toBe(40_000 + 30_000 - 30_001);
    letThrough(circuit, { id: "u", expiresAt: 99_000 }, 30_002);
    expect(circuit.trial?.id).toBe("t");
  });

  test("BR2: what passes before its time is no trial (a shadow breaker lets everything pass)", () => {
    const circuit = openCircuit();
    letThrough(circuit, { id: "early", expiresAt: 99_000 }, 29_999);
    expect(circuit.trial).toBeUndefined();
    record(circuit, "success", 29_999, "early");
    expect(breakerWait(circuit, rule, 29_999)).toBe(1);
  });

  test("BR3: the success of the trial closes it, with a clean sheet", () => {
    const circuit = onTrial();
    expect(record(circuit, "success", 31_000, "t")).toBe(false);
    expect(circuit).toEqual(closedCircuit());
  });

  test.each(["error", "expired"] as const)("BR3: a trial that ends as %s opens it again", (end) => {
    const circuit = onTrial();
    expect(record(circuit, end, 35_000, "t")).toBe(true);
    expect(breakerWait(circuit, rule, 35_000)).toBe(30_000);
    expect(circuit.trial).toBeUndefined();
  });

  test.each(["void", "aborted"] as const)(
    "BR3: a trial that ends as %s leaves room for another",
    (end) => {
      const circuit = onTrial();
      expect(record(circuit, end, 35_000, "t")).toBe(false);
      expect(breakerWait(circuit, rule, 35_000)).toBe(0);
      letThrough(circuit, { id: "u", expiresAt: 50_000 }, 35_000);
      expect(circuit.trial?.id).toBe("u");
    },
  );

  test("BR3: nobody else's end changes anything, before and during the trial", () => {
    for (const circuit of [openCircuit(), onTrial()]) {
      const before = structuredClone(circuit);
      for (const end of ["success", "error", "void", "aborted", "expired"] as const) {
        expect(record(circuit, end, 31_000, "somebody")).toBe(false);
      }
      expect(circuit).toEqual(before);
    }
  });

  test("BR3: outcomes from before the opening do not count after the closing", () => {
    const circuit = onTrial();
    record(circuit, "success", 31_000, "t");
    for (const now of [31_001, 31_002, 31_003]) {
      expect(record(circuit, "error", now)).toBe(false);
    }
    expect(record(circuit, "error", 31_004)).toBe(true);
  });
});

describe("an idle breaker", () => {
  test("holds nothing that matters: closed, and its outcomes have left the window", () => {
    const circuit = closedCircuit();
    expect(isBreakerIdle(circuit, rule, 0)).toBe(true);
    record(circuit, "success", 0);
    expect(isBreakerIdle(circuit, rule, 59_999)).toBe(false);
    expect(isBreakerIdle(circuit, rule, 60_000)).toBe(true);
  });

  test("is an open one only when nobody tried it for a whole window after its time", () => {
    const circuit = openCircuit();
    const until = circuit.openUntil ?? 0;
    expect(isBreakerIdle(circuit, rule, until + rule.windowMs - 1)).toBe(false);
    expect(isBreakerIdle(circuit, rule, until + rule.windowMs)).toBe(true);
  });

  test("is never one whose trial is under way", () => {
    const circuit = { ...openCircuit(), trial: { id: "t", expiresAt: 1 } };
    expect(isBreakerIdle(circuit, rule, 86_400_000)).toBe(false);
  });
});
