/**
 * One flag of the command: how it is written, what it may hold, what it is without being said. A command
 * lists its flags in a table; parsing, environment variables, errors and `--help` all come from that table.
 */

/** Why a text says nothing. `found` replaces the text in the error, which may hold a secret or more than is wrong. */
export interface Refusal {
  readonly allowed: string;
  readonly found?: string;
}

/** What a text says: a value, or why not. */
export type Reading<T> = { readonly value: T } | (Refusal & Partial<Remainder<T>>);

/** What else there is to a text of several parts, of which one is wrong. */
interface Remainder<T> {
  /** Of the other parts that are wrong. */
  readonly further: readonly Refusal[];
  /** The parts that are right, for checks that look further. */
  readonly readable: T;
}
export type Reader<T> = (text: string) => Reading<T>;

export interface Flag<T> {
  /** "FILE", "DURATION"; "" for a switch, which takes no value. */
  readonly placeholder: string;
  /** One or two sentences, without the default. */
  readonly help: string;
  /** What holds where neither flag nor variable says anything, as it would be written. */
  readonly fallback?: string;
  readonly repeats: boolean;
  readonly required: boolean;
  /** A documented flag that this version cannot honour: giving it is an error, leaving it out is not. */
  readonly pending: boolean;
  /** Read after the flag's own variable. */
  readonly furtherVariable?: string;
  /** What a single text means: every text is read, so that each that is wrong is told. */
  readonly read: Reader<unknown>;
  /** The flag's value, from what its texts meant; none where it was not given and has no fallback. */
  gather(values: readonly unknown[]): T;
}

export type Flags = Readonly<Record<string, Flag<unknown>>>;

/** What the flags of a table are worth, by name. */
export type Values<F extends Flags> = {
  readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never;
};

const one = <T>(placeholder: string, help: string, read: Reader<unknown>) => ({
  placeholder,
  help,
  read,
  repeats: false,
  required: false,
  pending: false,
  gather: (values: readonly unknown[]) => values.at(-1) as T,
});

/** May be left out: then `undefined`. Given twice, the last one holds, as with any command. */
export const optional = <T>(
  placeholder: string,
  help: string,
  read: Reader<T>,
): Flag<T | undefined> => one(placeholder, help, read);

export const required = <T>(placeholder: string, help: string, read: Reader<T>): Flag<T> => ({
  ...one<T>(placeholder, help, read),
  required: true,
});

/** `fallback` is written as a caller would write it, and read in the same way. */
export const defaulted = <T>(
  placeholder: string,
  fallback: string,
  help: string,
  read: Reader<T>,
): Flag<T> => ({ ...one<T>(placeholder, help, read), fallback });

/** May be given any number of times. In its variable, values are separated by spaces. */
export const many = <T>(
  placeholder: string,
  help: string,
  read: Reader<T>,
): Flag<readonly T[]> => ({
  ...one(placeholder, help, read),
  repeats: true,
  gather: (values) => values as readonly T[],
});

export const toggle = (help: string): Flag<boolean> => ({
  ...one("", help, readSwitch),
  gather: (values) => values.at(-1) === true,
});

/** Documented, not built yet. */
export const pending = (placeholder: string, help: string): Flag<undefined> => ({
  ...one<undefined>(placeholder, help, () => ({
    allowed: "nothing: this version does not have it yet",
  })),
  pending: true,
});

const SWITCH = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);

function readSwitch(text: string): Reading<boolean> {
  const value = SWITCH.get(text);
  return value === undefined ? { allowed: "true, false, 1 or 0" } : { value };
}

/** "drain-timeout" → "IMPREST_DRAIN_TIMEOUT". */
export const variableOf = (flag: string): string =>
  `IMPREST_${flag.toUpperCase().replaceAll("-", "_")}`;
