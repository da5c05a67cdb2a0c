/**
 * Which texts are names (quota.proto, S33). A scan over character codes: a name is short and checked several
 * times in every call, where a regular expression costs more than the scan.
 */

/** [a-z0-9_.-]: kinds, tags, meters, keys of dimensions. */
export const LOWER = 1;
/** [A-Za-z0-9_.@-]: the six fixed levels of a subject. */
export const LEVEL = 2;
/** [A-Za-z0-9_.@:/+|,-]: values of dimensions, models and tools. */
export const VALUE = 4;

const CLASSES = new Uint8Array(128);
const allow = (characters: string, classes: number): void => {
  for (const character of characters) CLASSES[character.charCodeAt(0)] = classes;
};
allow("abcdefghijklmnopqrstuvwxyz0123456789_.-", LOWER | LEVEL | VALUE);
allow("ABCDEFGHIJKLMNOPQRSTUVWXYZ@", LEVEL | VALUE);
allow(":/+|,", VALUE);

/** True where every character is of the class and there are at most `most`. "" is a name here. */
export function isName(text: string, characterClass: number, most: number): boolean {
  const length = text.length;
  if (length > most) return false;
  for (let i = 0; i < length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 127 || ((CLASSES[code] ?? 0) & characterClass) === 0) return false;
  }
  return true;
}

/** U+FFFD is what the decoder puts where bytes were no UTF-8. */
export const isMangled = (text: string): boolean => text.includes("\uFFFD");

/** Characters are code points: an emoji is one, though it is two of JavaScript's. */
export function isLonger(text: string, most: number): boolean {
  if (text.length <= most) return false;
  if (text.length > 2 * most) return true;
  let count = 0;
  for (const _ of text) count += 1;
  return count > most;
}

/** At most `most` code units, and never half a character: gRPC refuses to send one. */
export function cut(text: string, most: number): string {
  return text.length <= most ? text.toWellFormed() : `${text.slice(0, most - 1)}…`.toWellFormed();
}

/** For messages: in quotes, one line, cut short. */
export const quote = (text: string): string => JSON.stringify(cut(text, 40));
