/** /livez, /readyz and /metrics for kubelet and Prometheus, on plain HTTP/1.1, with little to abuse. */
import type { IncomingMessage, ServerResponse } from "node:http";

/** Importing node:http reads all that it exports, its WebSocket included, and so loads Node's whole web client: 3 MB. */
const { createServer } = process.getBuiltinModule("node:http");

export interface HealthCheck {
  readonly name: string;
  readonly ok: boolean;
  /** One line for a person; "" where the name says it all. */
  readonly detail: string;
  /** False for what is worth knowing and does not make the sidecar unready. */
  readonly decides: boolean;
}

export interface HttpOptions {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly live: () => readonly HealthCheck[];
  readonly ready: () => readonly HealthCheck[];
  /** The text exposition, and its content type. */
  readonly metrics: () => Promise<string>;
  readonly metricsType: string;
}

export interface HttpServer {
  /** The port it listens on. Rejects where it cannot. */
  start(): Promise<number>;
  close(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly type?: string;
  readonly allow?: string;
}

/** Probes and one or two scrapers; whoever holds more connections open is none of them. */
const MOST_CONNECTIONS = 64;
const PATIENCE_MS = 5_000;

export function createHttpServer(options: HttpOptions): HttpServer {
  const server = createServer(
    {
      maxHeaderSize: 8 * 1024,
      headersTimeout: PATIENCE_MS,
      requestTimeout: PATIENCE_MS,
      keepAliveTimeout: PATIENCE_MS,
      connectionsCheckingInterval: PATIENCE_MS,
    },
    (request, response) => {
      route(options, request).then(
        (reply) => send(response, request, reply),
        () =>
          send(response, request, { status: 500, body: "the metrics could not be collected\n" }),
      );
    },
  );
  server.maxConnections = MOST_CONNECTIONS;
  server.maxRequestsPerSocket = 1000;

  return {
    start: () =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(options.port, options.host, () => {
          server.off("error", reject);
          const address = server.address();
          resolve(typeof address === "object" && address !== null ? address.port : options.port);
        });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function route(options: HttpOptions, request: IncomingMessage): Promise<Reply> {
  const [path, query] = (request.url ?? "").split("?", 2);
  const verbose = new URLSearchParams(query).has("verbose");
  const answer = find(options, path ?? "", verbose);
  if (answer === undefined) return { status: 404, body: "not found\n" };
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { status: 405, body: "GET or HEAD\n", allow: "GET, HEAD" };
  }
  return answer();
}

type Answer = () => Reply | Promise<Reply>;

function find(options: HttpOptions, path: string, verbose: boolean): Answer | undefined {
  switch (path) {
    case "/livez":
      return () => tell(options.live(), verbose);
    case "/readyz":
      return () => tell(options.ready(), verbose);
    case "/metrics":
      return async () => ({
        status: 200,
        body: await options.metrics(),
        type: options.metricsType,
      });
    default:
      return undefined;
  }
}

/** 200 `ok`, or 503 and a line for each reason; with every check where asked for. */
function tell(checks: readonly HealthCheck[], verbose: boolean): Reply {
  const reasons = checks.filter((check) => check.decides && !check.ok);
  const status = reasons.length === 0 ? 200 : 503;
  const listed = (verbose ? checks : reasons).map((check) => `${line(check)}\n`);
  if (status === 200) listed.push(verbose ? "ok\n" : "ok");
  return { status, body: listed.join("") };
}

function line({ name, ok, detail }: HealthCheck): string {
  const head = `${ok ? "[+]" : "[-]"}${name}`;
  return detail === "" ? head : `${head}: ${detail}`;
}

function send(response: ServerResponse, request: IncomingMessage, reply: Reply): void {
  response.writeHead(reply.status, {
    "content-type": reply.type ?? "text/plain; charset=utf-8",
    "content-length": Buffer.byteLength(reply.body),
    "cache-control": "no-store",
    // A body that nobody reads would be taken for the next request.
    ...(request.method === "GET" || request.method === "HEAD" ? {} : { connection: "close" }),
    ...(reply.allow === undefined ? {} : { allow: reply.allow }),
  });
  response.end(request.method === "HEAD" ? undefined : reply.body);
}
