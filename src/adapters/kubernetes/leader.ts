/**
 * One of several replicas leads, by a Lease.
 *
 *   LD1  A replica that could not renew its Lease stops leading before another one may take it: it counts its own
 *        time from before it asked, the others from when they saw the last renewal, and for longer.
 *   LD2  One that stops gives its Lease back, so that the next one leads within a look.
 *
 * Clocks of two machines are never compared. Two leaders for a moment do no harm all the same: what a leader writes
 * it writes over the version that it read.
 */
import { z } from "zod";
import type { Clock } from "../../ports/clock.ts";
import type { Log } from "../../ports/log.ts";
import { ApiError, type ApiClient } from "./api-client.ts";

export interface Leadership {
  readonly isLeader: () => boolean;
  /** Gives the Lease back. */
  stop(): Promise<void>;
}

export interface LeaderOptions {
  readonly api: ApiClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly namespace: string;
  readonly lease: string;
  /** Unique among the replicas: the pod's name. */
  readonly identity: string;
  /** It has begun to lead, or has stopped. */
  readonly onChange: () => void;
}

/** What others wait for since they saw the last renewal, and what a leader trusts itself since its own. */
const LEASE_MS = 15_000;
const TRUST_MS = 10_000;
const LOOK_MS = 3_000;

const Shape = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  spec: z.looseObject({
    holderIdentity: z.string().nullish(),
    renewTime: z.string().nullish(),
    leaseTransitions: z.number().nullish(),
  }),
});

export function leadByLease(options: LeaderOptions): Leadership {
  const { api, clock, log, identity } = options;
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
  const path = `${collection}/${options.lease}`;
  /** What was last seen of somebody else's, and since when, on our own clock. */
  let seen = { version: "", since: 0 };
  let leadsUntil = -1;
  let wasLeader = false;
  let isStopped = false;
  let cancel = (): void => {};

  const leads = (): boolean => !isStopped && clock.mono() < leadsUntil;

  const spec = (holder: string, transitions: number, acquired?: string) => {
    const now = microTime(clock.wall());
    return {
      holderIdentity: holder,
      leaseDurationSeconds: LEASE_MS / 1_000,
      acquireTime: acquired ?? now,
      renewTime: now,
      leaseTransitions: transitions,
    };
  };

  async function look(): Promise<void> {
    const asked = clock.mono();
    const found = await read();
    if (found === undefined) {
      await api.create(collection, {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name: options.lease, namespace: options.namespace },
        spec: spec(identity, 0),
      });
      leadsUntil = asked + TRUST_MS;
      return;
    }
    const holder = found.spec.holderIdentity ?? "";
    if (holder !== identity && holder !== "" && !isAbandoned(found.metadata.resourceVersion))
      return;
    const transitions = (found.spec.leaseTransitions ?? 0) + (holder === identity ? 0 : 1);
    const acquired = holder === identity ? found.spec["acquireTime"] : undefined;
    const renewed = spec(
      identity,
      transitions,
      typeof acquired === "string" ? acquired : undefined,
    );
    await api.replace(path, { ...found, spec: { ...found.spec, ...renewed } } as never);
    leadsUntil = asked + TRUST_MS;
  }

  const read = async () => {
    try {
      return Shape.parse(await api.get(path));
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  };

  /** Nobody has renewed it for as long as it lasts, as far as we saw. */
  const isAbandoned = (version: string): boolean => {
    if (seen.version !== version) seen = { version, since: clock.mono() };
    return clock.mono() - seen.since >= LEASE_MS;
  };

  async function run(): Promise<void> {
    try {
      await look();
    } catch (error) {
      // Somebody else was faster (409), or nobody answers; the next look tells.
      if (!(error instanceof ApiError && error.status === 409)) {
        log.warn({ err: error }, "the Lease could not be read or renewed");
      }
    }
    if (isStopped) return;
    if (leads() !== wasLeader) {
      wasLeader = leads();
      log.info({ lease: options.lease }, wasLeader ? "leading" : "not leading any more");
      options.onChange();
    }
    cancel = clock.timer(LOOK_MS, () => void run());
  }
  void run();

  return {
    isLeader: leads,
    async stop() {
      const led = leads();
      isStopped = true;
      cancel();
      if (!led) return;
      const found = await read().catch(() => undefined);
      if (found?.spec.holderIdentity !== identity) return;
      const released = { ...found.spec, holderIdentity: "" };
      await api.replace(path, { ...found, spec: released } as never).catch(() => undefined);
    },
  };
}

/** "2026-11-21T17:40:00.123000Z". */
const microTime = (wall: number): string => new Date(wall).toISOString().replace("Z", "000Z");
