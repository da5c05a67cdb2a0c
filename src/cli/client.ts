/**
 * A client of QuotaService for the subcommands: one call after the other, each with a deadline. Answers are
 * kept as they came, because `--json` prints the message itself: what a newer sidecar adds is shown too, as
 * far as the descriptors know it.
 */
import { readFile } from "node:fs/promises";
import { Client, Metadata, credentials, status, type ServiceError } from "@grpc/grpc-js";
import { formatAddress, type ListenAddress } from "../adapters/grpc/address.ts";
import { ErrorInfo, RetryInfo } from "../gen/google/rpc/error_details.ts";
import { Status } from "../gen/google/rpc/status.ts";
import { CallError } from "./call-error.ts";
import { onOneLine } from "./ink.ts";
import { durationMs } from "./wire-time.ts";

/** What a method of the generated service has, as far as a call needs it. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

export interface Reply<Response> {
  readonly message: Response;
  /** The message as proto3 JSON, on one line. */
  json(): Promise<string>;
}

export interface QuotaConnection {
  /** @throws {CallError} for every status but OK. */
  call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
  ): Promise<Reply<Response>>;
  close(): void;
}

export interface ConnectionOptions {
  readonly address: ListenAddress;
  readonly timeoutMs: number;
  /** Sent as `x-api-key`. */
  readonly apiKey: string | undefined;
  /** The package's folder: the descriptors of `--json` lie there. */
  readonly root: URL;
}

function toCallError(error: ServiceError, address: ListenAddress): CallError {
  const code = status[error.code];
  const { reason, retryAfterMs } = readDetails(error.metadata);
  const isLost = error.code === status.UNAVAILABLE && reason === "";
  // The library tells this in three sentences, of which one says something.
  const cause = /Last error: (?:Error: )?(.*?)\. /.exec(error.details)?.[1] ?? error.details;
  const said = isLost
    ? `no sidecar answers at ${formatAddress(address)}; --address says where it listens (${cause})`
    : error.details;
  const retry = retryAfterMs === undefined ? "" : ` (retry after ${retryAfterMs} ms)`;
  const head = reason === "" ? code : `${code} ${reason}`;
  return new CallError(code, onOneLine(`${head}: ${said}${retry}`));
}

/** The details are another program's bytes: where they cannot be read, the status alone is told. */
function readDetails(metadata: Metadata): { reason: string; retryAfterMs?: number } {
  let reason = "";
  let retryAfterMs: number | undefined;
  try {
    for (const bytes of metadata.get("grpc-status-details-bin")) {
      for (const { typeUrl, value } of Status.decode(Buffer.from(bytes)).details) {
        if (typeUrl.endsWith("/google.rpc.ErrorInfo")) reason = ErrorInfo.decode(value).reason;
        if (typeUrl.endsWith("/google.rpc.RetryInfo")) {
          retryAfterMs = durationMs(RetryInfo.decode(value).retryDelay);
        }
      }
    }
  } catch {
    return { reason };
  }
  return retryAfterMs === undefined ? { reason } : { reason, retryAfterMs };
}

export function connect(options: ConnectionOptions): QuotaConnection {
  const { address, timeoutMs, apiKey, root } = options;
  // A proxy of the environment is for the internet, not for the process next door.
  const client = new Client(formatAddress(address), credentials.createInsecure(), {
    "grpc.enable_http_proxy": 0,
  });
  const call = <Request, Response>(method: Method<Request, Response>, request: Request) =>
    new Promise<Reply<Response>>((resolve, reject) => {
      const metadata = new Metadata();
      if (apiKey !== undefined) metadata.set("x-api-key", apiKey);
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        (bytes: Buffer) => bytes,
        request,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error, bytes) => {
          if (error !== null) reject(toCallError(error, address));
          else if (bytes !== undefined) {
            const message = method.responseDeserialize(bytes);
            resolve({ message, json: () => toProtoJson(root, method.path, bytes) });
          }
        },
      );
    });
  return { call, close: () => client.close() };
}

/** `path` as in HTTP/2: "/imprest.v1.QuotaService/Check". */
async function toProtoJson(root: URL, path: string, bytes: Buffer): Promise<string> {
  const { createFileRegistry, fromBinary, toJson } = await import("@bufbuild/protobuf");
  const { FileDescriptorSetSchema } = await import("@bufbuild/protobuf/wkt");
  const descriptors = await readFile(new URL("dist/imprest.binpb", root));
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptors));
  const [, service = "", name] = path.split("/");
  const method = registry.getService(service)?.methods.find((each) => each.name === name);
  if (method === undefined) throw new Error(`dist/imprest.binpb does not describe ${path}`);
  return JSON.stringify(toJson(method.output, fromBinary(method.output, bytes), { registry }));
}
