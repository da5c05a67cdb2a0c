/**
 * The way from a host to the store and back, as the engine's port sees it.
 *
 * Each direction of each message by itself may be lost, delayed past others, or cut off; a request may arrive
 * twice. A connection that breaks says so at once or not at all. What the adapter for a real store does beside
 * sending is done here in the same way: an answer counts as confirmed when a replica has what was written, a fault
 * is said after a while, and a heartbeat watches the installation id and the replication id (births included).
 */
import type { Hint } from "../../src/core/lease/message.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { SharedStore, SharedStoreListener } from "../../src/ports/shared-store.ts";
import type { Agenda } from "./agenda.ts";
import type { Chance } from "./chance.ts";
import type { Cluster, Executed, Node } from "./cluster.ts";
import type { Host } from "./host.ts";
import { BIRTH_MS, HEALED_MS, type Setting } from "./setting.ts";

/** Scaled as the terms are: a real store is waited for seconds. */
const FAULT_AFTER_MS = 200;
const CONFIRM_MS = 100;
const HEARTBEAT_MS = 100;
const MISSED_MAX = 3;

/** The network between all hosts and the store. */
export interface Network {
  /** Carries something one way to or from this host, or loses it. */
  carry(link: Link, way: "out" | "in", task: () => void, lost?: () => void): void;
  /** Nothing gets lost or late from now on. */
  heal(): void;
  readonly faults: { dropped: number; delayed: number; duplicated: number };
}

/** One host's connection. */
export interface Link {
  /** Until when nothing leaves, and nothing arrives. */
  outUntil: number;
  inUntil: number;
  /** In a split brain: which primary it reaches. */
  side: 0 | 1;
}

export function createNetwork(agenda: Agenda, chance: Chance, setting: Setting): Network {
  const { drop, duplicate, slow } = setting.faults;
  const faults = { dropped: 0, delayed: 0, duplicated: 0 };
  let healed = false;
  return {
    carry(link, way, task, lost) {
      const until = way === "out" ? link.outUntil : link.inUntil;
      if (until > agenda.now() || (!healed && chance.chance(drop))) {
        faults.dropped++;
        // A broken connection is noticed at once, a black hole is not.
        if (lost && chance.chance(0.5)) agenda.at(1 + chance.around(2), "reset", lost);
        return;
      }
      let takes = 0.3 + chance.around(0.7);
      if (!healed && slow > 0 && chance.chance(0.1)) {
        faults.delayed++;
        takes += chance.around(slow);
      }
      agenda.at(takes, way, task);
      if (way === "in" || healed || !chance.chance(duplicate)) return;
      faults.duplicated++;
      agenda.at(takes + chance.around(200), "again", task);
    },
    heal() {
      healed = true;
    },
    faults,
  };
}

export interface WireOptions {
  readonly agenda: Agenda;
  readonly chance: Chance;
  readonly network: Network;
  readonly cluster: Cluster;
  readonly host: Host;
  readonly link: Link;
  readonly clock: Clock;
  readonly lives: () => boolean;
  readonly setting: Setting;
  readonly births: () => void;
  readonly publish: (node: Node, hints: readonly Hint[]) => void;
}

export interface Wire extends SharedStore {
  /** A hint that the node published. */
  hear(node: Node, hint: Hint): void;
  /** Names of the records that this process has last spoken of, one a ledger. */
  leases(): Iterable<string>;
  /** Leases that were to be retired, of which no answer says that they are. */
  retiring(): number;
}

export function createWire(options: WireOptions): Wire {
  const { agenda, chance, network, cluster, host, link, clock, lives, setting } = options;
  let listener: SharedStoreListener | undefined;
  let isUp = false;
  let seen = "";
  let knewId = false;
  let missed = 0;
  const leases = new Map<string, string>();
  const retiring = new Set<string>();

  /** Runs `task` in the process, if it still is there. */
  const inside = (task: () => void): void =>
    host.deliver("input", () => {
      if (lives()) task();
    });

  /** Carries a question to the node and its answer back; `undefined`: nobody answered. */
  function exchange<T extends object>(
    ask: (node: Node, answer: (reply: T) => void) => void,
    done: (reply: T | { readonly fault: string }) => void,
  ): void {
    let isOpen = true;
    const finish = (reply: T | { readonly fault: string }): void =>
      inside(() => {
        if (!isOpen) return;
        isOpen = false;
        cancel();
        done(reply);
      });
    const lost = (): void => finish({ fault: "the connection was lost" });
    const cancel = clock.timer(FAULT_AFTER_MS, () => finish({ fault: "no answer in time" }));
    const arrive = (): void => {
      const node = cluster.nodeFor(link.side);
      if (!node.alive) return agenda.at(chance.around(5), "refused", lost);
      const wait = node.busyUntil - agenda.now();
      if (wait > 0) return agenda.at(wait + chance.next(), "busy", arrive);
      ask(node, (reply) => network.carry(link, "in", () => finish(reply), lost));
    };
    network.carry(link, "out", arrive, lost);
  }

  /** Waits as WAIT does, on the connection that wrote. */
  function confirm(
    node: Node,
    { at, wrote }: Executed,
    done: (isConfirmed: boolean) => void,
  ): void {
    if (!setting.terms.strict || !wrote) return done(true);
    const look = (last: boolean): void => {
      if (cluster.isReplicated(node, at)) done(true);
      else if (last) done(false);
      else agenda.at(at + CONFIRM_MS - agenda.now(), "waited", () => look(true));
    };
    agenda.at(at + node.lag - agenda.now(), "replicated", () => look(false));
  }

  function beat(): void {
    if (!lives()) return;
    exchange<{ readonly id: string }>(
      (node, answer) => {
        if (node.refuses !== "" && node.id === "") return;
        if (node.id === "") {
          cluster.birth(node, knewId ? setting.terms.learnMs : BIRTH_MS);
          options.births();
        }
        answer({ id: `${node.id} ${node.replid}` });
      },
      (answer) => {
        if ("fault" in answer) {
          missed++;
          if (missed >= MISSED_MAX && isUp) listener?.up((isUp = false));
          return;
        }
        missed = 0;
        knewId = true;
        const isOther = seen !== "" && seen !== answer.id;
        seen = answer.id;
        if (!isUp) listener?.up((isUp = true));
        if (isOther) listener?.changed();
      },
    );
    const isOver = agenda.now() > HEALED_MS;
    clock.timer(HEARTBEAT_MS * (isOver ? 10 : 1) * chance.between(0.9, 1.1), beat);
  }

  return {
    name: "simulated",
    sync(message, done) {
      if (!lives()) return;
      for (const { spec, holder, close } of message.blocks) {
        if (close === 2) retiring.add(holder);
        if (close === 0) leases.set(spec.key, holder);
        else if (leases.get(spec.key) === holder) leases.delete(spec.key); // to close is its last word
      }
      if (seen === "") return void clock.timer(1, () => done({ fault: "not prepared yet" }));
      const heard = (reply: Parameters<typeof done>[0]): void => {
        const said =
          "fault" in reply ? reply.fault : reply.confirmed ? reply.status : "not confirmed";
        agenda.show(
          () =>
            `${host.name} hears ${said} of ${message.blocks.map((one) => `${one.holder.slice(-4)} #${one.seq}`).join(" ")}`,
        );
        if (said === "ok" || said === "stale")
          for (const { holder } of message.blocks) retiring.delete(holder);
        done(reply);
      };
      exchange<Executed["reply"] | { readonly fault: string }>((node, answer) => {
        if (node.refuses !== "") return answer({ fault: node.refuses });
        const executed = cluster.sync(node, message);
        options.publish(node, executed.hints);
        confirm(node, executed, (confirmed) => {
          if (node.alive) answer({ ...executed.reply, confirmed });
        });
      }, heard);
    },
    read(uid, keys, done) {
      if (seen === "") return void clock.timer(1, () => done({ fault: "not prepared yet" }));
      exchange<ReturnType<Cluster["read"]>>(
        (node, answer) => answer(cluster.read(node, uid, keys)),
        done,
      );
    },
    listen(one) {
      listener = one;
      clock.timer(chance.around(5), beat);
    },
    hear(node, hint) {
      if (chance.chance(setting.faults.hintLoss)) return;
      if (cluster.nodeFor(link.side) !== node) return;
      network.carry(link, "in", () => inside(() => listener?.hint(hint)));
    },
    leases: () => leases.values(),
    retiring: () => retiring.size,
    roundTripMs: () => 2,
    close: () => Promise.resolve(),
  };
}
