/** A subcommand: what it takes, what its help says, what it does. One per file, imported only when it is used. */
import type { Positional, Problem } from "./configuration.ts";
import type { Flags, Values } from "./flag.ts";
import type { Host } from "./host.ts";

export interface Example {
  /** As typed, without a prompt. */
  readonly line: string;
  readonly says: string;
}

/** Exit status and what it means. */
export type Exits = Readonly<Record<number, string>>;

export interface Command {
  /** "reservations release". */
  readonly name: string;
  /** One or a few sentences. */
  readonly about: string;
  readonly flags: Flags;
  readonly positionals: readonly Positional[];
  readonly examples: readonly Example[];
  readonly exits: Exits;
  /** What no single flag can tell is wrong. */
  check(found: Found<Flags>): readonly Problem[];
  /** What is wrong with the files that the flags name, a line each. Asked where flags are wrong: `run` tells it otherwise. */
  inspect(found: Found<Flags>): Promise<readonly string[]>;
  /** Every flag has been read and checked. Resolves with the exit status. */
  run(host: Host, input: Input<Flags>): Promise<number>;
}

/** What was configured, before it is known to be right. */
export interface Found<F extends Flags> {
  /** Without the flags of which nothing could be read. */
  readonly values: Partial<Values<F>>;
  /** Names of the flags that somebody gave. */
  readonly given: ReadonlySet<string>;
  readonly env: Host["env"];
}

export interface Input<F extends Flags> {
  readonly values: Values<F>;
  /** Exactly as many as the command lists. */
  readonly positionals: readonly string[];
}

export interface CommandParts<F extends Flags> {
  readonly name: string;
  readonly about: string;
  readonly flags: F;
  readonly positionals?: readonly Positional[];
  readonly examples: readonly Example[];
  readonly exits: Exits;
  readonly check?: (found: Found<F>) => readonly Problem[];
  readonly inspect?: (found: Found<F>) => Promise<readonly string[]>;
  readonly run: (host: Host, input: Input<F>) => Promise<number>;
}

/** Ties `run` to the types of the command's own flags. */
export function defineCommand<F extends Flags>(parts: CommandParts<F>): Command {
  const { check, inspect, run } = parts;
  return {
    positionals: [],
    ...parts,
    // The values were read with this very table, so they have its types.
    check: (found) => check?.(found as Found<F>) ?? [],
    inspect: (found) => inspect?.(found as Found<F>) ?? Promise.resolve([]),
    run: (host, input) => run(host, input as Input<F>),
  };
}
