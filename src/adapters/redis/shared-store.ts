/**
 * A fleet's store in Redis or Valkey: one server, the primary behind Sentinels, or a Cluster.
 *
 *   RS1  It never gives up: a store that is down, refuses the password or is not what it has to be is tried again
 *        for ever, and said to be down once, with the cause, and once to be back.
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
  encodeBirth,
  encodeSync,
  encodeViews,
  type Hooks,
  type ScriptWords,
} from "./codec.ts";
import { createClusterTopology } from "./cluster-topology.ts";
import type { Confirm } from "./confirm.ts";
import { createDial, type Dial } from "./dial.ts";
import { hashSlot } from "./hash-slot.ts";
import { createInstallation, ID_KEY } from "./installation.ts";
import { SHARDS, shardOf, tagOf } from "./keys.ts";
import type { Outcome } from "./link.ts";
import { createRoundTrips } from "./round-trips.ts";
import { createRouter, type Routed } from "./router.ts";
import { formatStoreUrl, type StoreUrl } from "./store-url.ts";
import { createSubscriptions } from "./subscriptions.ts";
import { createDirectTopology, type PrimaryDefaults, type Topology } from "./topology.ts";
import { createWatch, type StoreStatus } from "./watch.ts";

const ID_SLOT = hashSlot(ID_KEY);
const TAGS = Array.from({ length: SHARDS }, (_, shard) => tagOf(shard));
const SLOTS = TAGS.map(hashSlot);

/** What stands for the replication id where none is looked at: the same data set for ever. */
const UNFENCED = "unfenced";

export interface RedisStoreOptions {
  readonly url: StoreUrl;
  /** Path; "": the password is in the address, or there is none. */
  readonly passwordFile: string;
  readonly confirm: Confirm;
  readonly fencing: "replid" | "none";
  /** How the server's list of clients names this one. */
  readonly label: string;
  readonly terms: LeaseTerms;
  readonly log: Log;
  readonly rng: Rng;
}

export interface RedisStore extends SharedStore {
  status(): StoreStatus;
}

/** @throws where the password file or a certificate cannot be read */
export function createRedisStore(options: RedisStoreOptions): RedisStore {
  const { url, confirm, rng, log } = options;
  const store = formatStoreUrl(url);
  const dial = createDial(options);
  const trips = createRoundTrips();
  const isFenced = options.fencing === "replid";
  const hooks: Hooks = { clock: "", historyId: isFenced ? "" : UNFENCED };
  const worthSaying = new Set<string>();
  let listener: SharedStoreListener | undefined;
  let isClosed = false;

  const news = (): void => listener?.changed();
  const defaults: PrimaryDefaults = {
    dial,
    kind: url.kind,
    confirm,
    fencing: isFenced,
    onReady: () => watch.beat(),
    onChange() {
      subscriptions.follow();
      watch.judge();
    },
    onNews: news,
    onTrip: (ms) => trips.note(ms),
    onWorth(text) {
      if (!worthSaying.has(text)) log.warn({ store }, text);
      worthSaying.add(text);
    },
  };
  const topology = createTopology({ url, dial, defaults, onNews: news });
  const router = createRouter(topology, rng);
  const isSharded = (): boolean =>
    topology.primaries().every((primary) => primary.hasShardedChannels());
  const subscriptions = createSubscriptions({
    dial,
    isSharded,
    ownerOf: (channel) => topology.ofSlot(hashSlot(channel)),
    onMessage(text) {
      const hint = decodeHint(text);
      if (hint !== undefined) listener?.hint(hint);
    },
  });

  const send = async (uid: string, call: ScriptWords): Promise<Routed | StoreFault> => {
    if (isClosed) return { fault: "closed" };
    const started = performance.now();
    const routed = await router.send(SLOTS[shardOf(uid)] ?? 0, call);
    if (!("fault" in routed)) trips.note(performance.now() - started);
    return routed;
  };

  /** Every shard that is missing; the first failure's text. */
  async function bear(windowMs: number): Promise<string> {
    const births = TAGS.map((tag, i) =>
      router.send(SLOTS[i] ?? 0, encodeBirth(tag, windowMs, hooks)),
    );
    const failed = (await Promise.all(births)).find((each) => "fault" in each);
    return failed !== undefined && "fault" in failed ? failed.fault : "";
  }

  const installation = createInstallation({
    confirm,
    learnMs: options.terms.learnMs,
    mint: () => rng.id(),
    bear,
    claim: (id) => claim(topology, id),
    onNews: news,
    onBorn: (windowMs) => log.info({ store, windowMs }, "store prepared"),
  });
  const watch = createWatch({
    topology,
    installation,
    idSlot: ID_SLOT,
    store,
    log,
    rng,
    onUp: (isUp) => listener?.up(isUp),
  });

  return {
    sync(message, done) {
      const tag = tagOf(shardOf(message.uid));
      subscriptions.add(tag);
      const publish = isSharded() ? "SPUBLISH" : "PUBLISH";
      const words = encodeSync(message, { ...hooks, tag, publish });
      void send(message.uid, words).then((routed) =>
        done("fault" in routed ? routed : decodeSync(message, routed.reply, routed.isConfirmed)),
      );
    },
    read(uid, keys, done) {
      const words = encodeViews(tagOf(shardOf(uid)), keys, hooks.clock);
      void send(uid, words).then((routed) =>
        done("fault" in routed ? routed : decodeViews(keys, routed.reply)),
      );
    },
    listen(to) {
      listener = to;
      // What became known before there was anybody to tell.
      if (watch.isKnown()) to.up(watch.status().isUp);
    },
    roundTripMs: () => trips.p99(),
    status: () => watch.status(),
    close() {
      isClosed = true;
      watch.close();
      subscriptions.close();
      topology.close();
      return Promise.resolve();
    },
  };
}

interface TopologyOptions {
  readonly url: StoreUrl;
  readonly dial: Dial;
  readonly defaults: PrimaryDefaults;
  readonly onNews: () => void;
}

function createTopology({ url, dial, defaults, onNews }: TopologyOptions): Topology {
  if (url.kind !== "cluster") return createDirectTopology(defaults);
  return createClusterTopology({
    dial,
    seeds: url.hosts,
    defaults,
    onNews,
    probeKey: (owned) => `${TAGS[SLOTS.findIndex((slot) => owned.has(slot))] ?? "{q0}"}:probe`,
  });
}

async function claim(topology: Topology, id: string): Promise<Outcome> {
  const primary = topology.ofSlot(ID_SLOT);
  const outcomes = await primary?.control.run([["SET", ID_KEY, id, "NX"]]);
  return outcomes?.[0] ?? { kind: "lost", error: "no server has the installation's id" };
}
