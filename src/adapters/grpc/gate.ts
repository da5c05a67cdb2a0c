/**
 * The calls that are open, and whether new ones are taken. Health and reflection do not pass here: they
 * answer to the end.
 */
/** A call that may stay open for long, and is told to come to an end. */
export interface LongCall {
  drain(): void;
}

export interface Gate {
  isDraining(): boolean;
  enter(): void;
  leave(): void;
  /** A long call enters and leaves as any other, besides. */
  enterLong(call: LongCall): void;
  leaveLong(call: LongCall): void;
  longCalls(): number;
  /** From here on new calls are refused. Resolves when no call is open. */
  drain(): Promise<void>;
}

export function createGate(): Gate {
  let open = 0;
  let whenIdle: PromiseWithResolvers<void> | undefined;
  const long = new Set<LongCall>();

  return {
    isDraining: () => whenIdle !== undefined,
    enter: () => {
      open += 1;
    },
    leave: () => {
      open -= 1;
      if (open === 0) whenIdle?.resolve();
    },
    enterLong: (call) => void long.add(call),
    leaveLong: (call) => void long.delete(call),
    longCalls: () => long.size,
    drain: () => {
      if (whenIdle === undefined) {
        whenIdle = Promise.withResolvers();
        for (const call of long) call.drain();
        if (open === 0) whenIdle.resolve();
      }
      return whenIdle.promise;
    },
  };
}
