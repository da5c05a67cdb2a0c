import { readFile } from "node:fs/promises";

/** The compiled contract, which the build puts beside the bundle; run unbuilt, it is in dist all the same. */
export async function readDescriptorSet(): Promise<Uint8Array> {
  const beside = new URL("imprest.binpb", import.meta.url);
  const built = new URL("../../dist/imprest.binpb", import.meta.url);
  return await readFile(beside).catch(() => readFile(built));
}
