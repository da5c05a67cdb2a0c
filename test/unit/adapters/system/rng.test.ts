import { expect, it } from "vitest";
import { createRng } from "../../../../src/adapters/system/rng.ts";

it("S26: an id has 144 bits, as 24 characters that need no escaping, and none comes twice", () => {
  const rng = createRng();
  const ids = Array.from({ length: 10_000 }, () => rng.id());
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{24}$/);
});

it("S26: every bit of an id is random", () => {
  const rng = createRng();
  const seen = Array.from({ length: 144 }, () => new Set<number>());
  for (let i = 0; i < 200; i++) {
    const bytes = Buffer.from(rng.id(), "base64url");
    for (const [bit, values] of seen.entries()) {
      values.add(((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1);
    }
  }
  // A bit that is the same 200 times over happens by chance once in 2^191 runs.
  for (const values of seen) expect(values.size).toBe(2);
});

it("jitter lies in [0, 1)", () => {
  const rng = createRng();
  const values = Array.from({ length: 1000 }, () => rng.next());
  expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...values)).toBeLessThan(1);
  expect(new Set(values).size).toBeGreaterThan(990);
});
