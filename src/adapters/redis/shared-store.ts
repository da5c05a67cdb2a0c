/**
 * A fleet's store in Redis or Valkey: one server, the primary behind Sentinels, or a Cluster.
 *
 *   RS1  It never gives up: a store that is down, refuses the password or is not what it has to be is tried again
 *        for ever, and told to be down once, with the cause, and once to be up.
 *   RS2  A message is written once. Only a server that has refused it before doing anything makes it go elsewhere.
 *   RS3  Whatever may mean another data set is told: another installation id, another replication id, a slot that
 *        moved, a new connection.
 *
 * A sidecar has three connections to each server in use: one for what it asks of the server, one for scripts and
 * their WAITs, one for hints. Each half second every server is asked who it is.
 */
import type { LeaseTerms } from "../../core/lease/message.ts";
import type { StoreFault } from "../../ports/lease-store.ts";
import type { Log } from "../../ports/log.ts";
import type { Rng } from "../../ports/rng.ts";
import type { SharedStore, SharedStoreListener } from "../../ports/shared-store.ts";
import {
  decodeHint,
  decodeSync,
  decodeViews,
  encodeSync,
  encodeViews,
  type ScriptWords,
} from "./codec.ts";
import { openDeployment, type StoreAccess } from "./deployment.ts";
import { createInstallation } from "./installation.ts";
import { shardOf, tagOf } from "./keys.ts";
import { createRoundTrips } from "./round-trips.ts";
import type { Routed } from "./router.ts";
import { formatStoreUrl } from "./store-url.ts";
import { createSubscriptions } from "./subscriptions.ts";
import { createWatch, type StoreStatus } from "./watch.ts";

export interface RedisStoreOptions extends StoreAccess {
  readonly label: string;
  readonly terms: LeaseTerms;
  /** It goes on from what a process before it has left. */
  readonly isHeir: boolean;
  readonly log: Log;
  readonly rng: Rng;
}

export interface RedisStore extends SharedStore {
  status(): StoreStatus;
}

/** @throws where the password file or a certificate cannot be read */
export function createRedisStore(options: RedisStoreOptions): RedisStore {
  const { rng, log } = options;
  const store = formatStoreUrl(options.url);
  const trips = createRoundTrips();
  let listener: SharedStoreListener | undefined;
  let isClosed = false;

  const news = (): void => listener?.changed(); // (RS3)
  const deployment = openDeployment({
    ...options,
    events: {
      onReady: () => watch.beat(),
      onChange() {
        subscriptions.follow();
        watch.judge();
      },
      onNews: news,
      onTrip: (ms) => trips.note(ms),
      onAlarm: (text) => log.warn({ store }, text),
    },
  });
  const subscriptions = createSubscriptions({
    dial: deployment.dial,
    ownerOf: (channel) => deployment.ownerOf(channel),
    onMessage(text) {
      const hint = decodeHint(text);
      if (hint !== undefined) listener?.hint(hint);
    },
  });
  const installation = createInstallation({
    confirm: options.confirm,
    learnMs: options.terms.learnMs,
    isHeir: options.isHeir,
    mint: () => rng.id(),
    deployment,
    onNews: news,
    onBorn: (windowMs) => log.info({ store, windowMs }, "store prepared"),
  });
  const watch = createWatch({
    deployment,
    installation,
    store,
    log,
    rng,
    onChange: ({ isUp, cause }) => listener?.up(isUp, cause),
  });

  async function send(uid: string, call: ScriptWords): Promise<Routed | StoreFault> {
    if (isClosed) return { fault: "closed" };
    const started = performance.now();
    const routed = await deployment.send(uid, call);
    if (!("fault" in routed)) trips.note(performance.now() - started);
    return routed;
  }

  return {
    name: store,
    sync(message, done) {
      const cause = installation.cause();
      if (cause !== "") {
        // Before the birth a message would open its shard as one that was lost; in another mode it is not safe. (IN4)
        const fault = cause ?? watch.status().cause;
        return queueMicrotask(() => done({ fault }));
      }
      const options = deployment.writeOptions(message.uid);
      subscriptions.add(options.tag);
      void send(message.uid, encodeSync(message, options)).then((routed) =>
        done("fault" in routed ? routed : decodeSync(message, routed.reply, routed.isConfirmed)),
      );
    },
    read(uid, keys, done) {
      const words = encodeViews(tagOf(shardOf(uid)), keys, deployment.hooks.clock);
      void send(uid, words).then((routed) =>
        done("fault" in routed ? routed : decodeViews(keys, routed.reply)),
      );
    },
    listen(to) {
      listener = to;
      // What became known before there was anybody to tell.
      const { isUp, cause } = watch.status();
      if (watch.isKnown()) to.up(isUp, cause);
    },
    roundTripMs: () => trips.p99(),
    status: () => watch.status(),
    close() {
      isClosed = true;
      watch.close();
      subscriptions.close();
      deployment.close();
      return Promise.resolve();
    },
  };
}
