/** All servers behind an address, and what concerns the whole of them: the installation's id, births, scripts. */
import type { StoreFault } from "../../ports/lease-store.ts";
import type { Rng } from "../../ports/rng.ts";
import { createClusterTopology } from "./cluster-topology.ts";
import { encodeBirth, type Hooks, type ScriptWords, type WriteOptions } from "./codec.ts";
import type { Confirm } from "./confirm.ts";
import { createDial, type Dial } from "./dial.ts";
import { hashSlot } from "./hash-slot.ts";
import { ID_KEY } from "./installation.ts";
import { SHARDS, shardOf, tagOf } from "./keys.ts";
import type { Outcome, Words } from "./link.ts";
import type { Primary } from "./primary.ts";
import { createRouter, type Routed } from "./router.ts";
import type { StoreUrl } from "./store-url.ts";
import { createDirectTopology, type PrimaryDefaults, type Topology } from "./topology.ts";

const TAGS = Array.from({ length: SHARDS }, (_, shard) => tagOf(shard));
const SLOTS = TAGS.map(hashSlot);
const ID_SLOT = hashSlot(ID_KEY);

/** What stands for the replication id where none is looked at: the same data set for ever. */
const UNFENCED = "unfenced";

/** What the command line says of a store. */
export interface StoreAccess {
  readonly url: StoreUrl;
  /** Path; "": the password is in the address, or there is none. */
  readonly passwordFile: string;
  readonly confirm: Confirm;
  readonly fencing: "replid" | "none";
}

export interface DeploymentOptions extends StoreAccess {
  /** How the servers' lists of clients name this one. */
  readonly label: string;
  readonly rng: Rng;
  readonly events: Pick<PrimaryDefaults, "onReady" | "onChange" | "onNews" | "onTrip" | "onAlarm">;
}

export interface Deployment {
  readonly dial: Dial;
  readonly topology: Topology;
  readonly hooks: Hooks;
  ownerOf(key: string): Primary | undefined;
  /** How a script writes to the shard of a tenant. */
  writeOptions(uid: string): WriteOptions;
  /** Sends a script to the shard of a tenant. */
  send(uid: string, call: ScriptWords): Promise<Routed | StoreFault>;
  /** Sends a command to the server of the installation's id. */
  askForId(words: Words): Promise<Outcome>;
  hasId(primary: Primary): boolean;
  /** Opens every shard that is not there; the first failure's text, "" for none. */
  bear(windowMs: number): Promise<string>;
  close(): void;
}

/** @throws where the password file or a certificate cannot be read */
export function openDeployment(options: DeploymentOptions): Deployment {
  const { url, confirm, rng, events } = options;
  const fencing = options.fencing === "replid";
  const dial = createDial(options);
  const topology = createTopology(url, dial, { dial, kind: url.kind, confirm, fencing, ...events });
  const router = createRouter(topology, rng);
  const hooks: Hooks = { clock: "", historyId: fencing ? "" : UNFENCED };
  const ownerOf = (key: string): Primary | undefined => topology.ofSlot(hashSlot(key));

  return {
    dial,
    topology,
    hooks,
    ownerOf,
    writeOptions(uid) {
      const tag = tagOf(shardOf(uid));
      const isSharded = ownerOf(tag)?.inspection()?.hasShardedChannels === true;
      return { ...hooks, tag, publish: isSharded ? "SPUBLISH" : "PUBLISH" };
    },
    send: (uid, call) => router.send(SLOTS[shardOf(uid)] ?? 0, call),
    hasId: (primary) => topology.ofSlot(ID_SLOT) === primary,
    async askForId(words) {
      const outcomes = await topology.ofSlot(ID_SLOT)?.control.run([words]);
      return outcomes?.[0] ?? { kind: "lost", error: "no server has the installation's id" };
    },
    async bear(windowMs) {
      const births = TAGS.map((tag, i) =>
        router.send(SLOTS[i] ?? 0, encodeBirth(tag, windowMs, hooks)),
      );
      const failed = (await Promise.all(births)).find((each) => "fault" in each);
      return failed !== undefined && "fault" in failed ? failed.fault : "";
    },
    close: () => topology.close(),
  };
}

function createTopology(url: StoreUrl, dial: Dial, defaults: PrimaryDefaults): Topology {
  if (url.kind !== "cluster") return createDirectTopology(defaults);
  return createClusterTopology({
    dial,
    seeds: url.hosts,
    defaults,
    probeKey: (owned) => `${TAGS[SLOTS.findIndex((slot) => owned.has(slot))] ?? "{q0}"}:probe`,
  });
}
