/**
 * A Cluster: its slots are spread over several primaries, and move between them.
 *
 * Who has what is asked of any node that answers: one of those in use, else those that the address names or that a
 * former answer knew, one after the other. It is asked at the start, whenever a node says that a slot has moved,
 * when one is lost, and every few seconds, since a replica that was promoted tells nobody.
 *
 *   CT1  A node that has no slot any more is let go, its connections closed.
 *   CT2  Where a slot has gone to another node, everybody hears that the data behind it may be another.
 */
import type { Dial } from "./dial.ts";
import { NO_CLUSTER } from "./inspection.ts";
import { createLink, type Link } from "./link.ts";
import { createPrimary, type Primary } from "./primary.ts";
import { formatHost, type StoreHost } from "./store-url.ts";
import type { PrimaryDefaults, Topology } from "./topology.ts";

const SLOTS = 16_384;
const REFRESH_EVERY_MS = 5_000;
/** Between two questions, however many reasons there are. */
const REFRESH_PAUSE_MS = 200;
/** A node that has to be asked first is given so long. */
const PATIENCE_MS = 3_000;

/** One line of CLUSTER SLOTS. */
export interface SlotRange {
  readonly first: number;
  readonly last: number;
  readonly primary: StoreHost;
  readonly replicas: readonly StoreHost[];
}

export interface ClusterTopologyOptions {
  readonly dial: Dial;
  readonly seeds: readonly StoreHost[];
  readonly defaults: PrimaryDefaults;
  /** The key by which a node with this slot may be probed. */
  readonly probeKey: (slots: ReadonlySet<number>) => string;
}

export function createClusterTopology(options: ClusterTopologyOptions): Topology {
  const { dial, seeds, defaults } = options;
  const known = new Map<string, StoreHost>(seeds.map((seed) => [formatHost(seed), seed]));
  const primaries = new Map<string, Primary>();
  const slotsOf = new Map<string, Set<number>>();
  let owners: readonly (string | undefined)[] = [];
  let cause: string | undefined;
  let isAsking = false;
  let isDue = false;
  let isClosed = false;
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;

  const at = (node: StoreHost): Primary => {
    const name = formatHost(node);
    const existing = primaries.get(name);
    if (existing !== undefined) return existing;
    const probeKey = () => options.probeKey(slotsOf.get(name) ?? new Set());
    const primary = createPrimary({ ...defaults, node, probeKey });
    primaries.set(name, primary);
    return primary;
  };

  function adopt(ranges: readonly SlotRange[]): void {
    const next: (string | undefined)[] = Array.from({ length: SLOTS });
    slotsOf.clear();
    for (const { first, last, primary, replicas } of ranges) {
      const name = formatHost(primary);
      const slots = slotsOf.get(name) ?? new Set();
      slotsOf.set(name, slots);
      for (const node of [primary, ...replicas]) known.set(formatHost(node), node);
      for (let slot = first; slot <= last; slot += 1) {
        next[slot] = name;
        slots.add(slot);
      }
      at(primary);
    }
    const hasMoved = owners.some((owner, slot) => owner !== next[slot]);
    owners = next;
    for (const [name, primary] of primaries) {
      if (slotsOf.has(name)) continue;
      primaries.delete(name); // (CT1)
      primary.close();
    }
    if (hasMoved) defaults.onNews(); // (CT2)
    defaults.onChange();
  }

  /** True where it answered. */
  async function ask(link: Link, host: string): Promise<boolean> {
    const [outcome] = await link.run([["CLUSTER", "SLOTS"]]);
    if (outcome?.kind !== "reply") {
      const error = outcome?.error ?? "no answer";
      cause = error.includes("cluster support disabled") ? NO_CLUSTER : error;
      return false;
    }
    const ranges = parseSlots(outcome.reply, host);
    if (ranges.length === 0) cause = `${host} knows of no slot yet`;
    else if (!isClosed) adopt(ranges);
    return ranges.length > 0;
  }

  async function askAnybody(): Promise<boolean> {
    const ready = [...primaries.values()].filter(({ control }) => control.isReady());
    for (const { control, node } of ready) if (await ask(control, node?.host ?? "")) return true;
    for (const node of [...known.values()]) {
      if (isClosed || (await visit(node))) return true;
    }
    return false;
  }

  /** On a connection for this one question. */
  async function visit(node: StoreHost): Promise<boolean> {
    const arrived = Promise.withResolvers<string>();
    const link = createLink({
      dial,
      node,
      onReady: () => arrived.resolve(""),
      onLost: (why) => arrived.resolve(why),
    });
    const patience = setTimeout(() => arrived.resolve("it does not answer"), PATIENCE_MS);
    const failure = await arrived.promise;
    clearTimeout(patience);
    if (failure !== "") cause = failure;
    const isAnswered = failure === "" && (await ask(link, node.host));
    link.close();
    return isAnswered;
  }

  async function refreshNow(): Promise<void> {
    clearTimeout(timer);
    isAsking = true;
    isDue = false;
    failures = (await askAnybody()) ? 0 : failures + 1;
    isAsking = false;
    if (isClosed) return;
    defaults.onChange();
    const pause = failures > 0 ? dial.backoff(failures) : REFRESH_EVERY_MS;
    timer = setTimeout(() => void refreshNow(), isDue ? REFRESH_PAUSE_MS : pause);
    timer.unref();
  }

  const refresh = (): void => {
    isDue = true;
    if (!isAsking && !isClosed) void refreshNow();
  };

  refresh();
  return {
    primaries: () => [...primaries.values()],
    ofSlot(slot) {
      const owner = owners[slot];
      return owner === undefined ? undefined : primaries.get(owner);
    },
    at,
    refresh,
    cause: () => cause,
    close() {
      isClosed = true;
      clearTimeout(timer);
      for (const primary of primaries.values()) primary.close();
    },
  };
}

/** `host`: of the node that answered; it may not know its own address. */
export function parseSlots(reply: unknown, host: string): readonly SlotRange[] {
  if (!Array.isArray(reply)) return [];
  return reply.flatMap((range: unknown): readonly SlotRange[] => {
    if (!Array.isArray(range)) return [];
    const [first, last, ...nodes] = range as readonly unknown[];
    const [primary, ...replicas] = nodes.flatMap((node) => parseNode(node, host));
    return primary === undefined
      ? []
      : [{ first: Number(first), last: Number(last), primary, replicas }];
  });
}

function parseNode(node: unknown, host: string): readonly StoreHost[] {
  if (!Array.isArray(node)) return [];
  const [name, port] = node as readonly unknown[];
  const isNamed = typeof name === "string" && name !== "" && name !== "?";
  return [{ host: isNamed ? name : host, port: Number(port) }];
}
