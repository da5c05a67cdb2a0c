/** Many clients in a process of its own, each with its own connection; every other one on a stream. See spending.ts. */
import { overStream } from "./call-stream.ts";
import { createQuotaClient, type QuotaClient } from "./quota-client.ts";
import { machineTime, newBooks } from "./client-books.ts";
import { spend, type Place, type SpendingPlan } from "./spenders.ts";

/** Where clients go: round robin, all to the first, or all to another one each second. */
export type Split = "even" | "one" | "moving";

export interface SpendingOrder {
  readonly name: string;
  readonly addresses: readonly string[];
  /** Of clients. */
  readonly count: number;
  readonly split: Split;
  readonly plan: SpendingPlan;
}

async function obey({ name, addresses, count, split, plan }: SpendingOrder): Promise<void> {
  const books = newBooks();
  const everybody = Array.from({ length: count }, async (_, n) => {
    const clients: QuotaClient[] = [];
    const places = addresses.map((address): Place => {
      const client = createQuotaClient(address);
      clients.push(client);
      const isStreamed = n % 2 === 1;
      return { client: isStreamed ? overStream(client) : client, back: Promise.resolve() };
    });
    const index = { even: () => n, one: () => 0, moving: () => Math.floor(machineTime() / 1_000) };
    const at = (): Place => {
      const place = places[index[split]() % places.length];
      if (place === undefined) throw new Error("no address");
      return place;
    };
    await spend({ name: `${name}-${n}`, at, plan, books, isOver: () => false });
    for (const client of clients) client.close();
  });
  await Promise.all(everybody);
  process.send?.(books, () => process.exit()); // a stream that is open would keep it running
}

process.once("message", (order) => void obey(order as SpendingOrder));
