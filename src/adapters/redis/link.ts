/**
 * One connection that is made again for as long as it is wanted. Commands are answered in the order in which they
 * were sent, or not at all: then the connection is gone, and what became of them is unknown.
 *
 *   LK1  Every command has one outcome, never in the turn in which it was sent.
 *   LK2  A link that is not closed goes on connecting, whatever the server, the resolver or a Sentinel answers.
 *   LK3  A connection that came without a password where one is asked for is made again: there may be one by now (DL2).
 */
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Dial } from "./dial.ts";
import type { StoreHost } from "./store-url.ts";

const ignore = (): void => undefined;

/** The server wants a password, and was given none. */
export const isStranger = (error: string): boolean => error.startsWith("NOAUTH");

/** How long what is sent waits for the first connection. */
const ARRIVAL_MS = 500;
const CLOSED = "the connection closed";

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
  /** Why there is no connection; "" where nothing has failed since the last one. */
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
  let hasTried = false;
  const first = Promise.withResolvers<void>();
  /** The first attempt has come to an end, one way or the other. */
  const tried = (): void => {
    hasTried = true;
    first.resolve();
  };

  const connect = (): void => {
    // What fails is told by events; the promise says it a second time.
    if (!isClosed) redis.connect().catch(() => undefined);
  };
  /** The library listens for one error of a stream; TLS has two, and the second would end the process. */
  const hush = (): void => {
    const { stream }: { readonly stream?: Duplex } = redis; // none before the first attempt
    if (stream?.listeners("error").includes(ignore) === false) stream.on("error", ignore);
  };
  redis.on("connect", hush);
  redis.on("error", (error: Error) => {
    hush();
    // When a Sentinel is asked again is no part of the cause.
    lastError = error.message.replace(/ Retrying from scratch after \d+ms\./, "");
    // While no Sentinel answers there is nothing that could be closed.
    if (redis.status !== "ready" && !isClosed) onLost?.(lastError);
    tried();
  });
  redis.on("ready", () => {
    attempts = 0;
    lastError = "";
    tried();
    onReady?.();
  });
  redis.on("close", () => {
    lastError ||= CLOSED;
    tried();
    if (!isClosed) onLost?.(lastError);
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
    cause: () => lastError,
    async run(commands) {
      // A server that has just been named, by another one that has handed its shards over, gets its moment.
      if (redis.status !== "ready" && !hasTried) {
        await Promise.race([first.promise, sleep(ARRIVAL_MS, undefined, { ref: false })]);
      }
      if (redis.status !== "ready") {
        const error = lastError || "not connected yet";
        return commands.map(() => ({ kind: "lost", error }));
      }
      const pipeline = redis.pipeline();
      for (const [name = "", ...words] of commands) pipeline.call(String(name), ...words);
      const results = await pipeline.exec().catch(() => null);
      const lost = { kind: "lost", error: lastError || CLOSED } as const;
      const outcomes = commands.map((_, i): Outcome => {
        const [error, reply] = results?.[i] ?? [new Error(CLOSED), undefined];
        if (error === null) return { kind: "reply", reply };
        return error.name === "ReplyError" ? { kind: "refused", error: error.message } : lost;
      });
      const stranger = outcomes.find((one) => one.kind === "refused" && isStranger(one.error));
      if (stranger?.kind === "refused") {
        lastError = stranger.error; // or the end that it is made to come to would be the cause
        redis.disconnect(true); // (LK3)
      }
      return outcomes;
    },
    reconnect: () => redis.disconnect(true),
    close() {
      isClosed = true;
      hush();
      tried();
      clearTimeout(again);
      redis.disconnect();
    },
  };
}
