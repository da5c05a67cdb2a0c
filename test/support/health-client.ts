/** A client of grpc.health.v1, from the official definition. */
import { type Client, type ClientReadableStream, Metadata } from "@grpc/grpc-js";
import { service } from "grpc-health-check";

const { Check, Watch } = service as never as Record<"Check" | "Watch", MethodLike>;
interface MethodLike {
  readonly path: string;
  readonly requestSerialize: (request: { readonly service: string }) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => { readonly status: string };
}

/** "SERVING", "NOT_SERVING"; rejects with the status. */
export function checkHealth(client: Client, name = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      Check.path,
      Check.requestSerialize,
      Check.responseDeserialize,
      { service: name },
      (error, response) => (error === null ? resolve(response?.status ?? "") : reject(error)),
    );
  });
}

export interface Watched {
  /** Every state so far. */
  readonly states: readonly string[];
  next(): Promise<string>;
  readonly ended: Promise<number>;
}

export function watchHealth(client: Client, name = ""): Watched {
  const call: ClientReadableStream<{ readonly status: string }> = client.makeServerStreamRequest(
    Watch.path,
    Watch.requestSerialize,
    Watch.responseDeserialize,
    { service: name },
    new Metadata(),
  );
  const states: string[] = [];
  let read = 0;
  let waiter: PromiseWithResolvers<string> | undefined;
  const ended = Promise.withResolvers<number>();
  const serve = (): void => {
    const state = states[read];
    if (waiter === undefined || state === undefined) return;
    read += 1;
    waiter.resolve(state);
    waiter = undefined;
  };
  call.on("data", ({ status }) => {
    states.push(status);
    serve();
  });
  call.on("error", () => {});
  call.on("status", ({ code }) => ended.resolve(code));
  return {
    states,
    next: () => {
      waiter = Promise.withResolvers();
      const { promise } = waiter;
      serve();
      return promise;
    },
    ended: ended.promise,
  };
}
