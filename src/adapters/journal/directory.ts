/** The folder of a journal, and the files in it: numbered in the order of their making. */
import { constants } from "node:fs";
import { access, mkdir, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** The folder cannot be used: whoever configured it has to change something. */
export class JournalUnusable extends Error {
  override readonly name = "JournalUnusable";

  constructor(directory: string, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`the journal ${directory} cannot be used: ${why}`);
  }
}

export interface Segment {
  readonly number: number;
  readonly path: string;
  /** Its last write failed: what was acknowledged after it is not in it. */
  readonly failed: boolean;
}

/** Makes the folder where it is missing, for this user alone. @throws JournalUnusable */
export async function prepareDirectory(directory: string): Promise<void> {
  try {
    // In two steps: for a folder that a file system refuses to make, Node would try again for ever.
    await mkdir(dirname(directory), { recursive: true, mode: 0o700 });
    await mkdir(directory, { mode: 0o700 }).catch(unlessThere);
    if (!(await stat(directory)).isDirectory()) throw new Error("it is not a folder");
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new JournalUnusable(directory, cause);
  }
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}

const NAME = /^(\d{10})\.(journal|failed)$/;

export const segmentPath = (directory: string, number: number, ending = "journal"): string =>
  join(directory, `${String(number).padStart(10, "0")}.${ending}`);

/** Oldest first. */
export async function segmentsIn(directory: string): Promise<readonly Segment[]> {
  const found = (await readdir(directory)).flatMap((name): Segment[] => {
    const [, digits, ending] = NAME.exec(name) ?? [];
    if (digits === undefined) return [];
    return [{ number: Number(digits), path: join(directory, name), failed: ending === "failed" }];
  });
  return found.sort((a, b) => a.number - b.number);
}
