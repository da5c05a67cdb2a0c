/**
 * All sidecars of a run, and what may befall a process: it crashes with its journal intact, torn or gone, its machine
 * starts anew, it drains, it is copied.
 */
import type { Scheme } from "./scheme.ts";
import type { Agenda } from "./agenda.ts";
import type { Chance } from "./chance.ts";
import { createDisk, type Disk } from "./disk.ts";
import { createHost, type Host } from "./host.ts";
import type { Member } from "./load.ts";
import { createOverheard, type Overheard } from "./overheard.ts";
import { createSidecar, type Sidecar, type World } from "./sidecar.ts";
import type { Owner } from "./known.ts";
import type { Truth } from "./truth.ts";
import type { Link } from "./wire.ts";

/** What is left of a process that ends. */
export type Leaves = "journal" | "torn" | "rebooted" | "nothing";

export interface Process extends Member {
  readonly host: Host;
  readonly disk: Disk;
  readonly link: Link;
  sidecar: Sidecar | undefined;
  readonly overheard: Overheard;
  /** It went on from a journal that was not its own or not whole: it may hold what nobody knows of. */
  isTorn: boolean;
  /** Its wall clock was set while it ran: who goes on from its journal takes deadlines from before by it. */
  isStepped: boolean;
  downs: number;
}

export interface Fleet {
  readonly processes: readonly Process[];
  spawn(): Process;
  /** Ends now, and starts again after `downMs`. */
  crash(process: Process, leaves: Leaves, downMs: number): void;
  drain(process: Process, leaves: Leaves, downMs: number): void;
  /** A second process with a copy of the journal. */
  twin(process: Process): void;
  /** A new revision; each process hears of it with this chance. */
  reload(scheme: Scheme, share: number): void;
}

export interface FleetOptions {
  readonly agenda: Agenda;
  readonly chance: Chance;
  readonly seed: number;
  readonly world: World;
  readonly truth: Truth;
  readonly first: Scheme;
  readonly begin: (member: Member) => void;
}

const PROCESSES_MAX = 9;

export function createFleet(options: FleetOptions): Fleet {
  const { agenda, chance, world, truth } = options;
  const { drift } = world.setting.faults;
  const processes: Process[] = [];
  let scheme = options.first;
  let started = 0;

  function ownerOf(host: Host): Owner {
    return {
      name: `${host.name}.${started}`,
      host: host.name,
      runs: () => host.runs() && (processes.find((one) => one.host === host)?.isUp() ?? true),
      time: host.time,
      shifted: host.shifted,
    };
  }

  function boot(process: Process): void {
    started++;
    process.sidecar = createSidecar({
      world,
      host: process.host,
      disk: process.disk,
      link: process.link,
      document: scheme.document,
      seed: Math.imul(options.seed, 0x9e3779b1) + started,
      overheard: process.overheard,
      died: () => crash(process, "journal", chance.around(200)),
    });
    agenda.note(`${process.name} starts`);
  }

  function create(): Process {
    const name = `p${processes.length}`;
    const host = createHost({
      name,
      agenda,
      chance,
      drift: drift * (2 * chance.next() - 1),
      off: chance.below(200) - 100,
    });
    let waiting = 0;
    const overheard = createOverheard(agenda.now);
    const process: Process = {
      name,
      host,
      disk: createDisk(agenda),
      link: { outUntil: 0, inUntil: 0, side: 0 },
      owner: ownerOf(host),
      sidecar: undefined,
      overheard,
      isTorn: false,
      isStepped: false,
      unsureUntil: 0,
      downs: 0,
      wall: host.wall,
      isUp: () => process.sidecar?.lives() ?? false,
      waiting: () => waiting,
      overageOf: overheard.take,
      keeps: (id) => process.disk.keeps(id),
      submit(call, operation, done) {
        const { sidecar } = process;
        if (!sidecar?.lives()) return agenda.at(0, "nobody", () => done("nobody"));
        waiting++;
        host.deliver("input", () => {
          waiting--;
          if (sidecar.lives()) sidecar.run(call, operation, done);
          else agenda.at(0, "nobody", () => done("nobody"));
        });
      },
    };
    processes.push(process);
    return process;
  }

  function spawn(): Process {
    const process = create();
    boot(process);
    options.begin(process);
    return process;
  }

  function crash(process: Process, leaves: Leaves, downMs: number): void {
    const { disk, host } = process;
    agenda.note(`${process.name} ends, leaves ${leaves}`);
    truth.tick(); // what was due had expired by now
    // Neither the disk nor the store heard that the journal failed: that nobody can know (HS3).
    if (disk.deceives() && (process.sidecar?.wire.retiring() ?? 0) > 0) disk.lose();
    process.sidecar?.kill();
    process.sidecar = undefined;
    const mayBeOpen = agenda.now() < process.unsureUntil || !host.runs(); // what was made before that
    if (process.isStepped && mayBeOpen) process.unsureUntil = Infinity;
    process.isStepped = false;
    const downs = ++process.downs;
    if (leaves === "torn") disk.tear();
    if (leaves === "rebooted") disk.reboot();
    if (leaves === "nothing") disk.lose();
    if (leaves !== "journal" || disk.failed()) {
      process.isTorn = true;
      truth.lose(process.owner);
      process.owner = ownerOf(host);
    }
    agenda.at(downMs, `start ${process.name}`, () => {
      if (process.downs === downs) boot(process);
    });
  }

  return {
    processes,
    spawn,
    crash,
    drain(process, leaves, downMs) {
      const { sidecar } = process;
      if (!sidecar) return;
      agenda.note(`${process.name} drains`);
      process.downs++;
      const end = (): void => {
        if (process.sidecar === sidecar)
          agenda.at(1, "drained", () => crash(process, leaves, downMs));
      };
      truth.drained(process.owner, () => sidecar.drain(end)); // (S27)
      agenda.at(1_500, "drain ends", () => {
        if (process.sidecar === sidecar && sidecar.lives()) crash(process, leaves, downMs);
      });
    },
    twin(process) {
      if (processes.length >= PROCESSES_MAX) return;
      agenda.note(`${process.name} is copied`);
      const copy = create();
      copy.isTorn = true;
      process.disk.copyTo(copy.disk);
      boot(copy);
      options.begin(copy);
    },
    reload(next, share) {
      scheme = next;
      for (const { sidecar } of processes) {
        if (sidecar?.lives() && chance.chance(share)) sidecar.reload(next.document);
      }
    },
  };
}

export const hasRoom = ({ processes }: Fleet): boolean => processes.length < PROCESSES_MAX;
