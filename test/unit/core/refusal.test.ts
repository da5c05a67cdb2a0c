import { describe, expect, test } from "vitest";
import { governing, plainRefusal, type Refusal, toDenial } from "../../../src/core/refusal.ts";
import { DENY_REASONS } from "../../../src/core/verdict.ts";

const aRefusal = (parts: Partial<Refusal> = {}): Refusal => ({
  ...plainRefusal("BUDGET_EXHAUSTED"),
  limit: "a",
  waitMs: 1_000,
  ...parts,
});
/** Those that govern when the refusals are found in this order and in the opposite one. */
const winners = (...refusals: Refusal[]) =>
  [refusals, refusals.toReversed()].map((found) => governing(found)?.limit);
const both = (name: string) => [name, name];

describe("which refusal governs", () => {
  test("RF1: the first class in the order of precedence, however narrow or long the others are", () => {
    for (const [i, reason] of DENY_REASONS.entries()) {
      const first = aRefusal({ reason, limit: "first", depth: 0, waitMs: 1, order: 9 });
      const later = DENY_REASONS.slice(i + 1).map((other) =>
        aRefusal({ reason: other, limit: "later", depth: 9, waitMs: undefined, order: 0 }),
      );
      expect(winners(first, ...later)).toEqual(both("first"));
    }
  });

  test("RF1: the order is the one of the policy's own page", () => {
    expect(DENY_REASONS.slice(3, 9)).toEqual([
      "REQUEST_TOO_LARGE",
      "CIRCUIT_OPEN",
      "LOOP_DETECTED",
      "BUDGET_EXHAUSTED",
      "CONCURRENCY_EXHAUSTED",
      "RATE_LIMITED",
    ]);
  });

  test("RF2: of one class the narrowest scope", () => {
    const wide = aRefusal({ limit: "wide", depth: 1, waitMs: undefined, order: 0 });
    const narrow = aRefusal({ limit: "narrow", depth: 2, waitMs: 1, order: 5 });
    expect(winners(narrow, wide)).toEqual(both("narrow"));
  });

  test("RF2: equally narrow, the longest wait, and none is the longest", () => {
    const short = aRefusal({ limit: "short", waitMs: 10, order: 0 });
    const long = aRefusal({ limit: "long", waitMs: 11, order: 1 });
    const never = aRefusal({ limit: "never", waitMs: undefined, order: 2 });
    expect(winners(long, short)).toEqual(both("long"));
    expect(winners(never, short, long)).toEqual(both("never"));
  });

  test("RF2: else the order of the document, also between two without a wait", () => {
    for (const wait of [{}, { waitMs: undefined }]) {
      const first = aRefusal({ limit: "first", order: 0, ...wait });
      const second = aRefusal({ limit: "second", order: 1, ...wait });
      expect(winners(first, second)).toEqual(both("first"));
    }
  });

  test("RF3: its wait is the longest of all that refuse, whoever governs", () => {
    const narrow = aRefusal({ limit: "narrow", depth: 2, waitMs: 10 });
    const wide = aRefusal({ limit: "wide", depth: 1, waitMs: 5_000 });
    const rate = aRefusal({ limit: "rate", reason: "RATE_LIMITED", waitMs: 70 });
    expect(governing([rate, narrow, wide])).toEqual({ ...narrow, waitMs: 5_000 });
    expect(governing([narrow, rate])).toEqual({ ...narrow, waitMs: 70 });
  });

  test("RF3: there is none where something never lets it pass, whichever is found first", () => {
    const soon = aRefusal({ depth: 2, waitMs: 10 });
    const never = aRefusal({ limit: "never", waitMs: undefined });
    for (const refusals of [
      [soon, never],
      [never, soon],
      [soon, never, soon],
    ]) {
      expect(governing(refusals)).toEqual({ ...soon, waitMs: undefined });
    }
  });

  test("nothing refuses", () => {
    expect(governing([])).toBeUndefined();
  });
});

describe("a denial as its caller sees it", () => {
  const everyone = { platform: true, onDeny: undefined };
  const tenant = { platform: false, onDeny: undefined };
  const figures = { limitUnits: 100, remainingUnits: -3, requestedUnits: 7, meter: "tokens" };

  test("S15: a wait is rounded up to a whole millisecond and is at least one", () => {
    const waits = [0, 0.2, 1, 1.01, 5_000].map(
      (waitMs) => toDenial(aRefusal({ waitMs }), everyone).retryAfterMs,
    );
    expect(waits).toEqual([1, 1, 1, 2, 5_000]);
  });

  test("S15: where waiting does not help there is no retry_after at all", () => {
    expect(toDenial(aRefusal({ waitMs: undefined }), everyone)).not.toHaveProperty("retryAfterMs");
  });

  test("S16a: of a platform limit a tenant sees name, reason and wait, not one figure", () => {
    const refusal = aRefusal({ ...figures, limit: "provider", platform: true, resetsAt: 9 });
    const seen = toDenial(refusal, tenant);
    expect(seen).toMatchObject({ limit: "provider", reason: "BUDGET_EXHAUSTED" });
    expect(seen).toMatchObject({ limitUnits: 0, remainingUnits: 0, requestedUnits: 0 });
    expect(seen.retryAfterMs).toBe(1_000);
    expect(toDenial(refusal, everyone)).toMatchObject(figures);
  });

  test("S16a: the sentence gives no figure away either, whatever the reason", () => {
    for (const reason of DENY_REASONS) {
      const own = { limitUnits: 424_242, remainingUnits: 424_242, requestedUnits: 424_242 };
      const refusal = aRefusal({ ...own, meter: "tokens", reason, platform: true });
      if (reason === "LOOP_DETECTED") continue; // the platform has no loops
      expect(toDenial(refusal, tenant).message).not.toContain("424242");
    }
  });

  test("a tenant sees the figures of its own limits", () => {
    expect(toDenial(aRefusal({ ...figures }), tenant)).toMatchObject(figures);
  });

  test("the plan's own words replace the sentence, each where it has one", () => {
    const said = (message: string, url: string) =>
      toDenial(aRefusal(), { platform: true, onDeny: { message, url } });
    expect(said("Upgrade!", "https://x")).toMatchObject({
      message: "Upgrade!",
      helpUrl: "https://x",
    });
    expect(said("", "https://x").message).toContain('Budget "a"');
  });

  test("the sentence names limit, scope and figures; dollars are written as dollars", () => {
    const sentence = (parts: Partial<Refusal>): string =>
      toDenial(aRefusal({ scope: "tenant:acme", ...parts }), everyone).message;
    expect(sentence(figures)).toBe(
      'Budget "a" at tenant:acme does not have this much left: 7 tokens asked for, -3 tokens of 100 tokens left.',
    );
    const dollars = { limitUnits: 5e6, remainingUnits: -1_234_567, requestedUnits: 10_000 };
    expect(sentence({ ...dollars, meter: "usd_micros" })).toContain(
      "$0.01 asked for, -$1.234567 of $5.00 left",
    );
    const slots = { reason: "CONCURRENCY_EXHAUSTED", limitUnits: 3, meter: "" } as const;
    expect(sentence(slots)).toBe('All 3 slots of limit "a" at tenant:acme are taken.');
  });
});
