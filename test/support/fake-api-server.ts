/**
 * An API server as far as the injector uses one: objects with versions, lists, watches, and patches of JSON. What it
 * is asked it remembers. Everything in the real one's words, but none of its admission.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text as readAll } from "node:stream/consumers";
import type { ApiAccess } from "../../src/adapters/kubernetes/kube-config.ts";

export interface ApiObject {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion?: string;
    readonly [member: string]: unknown;
  };
  readonly [member: string]: unknown;
}

export interface FakeApiServer {
  readonly access: ApiAccess;
  /** "PUT /api/v1/namespaces/x/secrets/y", oldest first. */
  readonly asked: string[];
  /** By its whole path. Putting tells the watches. */
  put(path: string, object: ApiObject): void;
  remove(path: string): void;
  get(path: string): ApiObject | undefined;
  under(path: string): readonly ApiObject[];
  /** Ends every watch, as a restart would; `expired`: with the error that says the version is too old. */
  endWatches(expired?: "expired"): void;
  watches(): number;
  /** Answers every request with this status; 0: as usual. */
  fail(status: number): void;
  close(): Promise<void>;
}

interface Watch {
  readonly response: ServerResponse;
  readonly collection: string;
  readonly name: string;
}

export async function startFakeApiServer(): Promise<FakeApiServer> {
  const objects = new Map<string, ApiObject>();
  const watches = new Set<Watch>();
  const asked: string[] = [];
  let version = 100;
  let failing = 0;

  const collectionOf = (path: string): string => path.slice(0, path.lastIndexOf("/"));
  const tell = (type: string, path: string, object: ApiObject): void => {
    for (const { response, collection, name } of watches) {
      const isMeant = name === "" || name === object.metadata.name;
      if (collection === collectionOf(path) && isMeant) {
        response.write(`${JSON.stringify({ type, object })}\n`);
      }
    }
  };
  const put = (path: string, object: ApiObject): ApiObject => {
    version += 1;
    const type = objects.has(path) ? "MODIFIED" : "ADDED";
    const metadata = { ...object.metadata, resourceVersion: String(version) };
    const stored = { ...object, metadata };
    objects.set(path, stored);
    tell(type, path, stored);
    return stored;
  };
  const remove = (path: string): void => {
    const object = objects.get(path);
    if (object === undefined) return;
    objects.delete(path);
    version += 1;
    tell("DELETED", path, {
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(version) },
    });
  };
  const under = (collection: string, name = ""): readonly ApiObject[] =>
    [...objects]
      .filter(([path]) => collectionOf(path) === collection)
      .map(([, object]) => object)
      .filter(({ metadata }) => name === "" || metadata.name === name);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "", "http://localhost");
    const { pathname: path, searchParams: query } = url;
    const { method = "" } = request;
    asked.push(`${method} ${path}${query.has("watch") ? " watch" : ""}`);
    const send = (status: number, body: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    const refuse = (code: number): void =>
      send(code, { kind: "Status", code, message: `status ${code}` });
    const body = (await readAll(request)) || "null";
    if (failing !== 0) return refuse(failing);
    const name = /^metadata\.name=(.*)$/.exec(query.get("fieldSelector") ?? "")?.[1] ?? "";
    const there = objects.get(path);
    if (method === "GET" && query.has("watch")) {
      response.writeHead(200, { "content-type": "application/json" });
      response.flushHeaders();
      const watch = { response, collection: path, name };
      watches.add(watch);
      response.on("close", () => watches.delete(watch));
      return;
    }
    if (method === "GET" && there !== undefined) return send(200, there);
    if (method === "GET" && path.endsWith("s")) {
      return send(200, {
        metadata: { resourceVersion: String(version) },
        items: under(path, name),
      });
    }
    if (method === "POST") {
      const object = JSON.parse(body) as ApiObject;
      const made = object.metadata.name ?? `made-${(version += 1)}`;
      if (objects.has(`${path}/${made}`)) return refuse(409);
      const metadata = { ...object.metadata, name: made };
      return send(201, put(`${path}/${made}`, { ...object, metadata }));
    }
    if (there === undefined) return refuse(404);
    if (method === "PUT") {
      const object = JSON.parse(body) as ApiObject;
      const isNewest = object.metadata.resourceVersion === there.metadata.resourceVersion;
      return isNewest ? send(200, put(path, object)) : refuse(409);
    }
    return send(200, put(path, patched(there, JSON.parse(body) as readonly Operation[])));
  }

  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    access: {
      server: new URL(`http://127.0.0.1:${port}`),
      ca: undefined,
      cert: undefined,
      key: undefined,
      token: async () => "",
    },
    asked,
    put,
    remove,
    get: (path) => objects.get(path),
    under,
    endWatches(expired) {
      const error = { kind: "Status", code: 410, message: "too old resource version" };
      for (const { response } of watches) {
        response.end(
          expired === undefined ? "" : `${JSON.stringify({ type: "ERROR", object: error })}\n`,
        );
      }
    },
    watches: () => watches.size,
    fail: (status) => {
      failing = status;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly value: unknown;
}

/** test and add alone. */
function patched(object: ApiObject, operations: readonly Operation[]): ApiObject {
  const copy = structuredClone(object);
  for (const { op, path, value } of operations) {
    const keys = path.split("/").slice(1);
    const last = keys.pop() ?? "";
    let place = copy as Record<string, unknown>;
    for (const key of keys) place = place[key] as Record<string, unknown>;
    if (op === "test" && place[last] !== value) throw new Error(`test failed: ${path}`);
    if (op === "add") place[last] = value;
  }
  return copy;
}
