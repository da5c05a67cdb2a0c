/**
 * How things are called in Redis. All ledgers of one tenant are in one shard, all keys of a shard in one slot: the
 * part in braces is what a Cluster looks at.
 *
 *   {q17}:m            the shard: its history, fence, clock
 *   {q17}:L:uid/limit/…/2026-11   a ledger, with a field for each holder
 *   {q17}:X:…          its index: holder → when the store acts on it
 *   {q17}:F:uid/limit/…           what passes from period to period
 *   {q17}              the channel of hints
 *
 *   KN1  Different ledgers have different keys, and a key can be read back, whatever callers put into it.
 *   KN2  A key's tag is decided by the tenant alone.
 */

/** For ever: a tenant's ledgers could not be found under another number. */
export const SHARDS = 1_024;

/** The 32-bit FNV-1a hash of the uid's bytes. */
export function shardOf(uid: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(uid)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return ((hash ^ (hash >>> 16)) >>> 0) % SHARDS;
}

export const tagOf = (shard: number): string => `{q${shard}}`;

/** Of a ledger: `L` itself, `X` its index, `F` its family. */
export const keyOf = (tag: string, kind: "L" | "X" | "F", key: string): string =>
  `${tag}:${kind}:${encodeKey(key)}`;

/** What the names of all ledgers match, of whatever shard. */
export const ANY_LEDGER = "{q*}:L:*";

export const metaKey = (tag: string): string => `${tag}:m`;

/** Parts of a key are separated by a zero character, in Redis by a slash (KN1). */
export const encodeKey = (key: string): string => key.split("\0").map(encodeText).join("/");
export const decodeKey = (text: string): string => text.split("/").map(decodeText).join("\0");

/** Anything that could mean something to a script, a pattern or a person reading is written as %XX. */
export const encodeText = (text: string): string =>
  text.replaceAll(/[^A-Za-z0-9_.@:=-]/gu, (character) => {
    const bytes = Buffer.from(character).toString("hex").toUpperCase();
    return bytes.replaceAll(/../g, "%$&");
  });

export const decodeText = (text: string): string => decodeURIComponent(text);
