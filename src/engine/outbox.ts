/**
 * What leaves the engine: answers, and messages to a store.
 *
 *   OU1  With a journal, nothing leaves before all that it depends on was written.
 *   OU2  What was decided in one turn of the event loop costs one write; it leaves in the order of deciding.
 *   OU3  A journal that fails stops nobody: what waits leaves, and so does all that comes later.
 */
import type { Clock } from "../ports/clock.ts";
import type { Journal } from "../ports/journal.ts";

export interface Outbox {
  /** Runs `task` when everything until now was written; at once where there is no journal. */
  send(task: () => void): void;
  /** Whether what has been written is there for the next process. */
  keeps(): boolean;
  /** Something may have changed: it is written soon. */
  wake(): void;
  /** Writes, and sends, now. */
  flush(): void;
}

/** `lost`: called once, when a write has failed, before anything leaves; whether the journal says so to its reader. */
export function createOutbox(
  clock: Pick<Clock, "soon">,
  journal: Journal | undefined,
  lost: (isMarked: boolean) => void = () => undefined,
): Outbox {
  if (!journal) {
    const nothing = (): void => undefined;
    return { send: (task) => task(), keeps: () => false, wake: nothing, flush: nothing };
  }
  let waiting: (() => void)[] = [];
  let isSet = false;
  let isLost = false;

  const outbox: Outbox = {
    send(task) {
      waiting.push(task);
      outbox.wake();
    },
    keeps: () => !isLost,
    wake() {
      if (isSet) return;
      isSet = true;
      clock.soon(() => outbox.flush());
    },
    flush() {
      isSet = false;
      const tasks = waiting;
      waiting = [];
      const isWritten = journal.write(); // (OU1)
      if (!isWritten && !isLost) {
        isLost = true;
        lost(journal.isMarked()); // (OU3)
      }
      let done = 0;
      try {
        for (; done < tasks.length; done++) tasks[done]?.();
      } finally {
        // One that throws is a defect; the others are answered all the same while it ends the process.
        const rest = tasks.slice(done + 1);
        if (rest.length > 0) waiting = [...rest, ...waiting];
        if (waiting.length > 0) outbox.wake();
      }
    },
  };
  return outbox;
}
