/**
 * The client, in a process of its own, so that what it costs is not counted: for each job that its parent
 * sends, so many calls over one connection with so many in flight.
 */
import { Client, credentials } from "@grpc/grpc-js";
import { REQUESTS, reservationIdOf } from "./calls.ts";

export type Kind = "check" | "consume" | "reserve + commit";

export interface Job {
  readonly socket: string;
  readonly kind: Kind;
  readonly calls: number;
  readonly inFlight: number;
}

const clients = new Map<string, Client>();

function clientOf(socket: string): Client {
  const client = clients.get(socket) ?? new Client(`unix:${socket}`, credentials.createInsecure());
  clients.set(socket, client);
  return client;
}

const same = (bytes: Buffer): Buffer => bytes;

function call(client: Client, method: string, request: Buffer): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  client.makeUnaryRequest(
    `/imprest.v1.QuotaService/${method}`,
    same,
    same,
    request,
    (error, answer) => (error ? reject(error) : resolve(answer ?? Buffer.alloc(0))),
  );
  return promise;
}

/** One turn of a caller; returns how many calls it was. */
async function turn(client: Client, kind: Kind): Promise<number> {
  if (kind === "check") await call(client, "Check", REQUESTS.check);
  if (kind === "consume") await call(client, "Consume", REQUESTS.consume);
  if (kind !== "reserve + commit") return 1;
  const answer = await call(client, "Reserve", REQUESTS.reserve);
  await call(client, "Commit", REQUESTS.commit(reservationIdOf(answer)));
  return 2;
}

async function run({ socket, kind, calls, inFlight }: Job): Promise<void> {
  const client = clientOf(socket);
  let left = calls;
  const caller = async (): Promise<void> => {
    while (left > 0) {
      const made = await turn(client, kind);
      left -= made;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
}

process.on("message", (job: Job) => {
  void run(job).then(() => process.send?.("done"));
});
