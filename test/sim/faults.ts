/**
 * What goes wrong, drawn as the run goes on: every few hundred ms a process is picked, and each fault of the setting
 * has its chance with it, or with the store.
 */
import type { Agenda } from "./agenda.ts";
import type { Chance } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import { hasRoom, type Fleet, type Process } from "./fleet.ts";
import { UNSURE_MS } from "./load.ts";
import { LIMITS, schemeOf, TENANTS, type LimitName, type Numbers } from "./scheme.ts";
import { CALM_AFTER_MS, LOADED_MS, type Faults, type Setting } from "./setting.ts";
import type { Truth } from "./truth.ts";

export interface InjectorOptions {
  readonly agenda: Agenda;
  readonly chance: Chance;
  readonly setting: Setting;
  readonly cluster: Cluster;
  readonly fleet: Fleet;
  readonly truth: Truth;
  /** Of the limits when the run began. */
  readonly numbers: Numbers;
}

/** How far all steps ahead together may take the store's clock: less than the grace. */
const AHEAD_MAX = 100;

export interface Injector {
  readonly counts: ReadonlyMap<string, number>;
  start(): void;
}

export function createInjector(options: InjectorOptions): Injector {
  const { agenda, chance, setting, cluster, fleet, truth } = options;
  const { faults, cutMaxMs } = setting;
  const counts = new Map<string, number>();
  let revision = 1;
  let ahead = 0;

  const count = (what: string, whose = ""): void => {
    counts.set(what, (counts.get(what) ?? 0) + 1);
    agenda.note(`fault: ${what} ${whose}`);
  };
  /** How long something lasts: it is over when the load is. */
  const span = (): number =>
    Math.min(
      cutMaxMs,
      LOADED_MS + 300 - agenda.now(),
      chance.around(chance.chance(0.3) ? 2_500 : 700),
    );
  const happens = (what: keyof Faults, process?: Process): boolean => {
    if (!chance.chance(faults[what])) return false;
    count(what, process?.name);
    return true;
  };

  function cut(process: Process, ms: number): void {
    const until = agenda.now() + ms;
    const { link } = process;
    const way = chance.below(4);
    if (way !== 0) link.outUntil = Math.max(link.outUntil, until);
    if (way !== 1) link.inUntil = Math.max(link.inUntil, until);
  }

  /** A loss finds some of the fleet cut off, and sometimes a newcomer. */
  function aroundLoss(): void {
    if (chance.chance(0.4) && hasRoom(fleet)) {
      agenda.at(chance.below(400), "join at a loss", () => fleet.spawn());
    }
    for (const process of fleet.processes) if (chance.chance(0.3)) cut(process, span());
  }

  function ofProcess(process: Process): void {
    if (process.isUp()) ofRunning(process);
    if (happens("wallStep", process)) {
      process.host.stepWall(chance.below(2 * stepMax) - stepMax);
      process.isStepped = true;
      const until = process.isUp() ? agenda.now() + UNSURE_MS : Infinity;
      process.unsureUntil = Math.max(process.unsureUntil, until);
    }
    if (happens("partition", process)) {
      const share = chance.pick([0, 0, 0.5, 1]);
      if (share === 0) cut(process, span());
      else for (const one of fleet.processes) if (chance.chance(share)) cut(one, span());
    }
    if (hasRoom(fleet) && happens("join")) fleet.spawn();
  }

  function ofRunning(process: Process): void {
    const away = Math.min(cutMaxMs, chance.around(400));
    if (happens("crash", process)) return fleet.crash(process, "journal", away);
    if (happens("journalLoss", process)) return fleet.crash(process, "nothing", chance.around(500));
    if (happens("torn", process)) return fleet.crash(process, "torn", chance.around(500));
    if (happens("reboot", process)) return fleet.crash(process, "rebooted", chance.around(500));
    if (happens("drain", process)) {
      const kept = !canLose || chance.chance(0.5);
      return fleet.drain(process, kept ? "journal" : "nothing", chance.around(400));
    }
    if (process.host.runs() && happens("stop", process)) process.host.stop(span());
    if (process.host.runs() && happens("stall", process)) {
      const ms = span();
      process.host.stall(ms);
      process.unsureUntil = Math.max(process.unsureUntil, agenda.now() + ms + UNSURE_MS);
    }
    if (hasRoom(fleet) && happens("twin", process)) fleet.twin(process);
    if (happens("diskFull", process)) {
      process.disk.fill(true, chance.chance(0.5));
      agenda.at(span(), "disk is free again", () => process.disk.fill(false));
    }
  }

  /**
   * A process that starts anew knows by the wall clock alone how long its ledgers were idle. It closes those that
   * nobody used for a minute; and where the store forgets, what was closed then is forgotten, too (A1).
   */
  const stepMax = setting.environment === "E2" || setting.environment === "E3" ? 20_000 : 3_600_000;

  /** A process may end without its journal only where the assumptions about losses allow it (A1). */
  const canLose = setting.environment === "E0" || setting.environment === "E1";

  function ofStore(): void {
    const node = cluster.primary();
    if (!node.alive) return;
    if (happens("clockBack")) node.skew -= chance.below(200);
    if (ahead < AHEAD_MAX && happens("clockAhead")) {
      const by = chance.below(AHEAD_MAX - ahead);
      ahead += by;
      node.skew += by;
      truth.clockStepped(by);
    }
    if (happens("stuck")) node.busyUntil = agenda.now() + Math.min(span(), 600);
    if (happens("refuse")) {
      node.refuses = chance.pick([
        "OOM command not allowed",
        "READONLY You can't write",
        "LOADING",
      ]);
      agenda.at(Math.min(span(), 600), "obeys again", () => {
        node.refuses = "";
      });
    }
    if (happens("linkDown")) {
      node.linkDownSince = agenda.now();
      agenda.at(span(), "link is up", () => {
        if (!cluster.isSplit()) node.linkDownSince = Infinity;
      });
    }
    if (!cluster.isSplit()) ofData();
  }

  function ofData(): void {
    if (happens("failover")) {
      aroundLoss();
      if (happens("split")) {
        cluster.split(chance.around(1_500));
        for (const { link } of fleet.processes) link.side = chance.chance(0.5) ? 1 : 0;
        return;
      }
      const lost = setting.environment === "E2" ? chance.below(40) : 0;
      const skew = chance.chance(0.3) ? chance.below(300) - 150 : 0;
      return cluster.failover({ lost, downMs: 50 + chance.below(300), skew });
    }
    if (happens("shardLoss")) {
      aroundLoss();
      return cluster.loseShard(chance.pick([...TENANTS, "/platform"]));
    }
    if (happens("totalLoss")) {
      aroundLoss();
      cluster.loseAll(20 + chance.below(150));
    }
  }

  /** Other numbers for the budgets, under a higher revision; some sidecars hear of it late or never. */
  function ofLimits(): void {
    if (!happens("reload")) return;
    revision++;
    const changed: readonly LimitName[] = ["plat", "month", "dept", "once"];
    const entries = LIMITS.map((name) => {
      const first = options.numbers[name];
      const isChanged = changed.includes(name);
      return [
        name,
        isChanged ? Math.max(40, Math.floor(first * (0.5 + chance.next()))) : first,
      ] as const;
    });
    const numbers = Object.fromEntries(entries) as Numbers;
    truth.renumber(numbers);
    fleet.reload(schemeOf(setting, numbers, revision), 0.7);
  }

  function turn(): void {
    if (agenda.now() > CALM_AFTER_MS) return;
    truth.tick(); // what is due expires before anybody is stopped
    const process = fleet.processes[chance.below(fleet.processes.length)];
    if (process) ofProcess(process);
    ofStore();
    ofLimits();
    const losing = setting.environment === "E0" ? 0 : 250;
    agenda.at(chance.around(losing === 0 ? 400 : 550) + losing, "faults", turn);
  }

  return {
    counts,
    start: () => agenda.at(500 + chance.below(800), "faults", turn),
  };
}
