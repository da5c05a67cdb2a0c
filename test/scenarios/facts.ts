/**
 * What an answer says, as facts that a scenario can state: `deny RATE_LIMITED limit=rpm retry_after=6s`.
 *
 * An expectation need not state every fact, but it must state every *loud* one that is there: decisions,
 * the limit and wait of a denial, caps, what a shadow limit would deny, what a commit charged, gave back, went over by
 * or left uncharged, debt. So a scenario is short, and yet nothing of weight can happen in it unsaid.
 */

export interface Fact {
  /** "deny", "charged"…; "" for bare fields (balances). */
  readonly name: string;
  /** Positional words: the reason of a denial, the name of a limit. */
  readonly words: readonly string[];
  readonly fields: ReadonlyMap<string, string>;
  /** An expectation must state it, and with these fields; "all": with exactly its fields. */
  readonly loud?: readonly string[] | "all";
}

const WORD = /^[^\s",=]+$/;
const quote = (value: string): string => (/^[^\s",]+$/.test(value) ? value : JSON.stringify(value));

export const renderFact = (fact: Fact): string =>
  [
    ...(fact.name === "" ? [] : [fact.name]),
    ...fact.words,
    ...[...fact.fields].map(([key, value]) => `${key}=${quote(value)}`),
  ].join(" ");

/** Words of a line; `"…"` keeps spaces and commas together, as in JSON. */
export function splitWords(text: string): readonly string[] {
  const words = text.match(/(?:[^\s"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
  return words.map((word) =>
    word.replace(/"(?:[^"\\]|\\.)*"/g, (quoted) => String(JSON.parse(quoted))),
  );
}

/** Reads `a b=1, c d="x, y"`: facts stand between commas. Throws on what it cannot read. */
export function parseFacts(text: string): readonly Fact[] {
  const parts = text.match(/(?:[^,"]|,(?!\s)|"(?:[^"\\]|\\.)*")+/g) ?? [];
  return parts.map((part) => {
    const words: string[] = [];
    const fields = new Map<string, string>();
    for (const word of splitWords(part.trim())) {
      const equals = word.indexOf("=");
      if (equals > 0) fields.set(word.slice(0, equals), word.slice(equals + 1));
      else if (WORD.test(word) && fields.size === 0) words.push(word);
      else throw new Error(`cannot read "${word}" in "${part.trim()}"`);
    }
    return { name: words[0] ?? "", words: words.slice(1), fields };
  });
}

const states = (expected: Fact, actual: Fact): boolean =>
  expected.name === actual.name &&
  expected.words.every((word, at) => word === actual.words[at]) &&
  [...expected.fields].every(([key, value]) => actual.fields.get(key) === value) &&
  (actual.loud !== "all" || expected.fields.size === actual.fields.size);

const saysLoudFields = (expected: Fact, actual: Fact): boolean =>
  expected.words.length === actual.words.length &&
  (actual.loud === undefined ||
    actual.loud === "all" ||
    actual.loud.every((key) => expected.fields.has(key) || !actual.fields.has(key)));

/** True where every expected fact is there and every loud fact is expected. */
export function factsAgree(expected: readonly Fact[], actual: readonly Fact[]): boolean {
  const found = expected.every((wanted) => actual.some((fact) => states(wanted, fact)));
  const said = actual
    .filter((fact) => fact.loud !== undefined)
    .every((fact) =>
      expected.some((wanted) => states(wanted, fact) && saysLoudFields(wanted, fact)),
    );
  return found && said;
}

/** The actual facts that the expectation spoke of, and the loud ones: what `UPDATE=1` writes back. */
export function restate(expected: readonly Fact[], actual: readonly Fact[]): readonly Fact[] {
  return actual.flatMap((fact) => {
    const spoken = expected.find((wanted) => wanted.name === fact.name);
    if (spoken === undefined && fact.loud === undefined) return [];
    if (fact.loud === "all") return [fact];
    const keep = [...fact.fields].filter(
      ([key]) => spoken?.fields.has(key) === true || fact.loud?.includes(key) === true,
    );
    return [{ ...fact, fields: new Map(keep) }];
  });
}
