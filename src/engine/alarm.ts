/** One timer, set to the earliest moment at which something is due. */
import type { Clock } from "../ports/clock.ts";

export interface Alarm {
  /** Something may be due earlier than it was. */
  set(): void;
  stop(): void;
}

export interface AlarmOptions {
  readonly clock: Clock;
  /** When to ring (mono). Asked when nothing is set. */
  readonly next: (mono: number) => number;
  /** What may come earlier than what is set, at any time; undefined: nothing does. */
  readonly sooner: (() => number) | undefined;
  readonly ring: () => void;
}

export function createAlarm({ clock, next, sooner, ring }: AlarmOptions): Alarm {
  let cancel: () => void = () => undefined;
  let setFor = Infinity;
  let isStopped = false;
  return {
    set() {
      const isSet = setFor !== Infinity;
      if (isStopped || (isSet && !sooner)) return;
      const mono = Math.floor(clock.mono());
      const due = Math.min(sooner?.() ?? Infinity, isSet ? Infinity : next(mono));
      if (due >= setFor) return;
      cancel();
      setFor = due;
      cancel = clock.timer(Math.max(1, due - mono), () => {
        setFor = Infinity;
        ring();
      });
    },
    stop() {
      isStopped = true;
      cancel();
    },
  };
}
