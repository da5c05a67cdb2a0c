import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import {
  connect,
  createServer,
  type ClientHttp2Session,
  type Http2Server,
  type ServerHttp2Session,
} from "node:http2";
import { connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  forgetEndedStreams,
  replaceTable,
  StreamTable,
} from "../../../../src/adapters/grpc/stream-table.ts";

const id = fc.nat(9);
const step = fc.oneof(
  fc.record({ does: fc.constant("set" as const), id, value: fc.nat() }),
  fc.record({ does: fc.constant("delete" as const), id }),
  fc.record({ does: fc.constant("clear" as const) }),
);
const byId = ([a]: [number, number], [b]: [number, number]): number => a - b;

describe("a table of streams", () => {
  it("answers as a Map does, but for the order", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const table = new StreamTable<number>();
        const map = new Map<number, number>();
        for (const it of steps) {
          if (it.does === "set") expect(table.set(it.id, it.value)).toBe(table);
          if (it.does === "set") map.set(it.id, it.value);
          if (it.does === "delete") expect(table.delete(it.id)).toBe(map.delete(it.id));
          if (it.does === "clear") table.clear();
          if (it.does === "clear") map.clear();
          expect(table.size).toBe(map.size);
        }
        for (let key = 0; key < 10; key += 1) {
          expect(table.has(key)).toBe(map.has(key));
          expect(table.get(key)).toBe(map.get(key));
        }
        expect([...table].toSorted(byId)).toEqual([...map].toSorted(byId));
        expect(new Set(table.keys())).toEqual(new Set(map.keys()));
        expect(new Set(table.values())).toEqual(new Set(map.values()));
      }),
    );
  });

  it("shows each stream that was there, though whoever looks ends them", () => {
    const table = new StreamTable<string>().set(1, "a").set(3, "b").set(5, "c");
    const seen: string[] = [];
    table.forEach((stream, key) => {
      seen.push(stream);
      table.delete(key);
    });
    expect(seen).toEqual(["a", "b", "c"]);
    expect(table.size).toBe(0);
  });
});

describe("of a connection", () => {
  let folder: string;
  let server: Http2Server;
  let client: ClientHttp2Session;
  let session: ServerHttp2Session;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "imprest-"));
    const path = join(folder, "s.sock");
    server = createServer();
    server.listen(path);
    await once(server, "listening");
    const accepted = once(server, "session");
    client = connect("http://localhost", { createConnection: () => connectSocket(path) });
    [session] = (await accepted) as [ServerHttp2Session];
  });

  afterEach(() => {
    client.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  });

  const ask = async (): Promise<void> => {
    const stream = client.request({ ":path": "/" });
    stream.resume().end();
    await once(stream, "close");
  };

  it("Node's own is found in this version of Node, and replaced", async () => {
    server.on("stream", (stream) => {
      stream.respond();
      stream.end("answer");
    });
    expect(replaceTable(session)).toBe(true);
    await Promise.all([ask(), ask(), ask()]);
    await ask();
  });

  it("is left alone while streams are open", async () => {
    const opened = once(server, "stream");
    client.request({ ":path": "/" }).on("error", () => {});
    await opened;
    expect(replaceTable(session)).toBe(false);
  });

  it("closes with streams open", async () => {
    replaceTable(session);
    const opened = once(server, "stream");
    const stream = client.request({ ":path": "/" });
    stream.on("error", () => {});
    const [served] = (await opened) as [{ on(event: string, listener: () => void): void }];
    const ended = new Promise<void>((resolve) => served.on("close", resolve));
    session.destroy();
    await expect(ended).resolves.toBeUndefined();
  });

  it("is not looked for where it is not", () => {
    expect(replaceTable({})).toBe(false);
    expect(replaceTable({ [Symbol("state")]: { streams: [] } })).toBe(false);
    expect(replaceTable({ [Symbol("state")]: 1 })).toBe(false);
  });

  it("is replaced on the connections of a gRPC server", async () => {
    const path = join(folder, "grpc.sock");
    const grpc = new Server();
    await new Promise((resolve) => {
      grpc.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), resolve);
    });
    forgetEndedStreams(grpc);
    const [listener] = (Reflect.get(grpc, "http2Servers") as Map<Http2Server, unknown>).keys();
    const accepted = once(listener as Http2Server, "session");
    const caller = connect("http://localhost", { createConnection: () => connectSocket(path) });
    const [taken] = (await accepted) as [ServerHttp2Session];
    const state = Object.getOwnPropertySymbols(taken).find((key) => key.description === "state");
    expect(Reflect.get(taken, state as symbol)).toMatchObject({ streams: new StreamTable() });
    caller.destroy();
    grpc.forceShutdown();
  });
});
