/**
 * The store: a primary, what its replicas have of it, and everything that can go wrong there.
 *
 * A node executes the reference of the store's scripts (core/lease). Its operations are the replication stream: a
 * replica is an older state of the node and the operations that have reached it since. So a failover that loses a
 * suffix, a roll-back and a split brain are all the same thing: a new node with fewer operations and a new
 * replication id.
 *
 *   I8  Within the life of a shard fences never fall.
 *
 * Not modelled: several shards on several nodes that fail by themselves (here all shards fail together, but each
 * may be lost alone), and a replica that is read.
 */
import { read } from "../../src/core/lease/inspect.ts";
import type { LedgerSpec, Sight } from "../../src/core/lease/ledger.ts";
import type { Hint, SyncMessage, SyncReply } from "../../src/core/lease/message.ts";
import type { Agenda } from "./agenda.ts";
import type { Chance } from "./chance.ts";
import { START } from "./host.ts";
import {
  bear,
  copyOf,
  deadIn,
  faultIn,
  lineOf,
  runSync,
  shardIn,
  type Ran,
  type Shard,
} from "./reference.ts";

/** A change of the data set, as it is sent to replicas. */
type Change =
  | { readonly kind: "sync"; readonly message: SyncMessage }
  | { readonly kind: "birth"; readonly uid: string; readonly learnMs: number }
  | { readonly kind: "lose"; readonly uid: string };

interface Operation {
  readonly change: Change;
  readonly at: number;
  readonly clock: number;
  readonly replid: string;
}

type Data = Map<string, Shard>;

export interface Node {
  readonly replid: string;
  readonly data: Data;
  /** An older state, and the operations since: what replicas are made of. All but the last few have reached it. */
  readonly base: Data;
  readonly log: Operation[];
  /** Replication lag, ms. */
  readonly lag: number;
  alive: boolean;
  /** Installation id; "": there is none. */
  id: string;
  /** How far its clock is ahead. */
  skew: number;
  /** Since when nothing reaches the replicas. */
  linkDownSince: number;
  /** Until when it answers nobody. */
  busyUntil: number;
  /** What it answers instead of obeying: "READONLY …"; "": nothing. */
  refuses: string;
}

/** What a store forgets: writes that nobody had confirmed, or all that some shard had. */
export type Lost = "unconfirmed" | "all";

export interface Executed {
  readonly reply: SyncReply;
  readonly hints: readonly Hint[];
  /** When it was, for the wait until a replica has it. */
  readonly at: number;
  /** It changed something: a wait for replicas waits for that. */
  readonly wrote: boolean;
}

export interface Cluster {
  primary(): Node;
  /** The node that a client on this side reaches. */
  nodeFor(side: 0 | 1): Node;
  sync(node: Node, message: SyncMessage): Executed;
  read(node: Node, uid: string, keys: readonly string[]): readonly Sight[];
  birth(node: Node, learnMs: number): void;
  /** Whether what was written at `at` has reached the replicas. */
  isReplicated(node: Node, at: number): boolean;
  /** `lost`: operations that the promoted replica lacks at least. `downMs`: until there is a primary again. */
  failover(options: {
    readonly lost: number;
    readonly downMs: number;
    readonly skew: number;
  }): void;
  split(ms: number): void;
  isSplit(): boolean;
  loseShard(uid: string): void;
  loseAll(downMs: number): void;
  clockOf(node: Node): number;
  heal(): void;
}

export interface ClusterOptions {
  readonly agenda: Agenda;
  readonly chance: Chance;
  readonly uids: readonly string[];
  /** Failovers happen: replicas are kept. */
  readonly replicates: boolean;
  /** After each message; with the ledgers whose life was over when it came. */
  readonly watch: (dead: readonly LedgerSpec[], shard: Shard, message: SyncMessage) => void;
  readonly lostSomething: (what: Lost) => void;
  readonly fail: (what: string) => void;
}

/** Operations that a replica may lack at most. */
const LOG_MAX = 60;

export function createCluster(options: ClusterOptions): Cluster {
  const { agenda, chance, uids } = options;
  let nodes = 0;

  const create = (data: Data): Node => ({
    replid: `r${++nodes}`,
    data,
    base: options.replicates ? copy(data) : new Map<string, Shard>(),
    log: [],
    lag: chance.between(1, 30),
    alive: true,
    id: "",
    skew: 0,
    linkDownSince: Infinity,
    busyUntil: 0,
    refuses: "",
  });

  let primary = create(new Map<string, Shard>());
  let old: Node | undefined;

  const clockOf = (node: Node): number => Math.floor(START + agenda.now() + node.skew);

  function perform(node: Node, change: Change) {
    const clock = clockOf(node);
    const operation = { change, at: agenda.now(), clock, replid: node.replid };
    const uid = change.kind === "sync" ? change.message.uid : change.uid;
    const shard = shardIn(node.data, uid);
    const fence = change.kind === "lose" ? 0 : (shard.meta?.fence ?? 0);
    const dead = change.kind === "sync" ? deadIn(shard, change.message, clock) : [];
    const ran = apply(node.data, operation);
    if (change.kind === "sync") options.watch(dead, shardIn(node.data, uid), change.message);
    const wrong = change.kind === "sync" ? faultIn(shardIn(node.data, uid), change.message) : "";
    if (wrong !== "") options.fail(wrong);
    const after = node.data.get(uid)?.meta?.fence ?? fence;
    if (after < fence) options.fail(`I8 ${uid}: fence ${fence}, then ${after}`);
    if (options.replicates) node.log.push(operation);
    return ran;
  }

  /** The state that a replica has: the first operations that `has` says it has. */
  function replicaOf(node: Node, has: (operation: Operation, left: number) => boolean): Data {
    for (const operation of node.log.splice(0, node.log.length - LOG_MAX)) {
      apply(node.base, operation); // not before somebody asks
    }
    const data = copy(node.base);
    let left = node.log.length;
    for (const operation of node.log) {
      if (!has(operation, left--)) break;
      apply(data, operation);
    }
    return data;
  }

  const isReplicated = (node: Node, at: number): boolean =>
    node.alive && at + node.lag <= Math.min(agenda.now(), node.linkDownSince);

  function promote(from: Node, data: Data, skew: number): void {
    primary = create(data);
    primary.id = from.id;
    primary.skew = from.skew + skew;
  }

  return {
    primary: () => primary,
    nodeFor: (side) => (side === 1 && old ? old : primary),
    sync(node, message) {
      const { reply, hints, wrote } = perform(node, { kind: "sync", message });
      agenda.show(() => `${message.holder.label} ${node.replid} ${lineOf(message, reply)}`);
      return { reply, hints, wrote, at: agenda.now() };
    },
    read: (node, uid, keys) => read(shardIn(node.data, uid), keys, clockOf(node)),
    birth(node, learnMs) {
      for (const uid of uids) perform(node, { kind: "birth", uid, learnMs });
      node.id = `id${chance.below(1_000_000)}`;
    },
    isReplicated,
    failover({ lost, downMs, skew }) {
      const node = primary;
      const at = Math.min(agenda.now(), node.linkDownSince);
      const data = replicaOf(
        node,
        (operation, left) => operation.at + node.lag <= at && left > lost,
      );
      node.alive = false;
      options.lostSomething("unconfirmed");
      agenda.at(downMs, "promote", () => promote(node, data, skew));
    },
    split(ms) {
      const node = primary;
      const at = Math.min(agenda.now(), node.linkDownSince);
      node.linkDownSince = at;
      old = node;
      options.lostSomething("unconfirmed");
      promote(
        node,
        replicaOf(node, (operation) => operation.at + node.lag <= at),
        0,
      );
      agenda.at(ms, "old primary ends", () => {
        node.alive = false;
        if (old === node) old = undefined;
      });
    },
    isSplit: () => old !== undefined,
    loseShard(uid) {
      options.lostSomething("all");
      perform(primary, { kind: "lose", uid });
    },
    loseAll(downMs) {
      primary.alive = false;
      options.lostSomething("all");
      agenda.at(downMs, "empty store", () => {
        primary = create(new Map<string, Shard>());
      });
    },
    clockOf,
    heal() {
      if (old) old.alive = false;
      old = undefined;
      primary.linkDownSince = Infinity;
      primary.refuses = "";
    },
  };
}

const NO_REPLY: SyncReply = { status: "bad", now: 0, fence: 0, confirmed: false, blocks: [] };
const NOTHING: Ran = { reply: NO_REPLY, hints: [], wrote: true };

function apply(data: Data, { change, clock, replid }: Operation): Ran {
  const env = { now: clock, historyId: replid };
  switch (change.kind) {
    case "lose":
      data.delete(change.uid);
      return NOTHING;
    case "birth":
      bear(shardIn(data, change.uid), change.learnMs, env);
      return NOTHING;
    case "sync":
      return runSync(shardIn(data, change.message.uid), change.message, env);
  }
}

const copy = (data: Data): Data =>
  new Map(Array.from(data, ([uid, shard]) => [uid, copyOf(shard)]));
