/**
 * The simulator: a whole fleet of production engines in one thread, with simulated clocks, network, store, disks and
 * agents, through everything that may happen to them. One seed is one run; the same seed is the same run.
 *
 * A run has load and faults for 7 s of its own time, nothing new goes wrong after 4.5 s, and at 7 s all is healed. By
 * 11 s everything has come to rest and is looked at, then everybody drains. Invariants are checked at every answer
 * and after every operation of the store; what they are stands in account.ts, truth.ts, rest.ts and cluster.ts.
 *
 *   agenda.ts   events in their order         host.ts      clocks, pauses         disk.ts     the journal
 *   wire.ts     network and store port        cluster.ts   store, replicas        sidecar.ts  one process
 *   fleet.ts    crashes, restarts, copies     load.ts      what agents do         truth.ts    what is true
 *   faults.ts   what goes wrong               directed.ts  schedules for rules that random faults do not reach
 *
 * Times are a twelfth of the usual (a lease lives 800 ms), so that a run holds many of everything.
 *
 * Not modelled: the Redis protocol and scripts themselves (they are compared with the reference elsewhere), bytes of
 * the journal, several nodes that hold different shards, and clocks that are wrong by more than they may be.
 */
import { createCalendar } from "../../src/adapters/calendar/calendar.ts";
import { PLATFORM_UID } from "../../src/core/scope.ts";
import { createAgenda } from "./agenda.ts";
import { createChance } from "./chance.ts";
import { createCluster } from "./cluster.ts";
import { direct, type Direction } from "./directed.ts";
import { createInjector } from "./faults.ts";
import { createFleet } from "./fleet.ts";
import { createIdles } from "./idle.ts";
import { createLoad, type Counts } from "./load.ts";
import { stocksIn } from "./reference.ts";
import {
  checkClosed,
  checkRenewed,
  checkStore,
  livingLeases,
  nameOf,
  watchHolds,
  type RestOptions,
  type Stranded,
} from "./rest.ts";
import { firstNumbers, schemeOf, TENANTS } from "./scheme.ts";
import {
  drawSetting,
  END_MS,
  LOADED_MS,
  RESTED_MS,
  type Environment,
  type Load,
  type Setting,
} from "./setting.ts";
import { createTruth } from "./truth.ts";
import { createNetwork } from "./wire.ts";

/** Ten times what a run takes. */
const EVENTS_MAX = 300_000;

export interface RunOptions {
  readonly seed: number;
  readonly environment: Environment;
  readonly load?: Load | undefined;
  readonly stress?: boolean | undefined;
  readonly directed?: Direction | undefined;
  readonly trace?: ((line: string) => void) | undefined;
}

export interface RunResult {
  readonly seed: number;
  readonly setting: Setting;
  /** "": all is well. */
  readonly violation: string;
  readonly counts: Counts;
  readonly faults: ReadonlyMap<string, number>;
  readonly storeCalls: number;
  readonly births: number;
  readonly events: number;
  readonly stranded: Stranded;
  readonly hash: string;
}

/** What the run has been found to do. Changed in place. */
interface Findings {
  violation: string;
  storeCalls: number;
  births: number;
}

/** Everything but the processes. */
function createStage({ seed, environment, load, stress, directed, trace }: RunOptions) {
  const isDirected = directed !== undefined;
  const setting = drawSetting(seed, { environment, load, stress, directed: isDirected });
  const agenda = createAgenda(trace);
  const found: Findings = { violation: "", storeCalls: 0, births: 0 };
  const fail = (what: string): void => {
    if (found.violation === "") agenda.note(`VIOLATION ${what}`);
    found.violation ||= `at ${agenda.now().toFixed(1)} ms: ${what}`;
  };
  const numbers = firstNumbers(setting);
  const storeTime = (): number => cluster.clockOf(cluster.primary());
  const idleOf = environment === "calm" ? createIdles() : undefined;
  const truth = createTruth({ agenda, setting, numbers, storeTime, idleOf, fail });
  const isKept = environment === "E0" || environment === "E1";
  const cluster = createCluster({
    agenda,
    chance: createChance(seed, "store"),
    uids: [...TENANTS, PLATFORM_UID],
    replicates: environment === "E1" || environment === "E2",
    watch(dead, shard, message) {
      found.storeCalls++;
      for (const one of idleOf ? stocksIn(shard, message, storeTime()) : []) {
        const idle = idleOf?.(nameOf(one.spec));
        idle?.pool(one.pool, agenda.now());
        idle?.granted(message.holder.label, one.lease, one.granted, agenda.now());
      }
      for (const spec of dead) {
        const name = nameOf(spec);
        if (truth.purged(name) && isKept) fail(`${name} was dropped under an open reservation`);
      }
    },
    fail,
    lostSomething: (what) => truth.loss(what),
  });
  const agents = createLoad({ agenda, chance: createChance(seed, "load"), setting, truth, fail });
  return { agenda, setting, found, fail, numbers, truth, cluster, load: agents };
}

type Stage = ReturnType<typeof createStage>;

function createProcesses(options: RunOptions, stage: Stage) {
  const { seed } = options;
  const { agenda, setting, numbers, truth, cluster, load, found, fail } = stage;
  const netChance = createChance(seed, "net");
  const network = createNetwork(agenda, netChance, setting);
  const fleet = createFleet({
    agenda,
    chance: createChance(seed, "hosts"),
    seed,
    truth,
    first: schemeOf(setting, numbers, 1),
    begin: options.directed ? () => undefined : load.begin,
    world: {
      agenda,
      setting,
      network,
      cluster,
      calendar: createCalendar(),
      netChance,
      diskChance: createChance(seed, "disk"),
      fail,
      births: () => found.births++,
      publish(node, hints) {
        for (const { sidecar } of fleet.processes) {
          if (sidecar?.lives()) for (const hint of hints) sidecar.wire.hear(node, hint);
        }
      },
    },
  });
  return { fleet, network };
}

export async function run(options: RunOptions): Promise<RunResult> {
  const { seed, environment } = options;
  const stage = createStage(options);
  const { agenda, setting, found, fail, truth, cluster, load } = stage;
  const { fleet, network } = createProcesses(options, stage);
  const injector = createInjector({ ...stage, fleet, chance: createChance(seed, "faults") });

  for (let i = 0; i < setting.hosts; i++) fleet.spawn();
  if (options.directed) {
    direct(options.directed, { ...stage, fleet, chance: createChance(seed, "directed") });
  } else injector.start();
  agenda.at(LOADED_MS, "all is healed", () => {
    network.heal();
    cluster.heal();
    for (const { link } of fleet.processes) {
      link.outUntil = 0;
      link.inUntil = 0;
      link.side = 0;
    }
  });
  const rest: RestOptions = { agenda, cluster, fleet, truth, exact: environment === "calm", fail };
  watchHolds(rest, LOADED_MS + 1_500);
  let stranded: Stranded = { quarantined: 0, capacity: 0 };
  agenda.at(RESTED_MS, "all is at rest", () => {
    stranded = checkStore(rest);
    checkRenewed(rest);
    const living = livingLeases(fleet);
    agenda.at(END_MS - RESTED_MS, "all have drained", () => checkClosed(rest, living));
    for (const { sidecar } of fleet.processes) sidecar?.drain(() => undefined);
  });

  while (found.violation === "" && agenda.step(END_MS + 1)) {
    if (agenda.events() > EVENTS_MAX) fail("it goes on and on");
    if (agenda.now() >= RESTED_MS || setting.faults.drain > 0) await Promise.resolve();
  }
  const { dropped, delayed, duplicated } = network.faults;
  return {
    seed,
    setting,
    violation: found.violation,
    counts: load.counts,
    faults: new Map([
      ...injector.counts,
      ["drop", dropped],
      ["delay", delayed],
      ["duplicate", duplicated],
    ]),
    storeCalls: found.storeCalls,
    births: found.births,
    events: agenda.events(),
    stranded,
    hash: agenda.hash(),
  };
}
