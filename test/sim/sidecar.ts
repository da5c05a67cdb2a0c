/**
 * One process: the production engine on simulated ports. Everything that would leave it is held back once it is
 * dead, even in the middle of a turn: what its journal holds by then is all that is left of it.
 */
import type { Operation } from "../../src/core/operation.ts";
import type { Rejection } from "../../src/core/rejection.ts";
import type { PolicyDocument } from "../../src/core/policy/document.ts";
import type { Answer, Balance } from "../../src/core/verdict.ts";
import { createEngine, type Engine } from "../../src/engine/driver.ts";
import type { Calendar } from "../../src/ports/calendar.ts";
import type { Call } from "../../src/ports/quota.ts";
import { aSubject } from "../support/builders.ts";
import { createSeededRng } from "../support/seeded-rng.ts";
import type { Agenda } from "./agenda.ts";
import type { Chance } from "./chance.ts";
import type { Cluster, Node } from "./cluster.ts";
import type { Disk } from "./disk.ts";
import type { Host } from "./host.ts";
import type { Gone } from "./load.ts";
import type { Overheard } from "./overheard.ts";
import { LOADED_MS, type Setting } from "./setting.ts";
import { createWire, type Link, type Network, type Wire } from "./wire.ts";

export interface Sidecar {
  readonly wire: Wire;
  lives(): boolean;
  run(call: Call, operation: Operation, done: (answer: Answer | Rejection | Gone) => void): void;
  reload(document: PolicyDocument): void;
  /** SIGTERM; `done` when it has given everything back. */
  drain(done: () => void): void;
  /** Everything that is listed for the tenant. */
  balances(tenant: string, done: (balances: readonly Balance[]) => void): void;
  openReservations(): number;
  /** It is gone, at once; whoever waits for an answer gets none. */
  kill(): void;
}

export interface World {
  readonly agenda: Agenda;
  readonly setting: Setting;
  readonly network: Network;
  readonly cluster: Cluster;
  readonly calendar: Calendar;
  readonly netChance: Chance;
  readonly diskChance: Chance;
  readonly fail: (what: string) => void;
  readonly births: () => void;
  readonly publish: (node: Node, hints: Parameters<Wire["hear"]>[1][]) => void;
}

export interface SidecarOptions {
  readonly world: World;
  readonly host: Host;
  readonly disk: Disk;
  readonly link: Link;
  readonly document: PolicyDocument;
  readonly seed: number;
  readonly overheard: Overheard;
  /** It died by itself, in the middle of a turn. */
  readonly died: () => void;
}

const SILENT = { debug: ignore, info: ignore, warn: ignore, error: ignore };
function ignore(): void {}

export function createSidecar(options: SidecarOptions): Sidecar {
  const { world, host, disk, link } = options;
  const { agenda, setting, fail } = world;
  const waiting = new Set<(answer: Gone) => void>();
  let isAlive = true;
  let isDraining = false;
  const lives = (): boolean => isAlive;
  const clock = host.clock(lives);

  const wire = createWire({
    agenda,
    chance: world.netChance,
    network: world.network,
    cluster: world.cluster,
    host,
    link,
    clock,
    lives,
    setting,
    births: world.births,
    publish: (node, hints) => world.publish(node, [...hints]),
  });

  /** At each journal write it may be the last thing that this process does, or one that it never did. */
  function aroundWrite(): boolean {
    if (
      isAlive &&
      !isDraining && // it would be open whether what was open has ended
      agenda.now() < LOADED_MS &&
      world.diskChance.chance(setting.faults.crashInTurn)
    ) {
      options.died(); // told while it lives: it has seen what was due until now
      kill();
    }
    return isAlive;
  }

  function kill(): void {
    isAlive = false;
    for (const gone of Array.from(waiting)) gone("cut off");
    waiting.clear();
  }

  /** A defect that the engine finds in itself ends the run. */
  function guarded<T>(what: string, act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      fail(
        `${host.name} ${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
      return undefined;
    }
  }

  const guardedClock = {
    ...clock,
    timer: (after: number, task: () => void) => clock.timer(after, () => guarded("timer", task)),
    soon: (task: () => void) => clock.soon(() => guarded("soon", task)),
  };
  const engine = guarded("start", (): Engine => {
    const recovered = disk.recovered();
    return createEngine({
      document: options.document,
      calendar: world.calendar,
      clock: guardedClock,
      rng: createSeededRng(options.seed),
      log: SILENT,
      telemetry: options.overheard.telemetry,
      idempotencyKeys: 100_000,
      waitMs: 250,
      store: { shared: guardedStore(wire, guarded), label: host.name, terms: setting.terms },
      journal: { recovered, journal: disk.open(aroundWrite) },
    });
  });

  return {
    wire,
    lives,
    run(call, operation, done) {
      if (isDraining) return agenda.at(0, "refused", () => done("nobody"));
      const finish = (answer: Answer | Rejection | Gone): void => {
        if (!waiting.delete(finish)) return;
        done(answer);
      };
      waiting.add(finish);
      guarded(operation.op, () =>
        engine?.run(call, operation, (answer) => isAlive && finish(answer)),
      );
    },
    reload: (document) => guarded("reload", () => engine?.reload(document)),
    drain(done) {
      isDraining = true;
      const drained = guarded("drain", () => engine?.drain());
      void drained?.then(() => isAlive && done());
    },
    balances(tenant, done) {
      const subject = aSubject({ tenant });
      const call = { caller: { tenant: "", platform: true }, deadline: Infinity };
      guarded("balance", () =>
        engine?.balance(call, subject, false, (answer) => {
          if (isAlive && !("reason" in answer)) done(answer);
        }),
      );
    },
    openReservations: () => engine?.openReservations() ?? 0,
    kill,
  };
}

/** The engine's own code runs in these callbacks too. */
function guardedStore(wire: Wire, guarded: (what: string, act: () => void) => void): Wire {
  return {
    ...wire,
    sync: (message, done) => wire.sync(message, (reply) => guarded("reply", () => done(reply))),
    read: (uid, keys, done) => wire.read(uid, keys, (views) => guarded("views", () => done(views))),
    listen: (listener) =>
      wire.listen({
        up: (isUp) => guarded("up", () => listener.up(isUp)),
        changed: () => guarded("changed", () => listener.changed()),
        hint: (hint) => guarded("hint", () => listener.hint(hint)),
      }),
  };
}
