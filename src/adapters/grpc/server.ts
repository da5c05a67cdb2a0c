/**
 * The gRPC side of a sidecar: QuotaService, health and reflection on any number of addresses, health alone on
 * one more.
 *
 * The order of a drain, each step for a reason (S36):
 *   refuse new calls, NOT_SERVING    callers go elsewhere, and hear why
 *   wait for the open calls          by our own count: the library's includes connections that only idle
 *   close the listeners              the library removes the socket file at once, so this comes last
 */
import {
  logVerbosity,
  Server,
  type ServerInterceptor,
  type ServerOptions,
  setLogVerbosity,
} from "@grpc/grpc-js";
import type { Log } from "../../ports/log.ts";
import type { Quota } from "../../ports/quota.ts";
import type { Timings } from "../../ports/telemetry.ts";
import { formatAddress, type ListenAddress, type TcpAddress } from "./address.ts";
import { bind, bindAll, type SocketRights } from "./bind.ts";
import { createGate } from "./gate.ts";
import { createHealth } from "./health.ts";
import { addReflection } from "./reflection.ts";
import { createService } from "./service.ts";
import { forgetEndedStreams } from "./stream-table.ts";

/** S33. */
const MOST_MESSAGE_BYTES = 4 * 1024 * 1024;
/** On one connection: above what a stream or a pool of threads needs, below what would hurt. */
const MOST_CONCURRENT_CALLS = 2000;
/** After the last of our calls has ended nobody needs a connection for long. */
export const GOODBYE_MS = 100;

const OPTIONS: ServerOptions = {
  // Its bookkeeping costs 2 % of a call, and nobody looks.
  "grpc.enable_channelz": 0,
  "grpc.max_receive_message_length": MOST_MESSAGE_BYTES,
  "grpc.max_concurrent_streams": MOST_CONCURRENT_CALLS,
};

export interface GrpcOptions {
  readonly quota: Quota;
  readonly listen: readonly ListenAddress[];
  readonly rights: SocketRights;
  readonly health: TcpAddress;
  /** See {@link createService}. */
  readonly tenant: string;
  /** The compiled contract, for reflection. */
  readonly descriptorSet: Uint8Array;
  readonly timings: Timings;
  readonly log: Log;
}

/** Where it listens, in the form of the flags, ports resolved. */
export interface GrpcAddresses {
  readonly listen: readonly string[];
  readonly health: string;
}

export interface GrpcServer {
  /** Listens, NOT_SERVING. Rejects with a BindError, and then listens nowhere. */
  start(): Promise<GrpcAddresses>;
  /** Health says SERVING from here. */
  serve(): void;
  /** Refuses new calls; resolves when no call is open. */
  drain(): Promise<void>;
  /** Closes the listeners, and after {@link GOODBYE_MS} whatever is still open. */
  close(): Promise<void>;
}

export function createGrpcServer(options: GrpcOptions): GrpcServer {
  // The library writes to standard error what it also throws.
  setLogVerbosity(logVerbosity.NONE);
  const gate = createGate();
  const health = createHealth();
  const service = createService({ ...options, gate });

  // One interceptor for all: each that a call passes through costs it a wrapper.
  const answer: ServerInterceptor = (method, call) =>
    service.intercept(method.path, call) ?? health.interceptor(method, call);
  const main = new Server({ ...OPTIONS, interceptors: [answer] });
  main.addService(service.definition, service.implementation);
  health.addTo(main);
  addReflection(main, options.descriptorSet);
  const probes = new Server({ ...OPTIONS, interceptors: [health.interceptor] });
  health.addTo(probes);
  const bound = new Map<Server, string[]>([
    [main, []],
    [probes, []],
  ]);
  const bindTo = async (server: Server, address: ListenAddress): Promise<string> => {
    const text = formatAddress(await bind(server, address, options.rights));
    bound.get(server)?.push(text);
    return text;
  };
  const close = async (): Promise<void> => {
    await Promise.all([...bound].map(([server, addresses]) => shutDown(server, addresses)));
  };

  return {
    async start() {
      try {
        const addresses = await bindAll([
          ...options.listen.map((address) => () => bindTo(main, address)),
          () => bindTo(probes, options.health),
        ]);
        forgetEndedStreams(main);
        return { listen: addresses.slice(0, -1), health: addresses.at(-1) ?? "" };
      } catch (error) {
        await close();
        throw error;
      }
    },
    serve: () => health.serving(),
    async drain() {
      const idle = gate.drain();
      health.notServing();
      await idle;
    },
    close,
  };
}

/**
 * Every connection is told to go, and cut after {@link GOODBYE_MS}. The library's own forceShutdown finds no
 * connections where channelz is off.
 */
function shutDown(server: Server, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) server.drain(address, GOODBYE_MS);
  return new Promise((resolve) => server.tryShutdown(() => resolve()));
}
