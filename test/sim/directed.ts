/**
 * Schedules written for rules that random faults hardly reach: nothing else goes wrong in them, and times and amounts
 * vary with the seed.
 */
import { MINUTE } from "../../src/core/time.ts";
import type { Agenda } from "./agenda.ts";
import type { Chance } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import type { Fleet, Process } from "./fleet.ts";
import { UNSURE_MS, type LoadPart } from "./load.ts";
import { firstNumbers, type LimitName } from "./scheme.ts";
import type { Environment, Setting } from "./setting.ts";
import type { Truth } from "./truth.ts";

export const DIRECTIONS = [
  "burst",
  "forward",
  "saturate",
  "ahead",
  "newcomer",
  "lost",
  "knower",
] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** The environment that each is written for. */
export const ENVIRONMENT_OF: Readonly<Record<Direction, Environment>> = {
  burst: "E0",
  forward: "E0",
  saturate: "E1",
  ahead: "E1",
  newcomer: "E2",
  lost: "E2",
  knower: "E3",
};

export interface Stage {
  readonly agenda: Agenda;
  readonly chance: Chance;
  readonly setting: Setting;
  readonly cluster: Cluster;
  readonly fleet: Fleet;
  readonly load: LoadPart;
  readonly truth: Truth;
}

interface Asking {
  /** How long the units are used, ms; as long as the run where absent. */
  readonly useMs?: number;
  readonly ttlMs?: number;
  readonly waitMs?: number;
  readonly key?: string;
}

function stagehands({ agenda, chance, load, setting }: Stage) {
  const numbers = firstNumbers(setting);
  return {
    numbers,
    at: (after: number, task: () => void): void => agenda.at(after, "directed", task),
    ask(process: Process, limit: LimitName, units: number, asking: Asking = {}): void {
      if (!process.isUp()) return;
      load.ask(process, {
        tenant: "acme",
        amounts: { [limit]: units },
        ttlMs: asking.ttlMs ?? 5_000,
        waitMs: asking.waitMs ?? 100,
        key: asking.key ?? "",
        useMs: asking.useMs ?? 100_000,
      });
    },
    every(from: number, to: number, step: number, task: () => void): void {
      for (let t = from; t < to; t += step) agenda.at(t + chance.below(step), "directed", task);
    },
    cut(process: Process, ms: number): void {
      process.link.outUntil = agenda.now() + ms;
      process.link.inUntil = agenda.now() + ms;
    },
  };
}

export function direct(direction: Direction, stage: Stage): void {
  const [p, q] = stage.fleet.processes;
  if (p && q) SCHEDULES[direction](stage, p, q);
}

/** A twenty-fifth of the budget, and half of it. */
const partOf = (units: number): number => Math.ceil(units / 25);
const halfOf = (units: number): number => Math.ceil(units / 2);

const SCHEDULES: Readonly<Record<Direction, (stage: Stage, p: Process, q: Process) => void>> = {
  /** A process is stopped over the end of its rate lease, the units are refilled; then everybody bursts. */
  burst(stage, p, q) {
    const { at, ask, every, numbers } = stagehands(stage);
    const useMs = 20;
    every(100, 700, 8, () => ask(p, "rate", 1, { useMs }));
    at(730, () => p.host.stop(2_290));
    every(900, 3_000, 400, () => ask(q, "rate", 1, { useMs }));
    for (let i = 0; i < numbers.rate; i++) at(2_900 + i / 8, () => ask(p, "rate", 1, { useMs }));
    every(3_000, 3_500, 4, () => ask(q, "rate", 1, { useMs }));
  },
  /**
   * The wall clock is set ahead by more than keys are remembered, and the process goes on from its journal: for all that
   * it can tell, that long it was away.
   */
  forward(stage, p, q) {
    const { at, ask, every } = stagehands(stage);
    let keys = 0;
    every(200, 3_000, 10, () => ask(p, "month", 1, { useMs: 20, key: `forward${keys++}` }));
    every(200, 3_000, 100, () => ask(q, "month", 1, { useMs: 20 }));
    at(1_500, () => {
      p.host.stepWall(20 * MINUTE);
      p.isStepped = true;
      p.unsureUntil = stage.agenda.now() + UNSURE_MS;
      stage.fleet.crash(p, "journal", 20);
    });
  },
  /** A saturated rate, and each promoted node's clock is ahead of the last one's. */
  saturate(stage, p, q) {
    const { at, ask, every } = stagehands(stage);
    const { chance, cluster } = stage;
    every(300, 5_000, 6, () => ask(p, "rate", 1, { useMs: 20 }));
    every(300, 5_000, 6, () => ask(q, "rate", 1, { useMs: 20 }));
    for (let t = 1_000; t < 5_000; t += 700) {
      at(t + chance.below(300), () =>
        cluster.failover({ lost: 0, downMs: 50, skew: 100 + chance.below(150) }),
      );
    }
  },
  /** Live slots, and the promoted node's clock is ahead by more than a lease, less than the ledger's life. */
  ahead(stage, p, q) {
    const { at, ask, every } = stagehands(stage);
    const { chance, cluster } = stage;
    const slot = { useMs: 450, ttlMs: 700 };
    every(200, 4_000, 30, () => ask(p, "slots", 0, { ...slot, waitMs: 30 }));
    at(1_500 + chance.below(500), () => {
      cluster.failover({ lost: 0, downMs: 50, skew: 1_850 + chance.below(350) });
      every(40, 1_500, 5, () => ask(q, "slots", 0, { ...slot, waitMs: 200 }));
    });
  },
  /** A newcomer's only grant lies in the suffix that the failover loses; it is cut off while all others come back. */
  newcomer(stage, p, q) {
    const { at, ask, every, cut, numbers } = stagehands(stage);
    const { chance, cluster, fleet } = stage;
    every(100, 1_400, 100, () => ask(p, "month", 1));
    every(100, 1_400, 100, () => ask(q, "month", 1));
    at(1_500, () => {
      const late = fleet.spawn();
      at(120, () => {
        ask(late, "month", halfOf(numbers.month));
        at(25, () => {
          cluster.failover({ lost: 1 + chance.below(3), downMs: 60, skew: 0 });
          cut(late, 600 + chance.below(200));
          every(100, 2_500, 20, () => ask(q, "month", partOf(numbers.month)));
        });
      });
    });
  },
  /** The shard is lost; the only holder that knows the ledger is cut off, and a newcomer comes first. */
  lost(stage, p, q) {
    const { at, ask, every, cut, numbers } = stagehands(stage);
    const { chance, cluster } = stage;
    at(1_000, () => ask(p, "month", halfOf(numbers.month)));
    at(1_030 + chance.below(100), () => {
      cluster.loseShard("acme");
      cut(p, 600 + chance.below(200));
      every(20, 2_500, 20, () => ask(q, "month", 5 * partOf(numbers.month)));
    });
  },
  /** All is lost; one holder is back within the birth window, the one with the youngest grant only within learning. */
  knower(stage, p, q) {
    const { at, ask, every, cut, numbers } = stagehands(stage);
    const { chance, cluster, fleet } = stage;
    at(1_300, () => ask(p, "month", 1));
    at(1_900, () => ask(q, "month", halfOf(numbers.month)));
    at(1_930, () => {
      cluster.loseAll(20);
      cut(p, 150 + chance.below(100));
      cut(q, 1_150 + chance.below(200));
      const late = fleet.spawn();
      every(100, 2_500, 20, () => ask(late, "month", 5 * partOf(numbers.month)));
    });
  },
};
