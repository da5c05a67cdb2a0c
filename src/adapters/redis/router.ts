/**
 * Sends a script to the server that has its shard. A server that refuses before it executes anything says where to
 * go instead, or to come back: then the same call goes there (RT1). Whatever may have been executed is never sent
 * again from here (RT2): that is for whoever knows what the message means.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { StoreFault } from "../../ports/lease-store.ts";
import type { Rng } from "../../ports/rng.ts";
import type { ScriptWords } from "./codec.ts";
import type { Confirmed } from "./confirmed-line.ts";
import type { Primary } from "./primary.ts";
import type { StoreHost } from "./store-url.ts";
import type { Topology } from "./topology.ts";

/** Within which a call is sent on; later its sender decides. */
const SEND_ON_MS = 2_000;
/** A key in a slot on its way may be at neither end for the length of a few commands. */
const TRY_AGAIN_MS = 25;

export interface Routed {
  readonly reply: unknown;
  readonly isConfirmed: boolean;
}

export interface Router {
  send(slot: number, call: ScriptWords): Promise<Routed | StoreFault>;
}

export function createRouter(topology: Topology, rng: Rng): Router {
  /** Where the call goes next; undefined: nowhere. */
  async function next(error: string, from: Primary): Promise<Stop | undefined> {
    const [word, , place = ""] = error.split(" ");
    switch (word) {
      case "MOVED":
        topology.refresh();
        return { primary: topology.at(parsePlace(place, from)), asking: false };
      case "ASK":
        return { primary: topology.at(parsePlace(place, from)), asking: true };
      case "TRYAGAIN":
        await sleep(TRY_AGAIN_MS * (1 + 3 * rng.next()));
        return { primary: from, asking: false };
      case "READONLY":
        from.demoted();
        topology.refresh();
        return undefined;
      case "CLUSTERDOWN":
        topology.refresh();
        return undefined;
      default:
        from.doubted(); // without memory, or without the replicas that it must have, it counts as lost
        return undefined;
    }
  }

  return {
    async send(slot, call) {
      const owner = topology.ofSlot(slot);
      let stop: Stop | undefined = owner && { primary: owner, asking: false };
      if (stop === undefined) {
        topology.refresh();
        return { fault: topology.cause() ?? "no server has this shard" };
      }
      const started = performance.now();
      for (;;) {
        const { primary, asking }: Stop = stop;
        const { outcome, isConfirmed }: Confirmed = await primary.line.send({ ...call, asking });
        if (outcome.kind === "reply") return { reply: outcome.reply, isConfirmed };
        if (outcome.kind === "lost") return { fault: outcome.error }; // (RT2)
        stop = await next(outcome.error, primary); // (RT1)
        const isLate = performance.now() - started > SEND_ON_MS;
        if (stop === undefined || isLate) return { fault: outcome.error };
      }
    },
  };
}

interface Stop {
  readonly primary: Primary;
  readonly asking: boolean;
}

/** "127.0.0.1:7002", ":7002" where the server does not know its own name. */
function parsePlace(place: string, from: Primary): StoreHost {
  const colon = place.lastIndexOf(":");
  const host = place.slice(0, colon).replaceAll(/^\[|\]$/g, "");
  return { host: host || (from.node?.host ?? ""), port: Number(place.slice(colon + 1)) };
}
