import type { QuotaClient } from "./quota-client.ts";

/** A stream whose caller asks a lot and reads nothing: it cannot end while the sidecar waits for it. */
export async function fallSilent(client: QuotaClient): Promise<void> {
  const operation = { op: { $case: "check", value: { subject: { tenant: "t" } } } } as const;
  const operations = Array.from({ length: 500 }, () => operation);
  const stream = client.stream();
  stream.send(0n, [operation]);
  await stream.next();
  stream.raw.pause();
  for (let i = 1n; i <= 50n; i += 1n) stream.send(i, operations);
  // Answered after the requests above have arrived.
  for (let i = 0; i < 20; i += 1) await client.call("check", { subject: { tenant: "t" } });
}
