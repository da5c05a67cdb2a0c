/**
 * The streams that are open on a connection, kept so that a call that has ended leaves nothing behind.
 *
 * Node keeps them in a Map. A Map whose entries come and go is copied every few dozen calls, and V8 links each
 * old copy to the next: as soon as one of them is old, all later ones, with the streams that were in them, stay
 * in memory until the next full collection. That is 10 KB for each call, and most of the collector's work.
 *
 * Where Node keeps them is no part of its interface. They are looked for where they were in the versions that
 * are known, and where they are not found everything stays as Node made it.
 */
import { EventEmitter } from "node:events";
import type { Server } from "@grpc/grpc-js";

/** Linear, and never copied: there are a few, and `indexOf` passes over a thousand in less than a microsecond. */
export class StreamTable<Stream> extends Map<number, Stream> {
  readonly #ids: number[] = [];
  readonly #streams: Stream[] = [];

  override get size(): number {
    return this.#ids.length;
  }

  override has(id: number): boolean {
    return this.#ids.includes(id);
  }

  override get(id: number): Stream | undefined {
    const at = this.#ids.indexOf(id);
    return at < 0 ? undefined : this.#streams[at];
  }

  override set(id: number, stream: Stream): this {
    const at = this.#ids.indexOf(id);
    if (at >= 0) this.#streams[at] = stream;
    else {
      this.#ids.push(id);
      this.#streams.push(stream);
    }
    return this;
  }

  /** The last one takes its place: nobody asks for an order. */
  override delete(id: number): boolean {
    const at = this.#ids.indexOf(id);
    if (at < 0) return false;
    const lastId = this.#ids.pop();
    const last = this.#streams.pop();
    if (at === this.#ids.length || lastId === undefined) return true;
    this.#ids[at] = lastId;
    this.#streams[at] = last as Stream;
    return true;
  }

  override clear(): void {
    this.#ids.length = 0;
    this.#streams.length = 0;
  }

  /** Over those that are there now: who is visited may end others. */
  override forEach(visit: (stream: Stream, id: number, table: Map<number, Stream>) => void): void {
    for (const [id, stream] of this.entries()) visit(stream, id, this);
  }

  override keys(): MapIterator<number> {
    return this.#ids.slice().values();
  }

  override values(): MapIterator<Stream> {
    return this.#streams.slice().values();
  }

  override entries(): MapIterator<[number, Stream]> {
    const streams = this.#streams.slice();
    return this.#ids.map((id, i): [number, Stream] => [id, streams[i] as Stream]).values();
  }

  override [Symbol.iterator](): MapIterator<[number, Stream]> {
    return this.entries();
  }
}

/** For the connections that a server, which has been bound, takes from now on. */
export function forgetEndedStreams(server: Server): void {
  const listeners: unknown = Reflect.get(server, "http2Servers");
  if (!(listeners instanceof Map)) return;
  for (const listener of listeners.keys()) {
    if (listener instanceof EventEmitter) listener.prependListener("session", replaceTable);
  }
}

/** Whether the table was found, and replaced. */
export function replaceTable(session: object): boolean {
  const key = Object.getOwnPropertySymbols(session).find(
    ({ description }) => description === "state",
  );
  const state: unknown = key && Reflect.get(session, key);
  if (typeof state !== "object" || state === null || !("streams" in state)) return false;
  const { streams } = state;
  if (!isTable(streams) || streams.size > 0) return false;
  state.streams = new StreamTable();
  return true;
}

/** Node's own kind of Map has no ancestors to be known by. */
const isTable = (found: unknown): found is { readonly size: number } =>
  typeof found === "object" &&
  found !== null &&
  "size" in found &&
  ["get", "set", "delete", "forEach"].every(
    (name) => typeof Reflect.get(found, name) === "function",
  );
