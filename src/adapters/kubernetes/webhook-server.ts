/**
 * HTTPS for the API server: one path, one content type, bodies of a bounded size. What breaks in here is an HTTP
 * error, never "denied": whether a pod may go on without an answer is what `failurePolicy` of the webhook says.
 */
import { createServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createSecureContext } from "node:tls";

export interface ServingCertificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface WebhookServer {
  /** The port it listens on. Until a certificate was given, every handshake fails. */
  start(host: string, port: number): Promise<number>;
  /** From the next connection on. */
  readonly use: (certificate: ServingCertificate) => void;
  /** Goes on answering, each connection once more: whoever kept it looks for another server. */
  drain(): void;
  /** Stops accepting, lets open requests finish. */
  close(): Promise<void>;
}

export interface WebhookOptions {
  /** Answers a review's body with a review's body; what it throws is a 500. */
  readonly review: (body: string) => Promise<string>;
  /** A review that is none, in the words of `review`'s rejection: a 400. */
  readonly isMalformed: (error: unknown) => boolean;
  readonly onFailure: (error: unknown) => void;
}

export const REVIEW_PATH = "/mutate";

/** Above what the API server itself takes for an object and its old state. */
const MOST_BYTES = 8 * 1024 * 1024;
const PATIENCE_MS = 10_000;

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly type?: string;
}

export function createWebhookServer(options: WebhookOptions): WebhookServer {
  let isDraining = false;
  const server = createServer(
    {
      minVersion: "TLSv1.2",
      headersTimeout: PATIENCE_MS,
      requestTimeout: PATIENCE_MS,
      // Longer than the API server keeps an idle connection; it would meet a closed one otherwise.
      keepAliveTimeout: 120_000,
    },
    (request, response) => {
      reply(options, request)
        .catch((error: unknown): Reply => {
          options.onFailure(error);
          return { status: 500, body: "the review failed; the injector's log says why\n" };
        })
        .then((answer) => send(response, answer, isDraining), options.onFailure);
    },
  );
  return {
    start: (host, port) =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => {
          server.off("error", reject);
          // A server that listens on TCP has such an address.
          resolve((server.address() as AddressInfo).port);
        });
      }),
    use: ({ cert, key }) => {
      createSecureContext({ cert, key });
      server.setSecureContext({ cert, key, minVersion: "TLSv1.2" });
    },
    drain() {
      isDraining = true;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}

async function reply(options: WebhookOptions, request: IncomingMessage): Promise<Reply> {
  const [path] = (request.url ?? "").split("?", 1);
  if (path !== REVIEW_PATH) return { status: 404, body: "not found\n" };
  if (request.method !== "POST") return { status: 405, body: "POST\n" };
  if (request.headers["content-type"]?.split(";", 1)[0]?.trim() !== "application/json") {
    return { status: 415, body: "application/json\n" };
  }
  const body = await bounded(request);
  if (body === undefined) return { status: 413, body: `at most ${MOST_BYTES} bytes\n` };
  try {
    return { status: 200, body: await options.review(body), type: "application/json" };
  } catch (error) {
    if (!options.isMalformed(error)) throw error;
    options.onFailure(error);
    return { status: 400, body: "not an AdmissionReview of a pod that is created\n" };
  }
}

async function bounded(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MOST_BYTES) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function send(response: ServerResponse, { status, body, type }: Reply, isLast: boolean): void {
  response.writeHead(status, {
    "content-type": type ?? "text/plain; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    // The rest of a body that was not read would be taken for the next request.
    ...(isLast || status !== 200 ? { connection: "close" } : {}),
  });
  response.end(body);
}
