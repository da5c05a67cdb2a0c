/** The word that somebody who mistyped one probably meant. */

/** Edits (a letter put in, left out, changed, or two neighbours swapped) that make `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, changed);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      }
      next.push(least);
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Words longer than this are no typing mistakes; comparing them would only cost time. */
const LONGEST_WORD = 64;
/** Of more words than this (thousands of plans) the nearest is not looked for. */
const MOST_WORDS = 200;

/** The word nearest to `found`, at most a third of its letters (and one) away; `undefined`: none is near. */
export function nearest(found: string, words: readonly string[]): string | undefined {
  if (found.length > LONGEST_WORD || words.length > MOST_WORDS) return undefined;
  const lower = found.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.floor(found.length / 3) + 2;
  for (const word of words) {
    if (Math.abs(word.length - found.length) >= bestDistance) continue;
    const distance = editDistance(lower, word.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [word, distance];
  }
  return best;
}

const MOST_LISTED = 30;

/** "rate, budget (did you mean budget?)": the words, and the nearest to `found` if one is near. */
export function allowedWords(found: string, words: readonly string[]): string {
  const meant = nearest(found, words);
  const listed = words.length > MOST_LISTED ? [...words.slice(0, MOST_LISTED), "…"] : words;
  return listed.join(", ") + (meant === undefined ? "" : ` (did you mean ${meant}?)`);
}
