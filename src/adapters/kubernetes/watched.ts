/**
 * A copy of a collection that the API server keeps, followed as it changes.
 *
 *   WC1  The copy is whole before anything is told of it; from then on it is the collection as it was a moment ago.
 *   WC2  Whatever ends a watch (time, a restart, "too old"), it is begun anew with a list, in which what is gone is
 *        gone, and the copy stays readable meanwhile.
 */
import { z } from "zod";
import type { Log } from "../../ports/log.ts";
import { ApiError, type ApiClient } from "./api-client.ts";

export interface Watched<T> {
  /** By the object's name; `undefined` until the first list came. */
  readonly copy: () => ReadonlyMap<string, T> | undefined;
  /** Resolves at the next change, or when the first list came. */
  next(): Promise<void>;
  stop(): void;
}

export interface WatchOptions<T> {
  readonly api: ApiClient;
  readonly log: Log;
  /** "/api/v1/namespaces", and for one object alone the field selector metadata.name=…. */
  readonly path: string;
  readonly fieldSelector?: string;
  /** `undefined`: an object that cannot be read, left out. */
  readonly read: (object: unknown) => T | undefined;
}

const List = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  items: z.array(z.unknown()),
});
const Named = z.object({
  metadata: z.object({ name: z.string(), resourceVersion: z.string() }),
});
const Line = z.object({
  type: z.enum(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]),
  object: z.unknown(),
});
const Bookmark = z.object({ metadata: z.object({ resourceVersion: z.string() }) });
const Failure = z.object({ code: z.number(), message: z.string() });

/** Between two tries, ms; doubled up to the second while they fail. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** The server ends a watch after this long, s, so that a connection that died silently is noticed. */
const WATCH_SECONDS = 290;

export function watchCollection<T>(options: WatchOptions<T>): Watched<T> {
  const { api, log, path, read } = options;
  const stopping = new AbortController();
  let copy: Map<string, T> | undefined;
  let news = Promise.withResolvers<void>();

  const query = (more: Readonly<Record<string, string>>): string => {
    const selector =
      options.fieldSelector === undefined ? {} : { fieldSelector: options.fieldSelector };
    return `${path}?${new URLSearchParams({ ...selector, ...more }).toString()}`;
  };
  const tell = (): void => {
    const told = news;
    news = Promise.withResolvers<void>();
    told.resolve();
  };
  const put = (into: Map<string, T>, object: unknown): void => {
    const { name } = Named.parse(object).metadata;
    const value = read(object);
    if (value === undefined) into.delete(name);
    else into.set(name, value);
  };

  async function list(): Promise<string> {
    const { items, metadata } = List.parse(await api.get(query({})));
    const fresh = new Map<string, T>();
    for (const item of items) put(fresh, item);
    copy = fresh;
    tell();
    return metadata.resourceVersion;
  }
  async function follow(from: string): Promise<void> {
    let resourceVersion = from;
    while (!stopping.signal.aborted) {
      const lines = api.watch(
        query({
          watch: "1",
          allowWatchBookmarks: "true",
          timeoutSeconds: String(WATCH_SECONDS),
          resourceVersion,
        }),
        stopping.signal,
      );
      for await (const line of lines) resourceVersion = take(line);
      // A server, or something before it, that ends each watch at once is not to be asked without a breath.
      await pause(FIRST_PAUSE_MS, stopping.signal);
    }
  }
  function take(line: unknown): string {
    const { type, object } = Line.parse(line);
    if (type === "ERROR") {
      const { code, message } = Failure.parse(object);
      throw new ApiError(code, message);
    }
    const { resourceVersion } = Bookmark.parse(object).metadata;
    if (type === "BOOKMARK" || copy === undefined) return resourceVersion;
    if (type === "DELETED") copy.delete(Named.parse(object).metadata.name);
    else put(copy, object);
    tell();
    return resourceVersion;
  }
  async function run(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!stopping.signal.aborted) {
      try {
        const version = await list();
        pauseMs = FIRST_PAUSE_MS;
        await follow(version);
      } catch (error) {
        if (stopping.signal.aborted) return;
        // "Too old" is how a watch that was away for long goes on; nothing is wrong.
        const isExpired = error instanceof ApiError && error.status === 410;
        if (!isExpired) log.warn({ err: error, path }, "a watch failed, it is begun anew");
        await pause(pauseMs, stopping.signal);
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      }
    }
  }
  void run();
  return { copy: () => copy, next: () => news.promise, stop: () => stopping.abort() };
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
