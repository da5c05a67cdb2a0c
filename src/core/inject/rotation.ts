/**
 * When certificates are made anew. An authority signs the injector's serving certificate, and the API server
 * trusts what the webhook's caBundle holds; neither replicas nor API servers hear of a change at the same time.
 * So a new authority is trusted first and used later, and an old one used no more first and forgotten later:
 *
 *     authority A                 next B          previous A
 *     bundle  A    | A B  ........ overlap .......| B A ........ overlap ....| B
 *     serving by A                                | serving by B
 *              prepare                         promote                    retire
 *
 *   RT1  What is served was signed by an authority that has been in the live bundle for the overlap.
 *   RT2  An authority stays in the bundle for the overlap after the last certificate of it was replaced.
 *   RT3  The bundle holds at most two authorities.
 *   RT4  A serving certificate is replaced when a third of its life is left, and never outlives its authority.
 *
 * Where there is no usable authority at all (the first start, a Secret that was wiped) one is founded at once: RT1
 * cannot hold then. What the injector still remembers stays in the bundle as the previous one.
 */
import type { DurationMs, EpochMs } from "../time.ts";

export interface Span {
  /** When it was made, not from when it is valid: that is earlier, for clocks that are late. */
  readonly madeAt: EpochMs;
  readonly validUntil: EpochMs;
}

/** What there is. Certificates that cannot be read are not there. */
export interface Keyring<A extends Span = Span, L extends Span = Span> {
  readonly authority: A | undefined;
  readonly next: A | undefined;
  readonly previous: A | undefined;
  /** Signed by `authority` for the names that are wanted. */
  readonly leaf: L | undefined;
}

export interface Times {
  readonly caLifetimeMs: DurationMs;
  readonly leafLifetimeMs: DurationMs;
  readonly overlapMs: DurationMs;
}

export interface Circumstances {
  /** The webhook's caBundle is what `bundleOf` says. */
  readonly isBundleLive: boolean;
  /** An operator wants a new authority now. */
  readonly isAsked: boolean;
}

export type Step = "found" | "prepare" | "promote" | "renew" | "retire";

/** What to do next; `undefined`: nothing now. */
export function nextStep(
  keyring: Keyring,
  { isBundleLive, isAsked }: Circumstances,
  times: Times,
  now: EpochMs,
): Step | undefined {
  const { authority, next, previous, leaf } = keyring;
  const { overlapMs, caLifetimeMs, leafLifetimeMs } = times;
  if (authority === undefined || authority.validUntil <= now) return "found";
  if (next !== undefined && isBundleLive && now >= next.madeAt + overlapMs) return "promote";
  if (leaf === undefined || leaf.validUntil - now < shareOf(leafLifetimeMs, 3)) {
    // A certificate that ends with its authority is not renewed again and again.
    const isLast = leaf !== undefined && leaf.validUntil >= authority.validUntil;
    if (!isLast) return "renew";
  }
  if (previous !== undefined && isBundleLive && now >= (leaf?.madeAt ?? now) + overlapMs) {
    return "retire";
  }
  const isAging = authority.validUntil - now < shareOf(caLifetimeMs, 4);
  return next === undefined && previous === undefined && (isAging || isAsked)
    ? "prepare"
    : undefined;
}

const shareOf = (length: DurationMs, part: number): DurationMs => Math.floor(length / part);

/** (RT3) What the webhook has to trust, the one that signed what is served first. */
export function bundleOf<A extends Span>({ authority, next, previous }: Keyring<A>): readonly A[] {
  return [authority, next ?? previous].filter((one) => one !== undefined);
}
