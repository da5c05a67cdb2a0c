/**
 * grpc.health.v1 on the servers of one sidecar. The official implementation answers; it does not close a
 * Watch, which is done here: a watcher that hears NOT_SERVING and is then left alone would keep a drain
 * waiting.
 */
import {
  type Server,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { QuotaServiceService } from "../../gen/imprest/v1/quota.ts";

const WATCH = "/grpc.health.v1.Health/Watch";
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

export function createHealth(): Health {
  const implementation = new HealthImplementation();
  const watches = new Set<ServerInterceptingCallInterface>();
  const tell = (state: "SERVING" | "NOT_SERVING"): void => {
    for (const service of SERVICES) implementation.setStatus(service, state);
  };
  tell("NOT_SERVING");

  const track = (call: ServerInterceptingCallInterface): ServerInterceptingCall =>
    new ServerInterceptingCall(call, {
      start: (next) => {
        watches.add(call);
        next({ onCancel: () => void watches.delete(call) });
      },
    });

  return {
    addTo: (server) => implementation.addToServer(server),
    interceptor: ({ path }, call) =>
      path === WATCH ? track(call) : new ServerInterceptingCall(call),
    serving: () => tell("SERVING"),
    notServing: () => {
      tell("NOT_SERVING");
      // The news goes through a stream object and is written before the next turn.
      setImmediate(() => {
        for (const call of watches) {
          call.sendStatus({ code: status.UNAVAILABLE, details: "the sidecar is draining" });
        }
      });
    },
  };
}
