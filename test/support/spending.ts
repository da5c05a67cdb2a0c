/** Clients in processes of their own, and their books laid together. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { mergeBooks, type Books } from "./client-books.ts";
import type { SpendingOrder } from "./spending-process.ts";

const PROGRAM = fileURLToPath(new URL("spending-process.ts", import.meta.url));

/** Resolves when the last client is done. */
export async function spendFrom(processes: number, order: SpendingOrder): Promise<Books> {
  const all = Array.from({ length: processes }, async (_, i) => {
    const child = fork(PROGRAM, { serialization: "advanced", execArgv: [] });
    child.send({ ...order, name: `${order.name}-${i}` });
    let books: Books | undefined;
    child.on("message", (sent) => {
      books = sent as Books;
    });
    const [code] = (await once(child, "exit")) as [number | null];
    if (books === undefined) throw new Error(`clients ended with ${code}`);
    return books;
  });
  return mergeBooks(await Promise.all(all));
}
