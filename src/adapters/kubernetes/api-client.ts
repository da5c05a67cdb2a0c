/**
 * The API server over HTTPS, as little of it as is needed: read, write, and watch objects by their paths. Objects
 * are plain JSON; who reads them checks their shape. The usual client library is 54 MB and takes a second to load.
 */
import { request as httpsRequest, Agent } from "node:https";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { text as readAll } from "node:stream/consumers";
import type { Json } from "../../core/inject/pod.ts";
import type { ApiAccess } from "./kube-config.ts";

/** The API server said no, or could not be reached (`status` 0). */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

export type PatchKind = "json" | "merge" | "apply";

/** Who writes, as managedFields tell. */
export const FIELD_MANAGER = "imprest-injector";

export interface ApiClient {
  get(path: string): Promise<unknown>;
  /** What a pod answers through the API server's proxy, as it is. */
  text(path: string): Promise<string>;
  create(path: string, body: Json): Promise<unknown>;
  /** Refused (409) where the body's resourceVersion is not the newest. */
  replace(path: string, body: Json): Promise<unknown>;
  patch(path: string, kind: PatchKind, body: Json): Promise<unknown>;
  /**
   * Each line of a watch, in order, until the server or `signal` ends it.
   * @throws ApiError also for one that the server tells in the middle
   */
  watch(path: string, signal: AbortSignal): AsyncIterable<unknown>;
  close(): void;
}

const TYPES: Readonly<Record<PatchKind, string>> = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  apply: "application/apply-patch+yaml",
};

/** Longer than any answer that we ask for takes; a watch ends by itself. */
const PATIENCE_MS = 10_000;
/** A watch that hears nothing, not even a bookmark, this long is asked for anew. */
const SILENCE_MS = 330_000;

interface Ask {
  readonly method: string;
  readonly path: string;
  readonly body?: Json;
  readonly type?: string;
  readonly signal?: AbortSignal;
  readonly patienceMs?: number;
}

export function createApiClient(access: ApiAccess): ApiClient {
  const { server, ca, cert, key } = access;
  const agent = new Agent({ keepAlive: true, ca, cert, key });

  async function open(ask: Ask): Promise<IncomingMessage> {
    const token = await access.token();
    const body = ask.body === undefined ? undefined : JSON.stringify(ask.body);
    const headers = {
      accept: "application/json",
      "user-agent": FIELD_MANAGER,
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined
        ? {}
        : {
            "content-type": ask.type ?? "application/json",
            "content-length": Buffer.byteLength(body),
          }),
    };
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const isSecure = server.protocol === "https:";
    const options = { method: ask.method, headers, signal: ask.signal };
    const url = new URL(ask.path, server);
    const request = isSecure
      ? httpsRequest(url, { ...options, agent }, resolve)
      : httpRequest(url, options, resolve);
    request.setTimeout(ask.patienceMs ?? PATIENCE_MS, () =>
      request.destroy(new Error("the API server does not answer")),
    );
    request.on("error", reject);
    request.end(body);
    const response = await promise.catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new ApiError(0, `${ask.method} ${ask.path}: ${why}`, { cause: error });
    });
    const { statusCode = 0 } = response;
    if (statusCode >= 200 && statusCode < 300) return response;
    throw new ApiError(statusCode, `${ask.method} ${ask.path}: ${await reasonOf(response)}`);
  }

  const send = async (ask: Ask): Promise<unknown> => {
    const answer: unknown = JSON.parse(await readAll(await open(ask)));
    return answer;
  };
  const managed = (path: string): string =>
    `${path}${path.includes("?") ? "&" : "?"}fieldManager=${FIELD_MANAGER}`;

  return {
    get: (path) => send({ method: "GET", path }),
    // It may be anybody who answers there, and never come to an end.
    text: async (path) =>
      readAll(await open({ method: "GET", path, signal: AbortSignal.timeout(PATIENCE_MS) })),
    create: (path, body) => send({ method: "POST", path: managed(path), body }),
    replace: (path, body) => send({ method: "PUT", path: managed(path), body }),
    patch: (path, kind, body) =>
      send({ method: "PATCH", path: managed(path), body, type: TYPES[kind] }),
    async *watch(path, signal) {
      const response = await open({ method: "GET", path, signal, patienceMs: SILENCE_MS });
      yield* linesOf(response);
    },
    close: () => agent.destroy(),
  };
}

async function* linesOf(response: IncomingMessage): AsyncIterable<unknown> {
  let rest = "";
  response.setEncoding("utf8");
  for await (const part of response as AsyncIterable<string>) {
    const lines = (rest + part).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line !== "") yield JSON.parse(line) as unknown;
    }
  }
}

/** The message of the Status that the API server answers with, or what else there is. */
async function reasonOf(response: IncomingMessage): Promise<string> {
  const body = await readAll(response).catch(() => "");
  try {
    const status: unknown = JSON.parse(body);
    if (typeof status === "object" && status !== null && "message" in status) {
      return `${response.statusCode} ${String(status.message)}`;
    }
  } catch {}
  return `${response.statusCode} ${body.slice(0, 200)}`;
}
