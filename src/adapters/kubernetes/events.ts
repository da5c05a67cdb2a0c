/**
 * Events on whoever made a pod that goes without its sidecar, so that `kubectl describe` says why.
 *
 *   EV1  They are written after the API server has its answer, and never hold one up.
 *   EV2  The same is said of the same owner once in a while, however many pods it makes.
 */
import type { Owner } from "../../core/inject/pod.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Log } from "../../ports/log.ts";
import type { ApiClient } from "./api-client.ts";

export type EventEnd = "written" | "suppressed" | "failed";

export interface EventWriter {
  warn(about: Owner, namespace: string, reason: string, message: string): void;
}

export interface EventOptions {
  readonly api: ApiClient;
  readonly clock: Clock;
  readonly log: Log;
  /** The replica that writes: the pod's name. */
  readonly identity: string;
  readonly ended: (end: EventEnd) => void;
}

const AGAIN_MS = 600_000;
const MOST_REMEMBERED = 2_000;
/** More at a time would be a flood of an API server that has trouble already. */
const MOST_OPEN = 20;
/** The API server's own bound. */
const MESSAGE_CHARACTERS = 1_000;

export function createEventWriter(options: EventOptions): EventWriter {
  const { api, clock, log, identity, ended } = options;
  /** When it was last said, oldest first. */
  const said = new Map<string, number>();
  let open = 0;

  /** (EV2) */
  function isNews(key: string): boolean {
    const now = clock.mono();
    const before = said.get(key);
    if (before !== undefined && now - before < AGAIN_MS) return false;
    said.delete(key);
    said.set(key, now);
    const [oldest] = said.keys();
    if (said.size > MOST_REMEMBERED && oldest !== undefined) said.delete(oldest);
    return true;
  }

  async function write(about: Owner, namespace: string, reason: string, message: string) {
    const at = new Date(clock.wall()).toISOString().replace(/\.\d+/, "");
    await api.create(`/api/v1/namespaces/${encodeURIComponent(namespace)}/events`, {
      apiVersion: "v1",
      kind: "Event",
      metadata: { generateName: "imprest-injector-", namespace },
      involvedObject: { ...involved(about), namespace },
      reason,
      message: message.slice(0, MESSAGE_CHARACTERS),
      type: "Warning",
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
      source: { component: "imprest-injector", host: identity },
      reportingComponent: "imprest.dev/injector",
      reportingInstance: identity,
    });
  }

  return {
    warn(about, namespace, reason, message) {
      const key = [namespace, about.kind, about.name, reason].join("/");
      if (open >= MOST_OPEN || !isNews(key)) return ended("suppressed");
      open += 1;
      write(about, namespace, reason, message).then(
        () => {
          open -= 1;
          ended("written");
        },
        (error: unknown) => {
          open -= 1;
          said.delete(key);
          log.warn({ err: error }, "an Event could not be written");
          ended("failed");
        },
      );
    },
  };
}

const involved = ({ apiVersion, kind, name, uid }: Owner) => ({
  apiVersion,
  kind,
  name,
  ...(uid === "" ? {} : { uid }),
});
