/** Requests that reached something: one for each method and outcome, kept as `method-outcome.hex`. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import type { UnaryName } from "../support/quota-client.ts";
import type { FuzzCase } from "./request-maker.ts";

const FOLDER = new URL("corpus/", import.meta.url);
/** What is larger says no more. */
const MOST_BYTES = 2_000;

export async function readCorpus(): Promise<readonly FuzzCase[]> {
  const files = await readdir(FOLDER);
  return await Promise.all(
    files.toSorted().map(async (file) => {
      const hex = (await readFile(new URL(file, FOLDER), "utf8")).trim();
      const method = file.split("-")[0] as UnaryName;
      return { method, bytes: Buffer.from(hex, "hex"), damaged: true };
    }),
  );
}

/** Keeps the first case of an outcome, where FUZZ_KEEP is set. */
export function createKeeper(keeps: boolean) {
  const seen = new Set<string>();
  return async ({ method, bytes }: FuzzCase, outcome: string): Promise<void> => {
    const name = `${method}-${outcome}`;
    if (seen.has(name) || bytes.length > MOST_BYTES) return;
    seen.add(name);
    if (keeps) await writeFile(new URL(`${name}.hex`, FOLDER), `${bytes.toString("hex")}\n`);
  };
}
