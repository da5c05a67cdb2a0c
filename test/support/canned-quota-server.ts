/** A QuotaService on a unix socket that answers what a test tells it to, and keeps what it was asked. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Metadata,
  Server,
  ServerCredentials,
  type handleUnaryCall,
  type status,
} from "@grpc/grpc-js";
import { QuotaServiceService as Service } from "../../src/gen/imprest/v1/quota.ts";
import { ErrorInfo, RetryInfo } from "../../src/gen/google/rpc/error_details.ts";
import { Status } from "../../src/gen/google/rpc/status.ts";

type MethodName = Exclude<keyof typeof Service, "stream">;

export interface CannedQuotaServer {
  /** "unix:PATH". */
  readonly address: string;
  readonly folder: string;
  /** Every request so far, with its metadata, oldest first. */
  readonly asked: {
    readonly method: MethodName;
    readonly request: unknown;
    readonly metadata: Metadata;
  }[];
  /** From now on `method` answers so; a function is asked for each answer. */
  answer(method: MethodName, response: object | ((request: unknown) => object)): void;
  /** From now on `method` ends with this status. */
  refuse(method: MethodName, error: CannedError): void;
  /** From now on `method` never answers. */
  hang(method: MethodName): void;
  stop(): Promise<void>;
}

export interface CannedError {
  readonly code: status;
  readonly message: string;
  readonly reason: string;
  readonly retryAfterMs?: number;
}

function detailsOf({ code, message, reason, retryAfterMs }: CannedError): Metadata {
  const info = { reason, domain: "imprest.dev", metadata: new Map() };
  const details = [
    {
      typeUrl: "type.googleapis.com/google.rpc.ErrorInfo",
      value: Buffer.from(ErrorInfo.encode(info).finish()),
    },
  ];
  if (retryAfterMs !== undefined) {
    const retryDelay = { seconds: 0n, nanos: retryAfterMs * 1_000_000 };
    const value = Buffer.from(RetryInfo.encode({ retryDelay }).finish());
    details.push({ typeUrl: "type.googleapis.com/google.rpc.RetryInfo", value });
  }
  const metadata = new Metadata();
  const bytes = Status.encode({ code, message, details }).finish();
  metadata.set("grpc-status-details-bin", Buffer.from(bytes));
  return metadata;
}

export async function startCannedQuotaServer(): Promise<CannedQuotaServer> {
  const folder = await mkdtemp(join(tmpdir(), "imprest-"));
  const address = `unix:${join(folder, "s")}`;
  const asked: CannedQuotaServer["asked"] = [];
  type Reply = Parameters<handleUnaryCall<unknown, object>>[1];
  const canned = new Map<MethodName, (request: unknown, reply: Reply) => void>();
  const server = new Server();
  const handlerOf =
    (method: MethodName): handleUnaryCall<unknown, object> =>
    (call, reply) => {
      asked.push({ method, request: call.request, metadata: call.metadata });
      canned.get(method)?.(call.request, reply);
    };
  const { stream: _, ...unary } = Service;
  const methods = Object.keys(unary) as MethodName[];
  server.addService(unary, Object.fromEntries(methods.map((name) => [name, handlerOf(name)])));
  await new Promise<void>((resolve, reject) => {
    const bound = (error: Error | null): void => (error === null ? resolve() : reject(error));
    server.bindAsync(address, ServerCredentials.createInsecure(), bound);
  });
  return {
    address,
    folder,
    asked,
    answer: (method, response) =>
      void canned.set(method, (request, reply) =>
        reply(null, typeof response === "function" ? response(request) : response),
      ),
    refuse: (method, error) =>
      void canned.set(method, (_request, reply) =>
        reply({ code: error.code, details: error.message, metadata: detailsOf(error) }),
      ),
    hang: (method) => void canned.set(method, () => undefined),
    stop: async () => {
      server.forceShutdown();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
