/** A client of QuotaService, made from the generated definition: requests may leave out what they do not say. */
import {
  type ChannelOptions,
  type ClientDuplexStream,
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  type CallOptions,
  type ServiceError,
  type ClientUnaryCall,
} from "@grpc/grpc-js";
import { ErrorInfo, RetryInfo } from "../../src/gen/google/rpc/error_details.ts";
import { Status } from "../../src/gen/google/rpc/status.ts";
import * as wire from "../../src/gen/imprest/v1/quota.ts";

const { QuotaServiceService: service } = wire;
type Service = typeof service;
export type UnaryName = Exclude<keyof Service, "stream">;
type RequestOf<Name extends keyof Service> = Parameters<Service[Name]["requestSerialize"]>[0];
type ResponseOf<Name extends keyof Service> = ReturnType<Service[Name]["responseDeserialize"]>;
/** A message of which every part may be left out. */
export type Some<T> = T extends bigint | string | number | boolean | Map<string, string>
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Some<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]?: Some<T[Key]> }
      : T;

const MESSAGES = {
  check: wire.CheckRequest,
  reserve: wire.ReserveRequest,
  commit: wire.CommitRequest,
  release: wire.ReleaseRequest,
  extend: wire.ExtendRequest,
  consume: wire.ConsumeRequest,
  batch: wire.BatchRequest,
  getBalance: wire.GetBalanceRequest,
  explain: wire.ExplainRequest,
  listReservations: wire.ListReservationsRequest,
} as const;

export interface CallSettings extends CallOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  /** Hears of the call before its answer, to cancel it. */
  readonly started?: (call: ClientUnaryCall) => void;
}

export interface QuotaStream {
  send(sequence: bigint, operations: readonly Some<wire.Operation>[]): void;
  /** The next response. Rejects with the status where the stream ends. */
  next(): Promise<wire.StreamResponse>;
  halfClose(): void;
  cancel(): void;
  /** The final status, OK included. */
  readonly ended: Promise<{ readonly code: number; readonly details: string }>;
  readonly raw: ClientDuplexStream<wire.StreamRequest, wire.StreamResponse>;
}

export interface QuotaClient {
  /** Rejects with a {@link ServiceError}. */
  call<Name extends UnaryName>(
    name: Name,
    request: Some<RequestOf<Name>>,
    settings?: CallSettings,
  ): Promise<ResponseOf<Name>>;
  /** The same with bytes for a request. */
  callBytes(name: UnaryName, bytes: Buffer, settings?: CallSettings): Promise<unknown>;
  stream(settings?: CallOptions): QuotaStream;
  close(): void;
}

const toMetadata = (entries: Readonly<Record<string, string>> = {}): Metadata => {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(entries)) metadata.set(key, value);
  return metadata;
};

export function createQuotaClient(address: string, options: ChannelOptions = {}): QuotaClient {
  const client = new Client(address, credentials.createInsecure(), {
    // Each test has a connection of its own.
    "grpc.use_local_subchannel_pool": 1,
    ...options,
  });
  const unary = <Request, Response>(
    { path, responseDeserialize }: MethodDefinition<never, Response>,
    serialize: (request: Request) => Buffer,
    request: Request,
    { metadata, started, ...settings }: CallSettings,
  ): Promise<Response> =>
    new Promise((resolve, reject) => {
      const call = client.makeUnaryRequest(
        path,
        serialize,
        responseDeserialize,
        request,
        toMetadata(metadata),
        settings,
        (error, response) => (error === null ? resolve(response as Response) : reject(error)),
      );
      started?.(call);
    });

  return {
    call(name, request, settings = {}) {
      const bytes = MESSAGES[name].encode(MESSAGES[name].fromPartial(request as never) as never);
      const encoded = Buffer.from(bytes.finish());
      return unary(service[name] as never, (whole: Buffer) => whole, encoded, settings);
    },
    callBytes: (name, bytes, settings = {}) =>
      unary(service[name] as never, (whole: Buffer) => whole, bytes, settings),
    stream: (settings = {}) => openStream(client, settings),
    close: () => client.close(),
  };
}

function openStream(client: Client, settings: CallOptions): QuotaStream {
  const { path, requestSerialize, responseDeserialize } = service.stream;
  const raw = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    new Metadata(),
    settings,
  );
  const ended = Promise.withResolvers<{ code: number; details: string }>();
  const responses: wire.StreamResponse[] = [];
  const waiting: PromiseWithResolvers<wire.StreamResponse>[] = [];
  raw.on("data", (response: wire.StreamResponse) => {
    const waiter = waiting.shift();
    if (waiter === undefined) responses.push(response);
    else waiter.resolve(response);
  });
  raw.on("error", () => {});
  raw.on("status", ({ code, details }) => {
    ended.resolve({ code, details });
    for (const waiter of waiting) waiter.reject(new Error(`the stream has ended: ${details}`));
  });
  return {
    raw,
    ended: ended.promise,
    send: (sequence, operations) =>
      void raw.write(wire.StreamRequest.fromPartial({ sequence, operations } as never)),
    next: () => {
      const response = responses.shift();
      if (response !== undefined) return Promise.resolve(response);
      const waiter = Promise.withResolvers<wire.StreamResponse>();
      waiting.push(waiter);
      return waiter.promise;
    },
    halfClose: () => void raw.end(),
    cancel: () => raw.cancel(),
  };
}

export interface Failure {
  readonly code: number;
  readonly message: string;
  /** "" where there is no ErrorInfo. */
  readonly reason: string;
  readonly domain: string;
  readonly field: string | undefined;
  readonly retryMs: number | undefined;
  readonly denial: wire.Denial | undefined;
  /** Of the serialized google.rpc.Status. */
  readonly bytes: number;
}

/** What a failed call says, read as a stock client would. Throws where the call succeeds. */
export async function failureOf(call: Promise<unknown>): Promise<Failure> {
  const error = await call.then(
    () => undefined,
    (failure: ServiceError) => failure,
  );
  if (error === undefined) throw new Error("the call has succeeded");
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  const status = Status.decode(Buffer.isBuffer(bytes) ? bytes : Buffer.alloc(0));
  const find = (type: string): Buffer | undefined =>
    status.details.find(({ typeUrl }) => typeUrl === `type.googleapis.com/${type}`)?.value;
  const info = find("google.rpc.ErrorInfo");
  const retry = find("google.rpc.RetryInfo");
  const denial = find("imprest.v1.Denial");
  const { reason, domain, metadata } = ErrorInfo.decode(info ?? Buffer.alloc(0));
  const delay = retry && RetryInfo.decode(retry).retryDelay;
  return {
    code: error.code,
    message: error.details,
    reason,
    domain,
    field: metadata.get("field"),
    retryMs: delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6,
    denial: denial && wire.Denial.decode(denial),
    bytes: Buffer.isBuffer(bytes) ? bytes.length : 0,
  };
}
