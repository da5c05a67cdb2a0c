/** Names that a process makes for itself and for its leases. */
import type { Holder } from "../../core/lease/message.ts";
import type { Rng } from "../../ports/rng.ts";

/** The alphabet of {@link Rng.id}: each character holds six random bits, of which four are used. */
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const randomHex = (rng: Rng, digits: number): string => {
  let hex = "";
  for (const character of rng.id().slice(0, digits)) {
    hex += (ALPHABET.indexOf(character) & 15).toString(16);
  }
  return hex;
};

/** A process that nobody was before. */
export const newHolder = (rng: Rng, label: string): Holder => ({
  nonce: randomHex(rng, 16),
  epoch: 1,
  ancestors: [],
  label,
});

/** How many processes before it an heir can name. */
const ANCESTORS = 8;

/** The process that goes on from another one's intact journal. */
export const heirOf = (before: Holder, rng: Rng, label: string): Holder => ({
  nonce: randomHex(rng, 16),
  epoch: before.epoch + 1,
  ancestors: [before.nonce, ...before.ancestors].slice(0, ANCESTORS),
  label,
});

/** Names of leases: UUIDv7 without dashes. No two of a process were made in the same millisecond. */
export function createLeaseIds(rng: Rng): (wall: number) => string {
  let last = 0;
  return (wall) => {
    last = Math.max(wall, last + 1);
    const random = randomHex(rng, 18);
    const variant = (8 + (Number.parseInt(random.charAt(3), 16) & 3)).toString(16);
    const time = last.toString(16).padStart(12, "0");
    return `${time}7${random.slice(0, 3)}${variant}${random.slice(3, 18)}`;
  };
}
