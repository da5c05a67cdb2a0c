/**
 * Wildcard patterns of the policy: `*` is any run of characters, the empty one included, `?` is one
 * character (one UTF-16 unit; every text that is matched here is ASCII by contract).
 *
 * A pattern is cut at its stars once. The first and the last piece are anchored; each piece between is
 * taken at its leftmost place. Leftmost is enough, since a star can absorb whatever lies before a later
 * place, so nothing is ever tried again: a match costs at most text × longest piece, whatever the pattern.
 */
export type Matcher = (text: string) => boolean;

/** Compiles `pattern`; a match allocates nothing. */
export function compilePattern(pattern: string): Matcher {
  if (!/[*?]/.test(pattern)) return (text) => text === pattern;
  const pieces = pattern.split("*");
  const first = pieces[0] ?? "";
  const last = pieces.at(-1) ?? "";
  if (pieces.length === 1) {
    return (text) => text.length === first.length && matchesAt(first, text, 0);
  }
  const inner = pieces.slice(1, -1).filter((piece) => piece !== "");
  const least = first.length + last.length;
  return (text) => {
    const tail = text.length - last.length;
    if (text.length < least || !matchesAt(first, text, 0) || !matchesAt(last, text, tail))
      return false;
    let from = first.length;
    for (const piece of inner) {
      const place = find(piece, text, from);
      if (place < 0) return false;
      from = place + piece.length;
    }
    return from <= tail;
  };
}

/** Compiles several patterns into one matcher that holds where any of them does; none: never. */
export function compilePatterns(patterns: readonly string[]): Matcher {
  const matchers = patterns.map(compilePattern);
  const [only] = matchers;
  if (only !== undefined && matchers.length === 1) return only;
  return (text) => {
    for (const matches of matchers) if (matches(text)) return true;
    return false;
  };
}

const QUESTION_MARK = 63;

function matchesAt(piece: string, text: string, at: number): boolean {
  for (let i = 0; i < piece.length; i++) {
    const code = piece.charCodeAt(i);
    if (code !== QUESTION_MARK && code !== text.charCodeAt(at + i)) return false;
  }
  return true;
}

function find(piece: string, text: string, from: number): number {
  for (let at = from; at + piece.length <= text.length; at++) {
    if (matchesAt(piece, text, at)) return at;
  }
  return -1;
}
