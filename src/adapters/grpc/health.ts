/**
 * grpc.health.v1 on the servers of one sidecar. (The official package would load a whole protobuf library for it,
 * 8 MB that stay.) A drain closes every Watch: a watcher that hears NOT_SERVING and is then left alone would keep
 * it waiting.
 */
import {
  type sendUnaryData,
  type Server,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type ServerUnaryCall,
  type ServerWritableStream,
  status,
} from "@grpc/grpc-js";
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as State,
  type HealthListRequest,
  type HealthListResponse,
  HealthService,
} from "../../gen/grpc/health/v1/health.ts";
import { QuotaServiceService } from "../../gen/imprest/v1/quota.ts";
import { quote } from "./text.ts";

const QUOTA_SERVICE = QuotaServiceService.check.path.split("/")[1] ?? "";
const SERVICES = ["", QUOTA_SERVICE];

export interface Health {
  addTo(server: Server): void;
  /** Sees every Watch; other calls pass. */
  readonly interceptor: ServerInterceptor;
  serving(): void;
  /** Watchers hear it and are closed, UNAVAILABLE. */
  notServing(): void;
}

type Watcher = ServerWritableStream<HealthCheckRequest, HealthCheckResponse>;

export function createHealth(): Health {
  let state: State = State.NOT_SERVING;
  const watchers = new Set<Watcher>();
  const watches = new Set<ServerInterceptingCallInterface>();
  const tell = (news: State): void => {
    state = news;
    for (const watcher of watchers) watcher.write({ status: state });
  };

  const implementation = {
    check(
      { request: { service } }: ServerUnaryCall<HealthCheckRequest, HealthCheckResponse>,
      done: sendUnaryData<HealthCheckResponse>,
    ): void {
      if (SERVICES.includes(service)) return done(null, { status: state });
      done({ code: status.NOT_FOUND, details: `there is no service ${quote(service)} here` });
    },
    list(
      _: ServerUnaryCall<HealthListRequest, HealthListResponse>,
      done: sendUnaryData<HealthListResponse>,
    ): void {
      done(null, { statuses: new Map(SERVICES.map((service) => [service, { status: state }])) });
    },
    watch(call: Watcher): void {
      const isKnown = SERVICES.includes(call.request.service);
      call.write({ status: isKnown ? state : State.SERVICE_UNKNOWN });
      if (!isKnown) return; // it may wait for a service that never comes
      watchers.add(call);
      call.on("cancelled", () => void watchers.delete(call));
    },
  };

  const track = (call: ServerInterceptingCallInterface): ServerInterceptingCall =>
    new ServerInterceptingCall(call, {
      start: (next) => {
        watches.add(call);
        next({ onCancel: () => void watches.delete(call) });
      },
    });

  return {
    addTo: (server) => server.addService(HealthService, implementation),
    interceptor: ({ path }, call) =>
      path === HealthService.watch.path ? track(call) : new ServerInterceptingCall(call),
    serving: () => tell(State.SERVING),
    notServing: () => {
      tell(State.NOT_SERVING);
      // The news goes through a stream object and is written before the next turn.
      setImmediate(() => {
        for (const call of watches) {
          call.sendStatus({ code: status.UNAVAILABLE, details: "the sidecar is draining" });
        }
      });
    },
  };
}
