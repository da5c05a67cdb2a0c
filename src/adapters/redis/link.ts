/**
 * One connection that is made again for as long as it is wanted. Commands are answered in the order in which they
 * were sent, or not at all: then the connection is gone, and what became of them is unknown.
 *
 *   LK1  Every command has one outcome, never in the turn in which it was sent.
 *   LK2  A link that is not closed goes on connecting, whatever the server, the resolver or a Sentinel answers.
 */
import type { Redis } from "ioredis";
import type { Dial } from "./dial.ts";
import type { StoreHost } from "./store-url.ts";

/** A command's words, the name first. */
export type Words = readonly (string | number)[];

export type Outcome =
  | { readonly kind: "reply"; readonly reply: unknown }
  /** The server refused: "NOSCRIPT No matching script." */
  | { readonly kind: "refused"; readonly error: string }
  /** No connection, or none any more: it may or may not have been received. */
  | { readonly kind: "lost"; readonly error: string };

export interface LinkOptions {
  readonly dial: Dial;
  /** A node of a Cluster; absent: the primary behind the address. */
  readonly node?: StoreHost;
  /** Connected, and let in. */
  readonly onReady?: () => void;
  /** No longer connected, or not let in. Told for each attempt that failed. */
  readonly onLost?: (cause: string) => void;
}

export interface Link {
  /** For subscriptions; commands go through {@link Link.run}. */
  readonly redis: Redis;
  isReady(): boolean;
  /** Why there is no connection, as far as is known. */
  cause(): string;
  /** Writes all of them at once; outcomes are in their order. */
  run(commands: readonly Words[]): Promise<readonly Outcome[]>;
  /** Leaves this server, and looks anew where to go. */
  reconnect(): void;
  close(): void;
}

export function createLink({ dial, node, onReady, onLost }: LinkOptions): Link {
  const redis = dial.create(node);
  let isClosed = false;
  let lastError = "";
  let attempts = 0;
  let again: NodeJS.Timeout | undefined;

  const connect = (): void => {
    // What fails is told by events; the promise says it a second time.
    if (!isClosed) redis.connect().catch(() => undefined);
  };
  redis.on("error", (error: Error) => {
    // When a Sentinel is asked again is no part of the cause.
    lastError = error.message.replace(/ Retrying from scratch after \d+ms\./, "");
    // While no Sentinel answers there is nothing that could be closed.
    if (redis.status !== "ready" && !isClosed) onLost?.(causeOf(lastError));
  });
  redis.on("ready", () => {
    attempts = 0;
    lastError = "";
    onReady?.();
  });
  redis.on("close", () => {
    if (!isClosed) onLost?.(causeOf(lastError));
  });
  redis.on("end", () => {
    // The library gives up where it was interrupted while it asked a Sentinel. (LK2)
    if (isClosed) return;
    attempts += 1;
    again = setTimeout(connect, dial.backoff(attempts));
  });
  connect();

  return {
    redis,
    isReady: () => redis.status === "ready",
    cause: () => causeOf(lastError),
    async run(commands) {
      if (redis.status !== "ready") {
        const error = causeOf(lastError);
        return commands.map(() => ({ kind: "lost", error }));
      }
      const pipeline = redis.pipeline();
      for (const [name = "", ...words] of commands) pipeline.call(String(name), ...words);
      const results = await pipeline.exec().catch((error: unknown) => asError(error));
      return commands.map((_, i) => {
        if (results instanceof Error || results === null) {
          return { kind: "lost", error: results?.message ?? "no connection" };
        }
        const [error, reply] = results[i] ?? [new Error("no answer"), undefined];
        return error === null ? { kind: "reply", reply } : outcomeOf(error);
      });
    },
    reconnect: () => redis.disconnect(true),
    close() {
      isClosed = true;
      clearTimeout(again);
      redis.disconnect();
    },
  };
}

const asError = (error: unknown): Error =>
  error instanceof Error ? error : new Error(String(error));

const outcomeOf = (error: Error): Outcome =>
  error.name === "ReplyError"
    ? { kind: "refused", error: error.message }
    : { kind: "lost", error: error.message };

const causeOf = (error: string): string => (error === "" ? "the connection closed" : error);
