/** What the texts of flags mean. Each reader says what is allowed where a text is not. */
import { allowedWords } from "../core/policy/suggestion.ts";
import { quoted } from "./configuration.ts";
import type { Reader, Refusal } from "./flag.ts";

export const text: Reader<string> = (value) => ({ value });

export const oneOf =
  <const T extends string>(...names: readonly T[]): Reader<T> =>
  (value) => {
    const found = names.find((name) => name === value);
    return found === undefined ? { allowed: allowedWords(value, names) } : { value: found };
  };

export const matching =
  (pattern: RegExp, allowed: string): Reader<string> =>
  (value) =>
    pattern.test(value) ? { value } : { allowed };

/** A tenant's name (S33). */
export const tenantName = matching(/^[A-Za-z0-9_.@-]{1,128}$/, "1 to 128 of A-Z a-z 0-9 _ . @ -");

export const count =
  (least: number, most: number): Reader<number> =>
  (value) => {
    const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
    return number >= least && number <= most
      ? { value: number }
      : { allowed: `a whole number from ${least} to ${most}` };
  };

const UNITS_OF_TIME = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

/** Milliseconds, rounded to a whole one: "250ms", "1.5s". Both bounds are in milliseconds. */
export const duration =
  (least: number, most: number): Reader<number> =>
  (value) => {
    const [, digits, unit] = /^(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d)$/.exec(value) ?? [];
    const length = Math.round(Number(digits) * (UNITS_OF_TIME.get(unit ?? "") ?? Number.NaN));
    return length >= least && length <= most
      ? { value: length }
      : { allowed: `a duration from ${spell(least)} to ${spell(most)}, such as 250ms, 1.5s or 2m` };
  };

/** The shortest exact way to write a whole number of milliseconds. */
function spell(milliseconds: number): string {
  const [unit, size] =
    [...UNITS_OF_TIME].findLast(([, each]) => milliseconds >= each && milliseconds % each === 0) ??
    (["ms", 1] as const);
  return `${milliseconds / size}${unit}`;
}

/** "run=r-7" as ["run", "r-7"]; the value may hold further `=`. */
export const pair =
  (allowed: string): Reader<readonly [string, string]> =>
  (value) => {
    const at = value.indexOf("=");
    return at > 0 && at < value.length - 1
      ? { value: [value.slice(0, at), value.slice(at + 1)] }
      : { allowed };
  };

/** Reads each part of a comma-separated list, and tells each that is wrong. */
export const listOf =
  <T>(read: Reader<T>): Reader<readonly T[]> =>
  (value) => {
    const values: T[] = [];
    const wrong: Refusal[] = [];
    for (const part of value.split(",").map((each) => each.trim())) {
      const reading = read(part);
      if ("value" in reading) values.push(reading.value);
      else {
        const { found = quoted(part), allowed } = reading;
        wrong.push({ found, allowed: `${allowed}; several are comma-separated` });
      }
    }
    const [first, ...further] = wrong;
    return first === undefined ? { value: values } : { ...first, further, readable: values };
  };
