/** The name that a typo most likely meant; `undefined` where more than two letters or a third of it differ. */
export function nearest(typo: string, names: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.min(typo.length - 1, Math.max(2, Math.floor(typo.length / 3))) + 1;
  for (const name of names) {
    const edits = editsBetween(typo, name);
    if (edits < least) [best, least] = [name, edits];
  }
  return best;
}

/** Insertions, deletions and replacements that turn one text into the other (Levenshtein). */
function editsBetween(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const line = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = (above[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      line.push(Math.min(replaced, (above[column] ?? 0) + 1, (line[column - 1] ?? 0) + 1));
    }
    above = line;
  }
  return above[b.length] ?? 0;
}
