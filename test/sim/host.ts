/**
 * A machine with one sidecar on it: its clocks, and whether the process runs.
 *
 *   drift   the monotonic clock goes up to 1 % fast or slow
 *   stop    SIGSTOP: the process does not run while both clocks go on
 *   stall   the virtual machine is paused: the monotonic clock stands, the wall clock has gone on when it wakes
 *   step    the wall clock jumps, as an operator's or NTP's correction does; not back while the machine is paused:
 *           where both clocks hide a pause nobody can know of it, and a slot may be prolonged that is another's (I6)
 *
 * What would reach a process that does not run waits; when it wakes it finds all of it at once, and in half of the
 * cases what came from outside before the timers that have fallen due: a decision must look at the clock.
 */
import type { EpochMs } from "../../src/core/time.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Agenda } from "./agenda.ts";
import type { Chance } from "./chance.ts";

/** The wall time at which every run begins. */
export const START: EpochMs = 1_700_000_000_000;

type Came = "timer" | "input";

export interface Host {
  readonly name: string;
  /** What its hardware counts, ms: goes on through pauses of all kinds and restarts of the process. */
  time(): number;
  wall(): EpochMs;
  /** By how much its clocks have told different times: stalls and steps so far, ms. */
  shifted(): number;
  /** The clock of a process started now; its timers die with `lives`. */
  clock(lives: () => boolean): Clock;
  runs(): boolean;
  /** Now, or when the process runs again. */
  deliver(came: Came, task: () => void): void;
  stop(ms: number): void;
  stall(ms: number): void;
  stepWall(by: number): void;
}

export interface HostOptions {
  readonly name: string;
  readonly agenda: Agenda;
  readonly chance: Chance;
  /** Share by which the hardware's clock is fast. */
  readonly drift: number;
  /** How far the wall clock is off, ms. */
  readonly off: number;
}

export function createHost({ name, agenda, chance, drift, off }: HostOptions): Host {
  let stalled = 0;
  let wallOff = off;
  let stepped = 0;
  let paused = 0;
  let stalls = 0;
  let mail: { readonly came: Came; readonly task: () => void }[] = [];

  const timer = `timer ${name}`;
  const soon = `soon ${name}`;

  const time = (): number => agenda.now() * (1 + drift);

  function wake(): void {
    const waiting = mail;
    mail = [];
    const timersLast = chance.chance(0.5);
    const rank = (came: Came): number => (timersLast === (came === "timer") ? 1 : 0);
    const inOrder = [0, 1].flatMap((r) => waiting.filter(({ came }) => rank(came) === r));
    for (const { task } of inOrder) host.deliver("input", task);
  }

  function pause(ms: number, stall: boolean): void {
    paused++;
    if (stall) stalls++;
    const from = time();
    agenda.at(ms, `wake ${name}`, () => {
      if (stall) {
        stalled += time() - from;
        stalls--;
      }
      paused--;
      if (paused === 0) wake();
    });
  }

  const host: Host = {
    name,
    time,
    wall: () => Math.floor(START + time() + wallOff),
    shifted: () => stalled + stepped,
    clock(lives) {
      const origin = time() - stalled - 1 - chance.between(0, 5_000);
      const mono = (): number => time() - stalled - origin;
      return {
        wall: host.wall,
        mono,
        timer(after, task) {
          let isSet = true;
          const due = mono() + Math.max(0, after);
          const wait = (): void =>
            agenda.at((due - mono()) / (1 + drift), timer, () => {
              if (!isSet || !lives()) return;
              host.deliver("timer", () => {
                if (!isSet || !lives()) return;
                if (mono() < due - 0.001) return wait(); // the clock stood meanwhile
                isSet = false;
                task();
              });
            });
          wait();
          return () => {
            isSet = false;
          };
        },
        soon(task) {
          agenda.at(0, soon, () => {
            host.deliver("input", () => {
              if (lives()) task();
            });
          });
        },
      };
    },
    runs: () => paused === 0,
    deliver(came, task) {
      if (paused > 0) mail.push({ came, task });
      else task();
    },
    stop: (ms) => pause(ms, false),
    stall: (ms) => pause(ms, true),
    stepWall(by) {
      if (by < 0 && stalls > 0) return;
      wallOff += by;
      stepped += Math.abs(by);
    },
  };
  return host;
}
