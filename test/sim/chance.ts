/**
 * Randomness of a run, one stream for each subsystem: a change in how one draws does not reshuffle the others.
 */
import { createSeededRng, type SeededRng } from "../support/seeded-rng.ts";

export interface Chance extends SeededRng {
  /** Exponentially distributed. */
  around(mean: number): number;
  /** From `from` to below `to`. */
  between(from: number, to: number): number;
}

function numberOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash;
}

/** The stream of that name. */
export function createChance(seed: number, name: string): Chance {
  const rng = createSeededRng(Math.imul(seed, 0x9e3779b1) ^ numberOf(name));
  return {
    ...rng,
    around: (mean) => -mean * Math.log(1 - rng.next()),
    between: (from, to) => from + (to - from) * rng.next(),
  };
}
