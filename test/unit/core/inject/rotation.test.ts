import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  bundleOf,
  nextStep,
  type Keyring,
  type Span,
  type Step,
} from "../../../../src/core/inject/rotation.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const TIMES = { caLifetimeMs: 365 * DAY, leafLifetimeMs: 7 * DAY, overlapMs: HOUR };
const LIVE = { isBundleLive: true, isAsked: false };
const NONE: Keyring = {
  authority: undefined,
  next: undefined,
  previous: undefined,
  leaf: undefined,
};

const span = (madeAt: number, length: number): Span => ({ madeAt, validUntil: madeAt + length });
const fresh: Keyring = { ...NONE, authority: span(0, 365 * DAY), leaf: span(0, 7 * DAY) };

describe("one step", () => {
  test.each<[string, Keyring, number, Step | undefined]>([
    ["there is nothing", NONE, 0, "found"],
    ["the authority has ended", fresh, 366 * DAY, "found"],
    ["all is well", fresh, DAY, undefined],
    ["a third of the certificate's life is left", fresh, 5 * DAY, "renew"],
    ["there is no certificate", { ...fresh, leaf: undefined }, 0, "renew"],
    ["the authority ages", { ...fresh, leaf: span(280 * DAY, 7 * DAY) }, 280 * DAY, "prepare"],
    ["the next one was trusted for the overlap", { ...fresh, next: span(0, DAY) }, HOUR, "promote"],
    ["the next one is new", { ...fresh, next: span(0, DAY) }, HOUR - 1, undefined],
    ["the previous one is past its overlap", { ...fresh, previous: span(0, DAY) }, HOUR, "retire"],
  ])("where %s", (_, keyring, now, step) => {
    expect(nextStep(keyring, LIVE, TIMES, now)).toBe(step);
  });

  test("RT1: a bundle that did not reach the webhook holds promotion and retirement up", () => {
    const waiting = { isBundleLive: false, isAsked: false };
    expect(nextStep({ ...fresh, next: span(0, DAY) }, waiting, TIMES, HOUR)).toBeUndefined();
    expect(nextStep({ ...fresh, previous: span(0, DAY) }, waiting, TIMES, HOUR)).toBeUndefined();
  });

  test("an operator who asks gets a new authority", () => {
    expect(nextStep(fresh, { isBundleLive: true, isAsked: true }, TIMES, DAY)).toBe("prepare");
  });

  test("RT4: a certificate that ends with its authority is not renewed over and over", () => {
    const last = { ...fresh, authority: span(0, DAY), leaf: span(0, DAY), next: span(DAY, DAY) };
    expect(nextStep(last, LIVE, TIMES, DAY - 1)).toBeUndefined();
  });
});

interface Named extends Span {
  readonly id: number;
}
type Ring = Keyring<Named, Named & { readonly signer: number }>;

/** What a leader does at each step, with spans for certificates. */
function takeStep(step: Step, ring: Ring, now: number, id: number): Ring {
  const authority = { id, ...span(now, TIMES.caLifetimeMs) };
  const leafOf = (by: Named) => ({
    ...{ id, signer: by.id, madeAt: now },
    validUntil: Math.min(now + TIMES.leafLifetimeMs, by.validUntil),
  });
  switch (step) {
    case "found":
      return { authority, next: undefined, previous: ring.authority, leaf: leafOf(authority) };
    case "prepare":
      return { ...ring, next: authority };
    case "promote":
      return ring.next === undefined
        ? ring
        : {
            authority: ring.next,
            next: undefined,
            previous: ring.authority,
            leaf: leafOf(ring.next),
          };
    case "renew":
      return ring.authority === undefined ? ring : { ...ring, leaf: leafOf(ring.authority) };
    case "retire":
      return { ...ring, previous: undefined };
  }
}

test("RT1, RT2, RT3, RT4: however often it looks, what is served is trusted on both sides of a change", () => {
  const looks = fc.array(
    fc.record({ hours: fc.integer({ min: 1, max: 40 }), isAsked: fc.boolean() }),
    { minLength: 50, maxLength: 300 },
  );
  fc.assert(
    fc.property(looks, (list) => {
      let ring = takeStep("found", NONE as Ring, 0, 0);
      let now = 0;
      /** Since when each authority is in the bundle, and when what is served was last signed by it. */
      const trusted = new Map([[0, -HOUR]]);
      const used = new Map<number, number>();
      for (const [index, { hours, isAsked }] of list.entries()) {
        now += hours * HOUR;
        const step = nextStep(ring, { isBundleLive: true, isAsked }, TIMES, now);
        expect(step).not.toBe("found");
        if (ring.leaf) used.set(ring.leaf.signer, now);
        if (step !== undefined) ring = takeStep(step, ring, now, index + 1);
        const bundle = bundleOf(ring).map(({ id }) => id);
        expect(bundle.length).toBeLessThanOrEqual(2); // RT3
        for (const id of bundle) if (!trusted.has(id)) trusted.set(id, now);
        for (const [id, at] of used) if (now < at + HOUR) expect(bundle).toContain(id); // RT2
        const { leaf } = ring;
        const isTrusted = leaf !== undefined && (trusted.get(leaf.signer) ?? now) + HOUR <= now;
        expect(isTrusted).toBe(true); // RT1
        expect(leaf?.validUntil ?? 0).toBeGreaterThan(now); // RT4
        expect(leaf?.validUntil ?? 0).toBeLessThanOrEqual(ring.authority?.validUntil ?? 0);
      }
    }),
    { numRuns: 100 },
  );
});
