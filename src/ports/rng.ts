/** Randomness, so that a simulator can replay it. */
export interface Rng {
  /** Uniform in [0, 1): jitter, never secrets. */
  next(): number;
  /** 144 unguessable bits as 24 characters of [A-Za-z0-9_-]: reservation and decision ids. */
  id(): string;
}
