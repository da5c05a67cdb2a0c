/**
 * QuotaService as an interceptor. The library's handlers are registered and never reached: a call of ours is
 * answered before it gets there.
 */
import {
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Rejection } from "../../core/rejection.ts";
import { QuotaServiceService } from "../../gen/imprest/v1/quota.ts";
import type { Log } from "../../ports/log.ts";
import type { Caller, Quota } from "../../ports/quota.ts";
import type { Timings } from "../../ports/telemetry.ts";
import type { Abandon } from "./exchange.ts";
import type { Gate } from "./gate.ts";
import { createMethods, type Method } from "./methods.ts";
import { createRun, type Run } from "./run.ts";
import { StreamCall } from "./stream-call.ts";
import { UnaryCall } from "./unary-call.ts";
import { sequenceOf, tooHeavy } from "./weight.ts";

/** What every call works with. */
export interface Desk {
  readonly caller: Caller;
  readonly gate: Gate;
  readonly run: Run;
  readonly abandon: Abandon;
}

export interface ServiceOptions {
  readonly quota: Quota;
  /** The one tenant that is served; "": every tenant, and the figures of the platform. */
  readonly tenant: string;
  readonly gate: Gate;
  readonly timings: Timings;
  readonly log: Log;
}

export interface Service {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
  /** The call answered; `undefined` for a path that is not of QuotaService. */
  intercept(
    path: string,
    call: ServerInterceptingCallInterface,
  ): ServerInterceptingCall | undefined;
}

/** What arrives in place of a request that was not decoded: the reason, under the sequence of a Stream. */
export interface Undecoded extends Rejection {
  readonly sequence: bigint;
}

function decodeOrReject<T>(
  name: string,
  decode: (bytes: Buffer) => T,
  bytes: Buffer,
): T | Undecoded {
  const flaw = tooHeavy(name, bytes);
  if (flaw === undefined) return decode(bytes);
  return { ...flaw, sequence: name === "stream" ? sequenceOf(bytes) : 0n };
}

/** The methods encode their answers themselves, so that a stream knows how much waits to be sent. */
const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function ownCodec(): ServiceDefinition {
  const entries = Object.entries(QuotaServiceService).map(([name, method]) => {
    const requestDeserialize = (bytes: Buffer): object =>
      decodeOrReject<object>(name, method.requestDeserialize, bytes);
    return [name, { ...method, requestDeserialize, responseSerialize: asBuffer }] as const;
  });
  return Object.fromEntries(entries);
}

export function createService(options: ServiceOptions): Service {
  const { quota, tenant, gate, timings, log } = options;
  const run = createRun(quota, timings, log);
  const desk: Desk = {
    caller: { tenant, platform: tenant === "" },
    gate,
    run,
    // In a turn of its own: the engine may be in the middle of telling the answer.
    abandon: (id) => queueMicrotask(() => quota.abandon(id)),
  };
  const methods = new Map<string, Method<unknown>>();
  for (const [name, method] of Object.entries(createMethods(quota, run))) {
    const { path } = QuotaServiceService[name as keyof typeof QuotaServiceService];
    methods.set(path, method as Method<unknown>);
  }
  const stream = QuotaServiceService.stream.path;

  return {
    definition: ownCodec(),
    implementation: {},
    intercept: (path, call) => {
      const method = methods.get(path);
      if (method !== undefined) {
        const start = () => call.start(new UnaryCall(call, desk, method));
        return new ServerInterceptingCall(call, { start });
      }
      if (path !== stream) return undefined;
      return new ServerInterceptingCall(call, {
        start: () => call.start(new StreamCall(call, desk)),
      });
    },
  };
}
