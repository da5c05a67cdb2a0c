/**
 * The connection that scripts are sent on. Where grants have to be confirmed, a WAIT follows each batch on that very
 * connection, since it counts the replicas that have the writes of its own connection, and of no other.
 *
 *   CL1  An answer is confirmed only if the WAIT that was written right behind its script was acknowledged by enough.
 *   CL2  Nothing but scripts and their WAITs is sent here: who waits for a slow replica holds up nobody else.
 *
 * One batch is under way at a time, and what comes meanwhile makes the next. Without replicas to wait for there are
 * no batches: what is asked for in one turn is written at its end.
 */
import type { ScriptWords } from "./codec.ts";
import type { Link, Outcome, Words } from "./link.ts";

/** How long replicas have; fewer acknowledgements than asked for are an answer too. */
const WAIT_MS = 100;
/** So that a batch takes a few milliseconds at most. */
const BATCH = 128;

export interface ScriptCall extends ScriptWords {
  /** The slot is on its way to this node: it has to be asked for by name. */
  readonly asking: boolean;
}

export interface Confirmed {
  readonly outcome: Outcome;
  readonly isConfirmed: boolean;
}

export interface ConfirmedLine {
  readonly link: Link;
  /** One outcome for each call, never in the same turn. A script that the server does not have is sent whole. */
  send(call: ScriptCall): Promise<Confirmed>;
}

interface Pending {
  readonly call: ScriptCall;
  readonly resolve: (confirmed: Confirmed) => void;
  /** How often the server did not have the script. */
  misses: number;
}

/** Then the whole text is sent, whatever else is in the batch. */
const MOST_MISSES = 2;

/** `needed`: how many replicas have to acknowledge now. */
export function createConfirmedLine(link: Link, needed: () => number): ConfirmedLine {
  const queue: Pending[] = [];
  /** Scripts that the server should have by now, by their hash. */
  const loaded = new Set<string>();
  let isBusy = false;
  let isDue = false;

  /** The first call of a script carries its text; those behind it in the same batch find it there. */
  function wordsOf({ call, misses }: Pending): readonly Words[] {
    const { script, keys, args, asking } = call;
    const isWhole = !loaded.has(script.sha) || misses >= MOST_MISSES;
    loaded.add(script.sha);
    const named = isWhole ? ["EVAL", script.source] : ["EVALSHA", script.sha];
    const words = [...named, keys.length, ...keys, ...args];
    return asking ? [["ASKING"], words] : [words];
  }

  async function exchange(batch: readonly Pending[], replicas: number): Promise<void> {
    const scripts = batch.flatMap(wordsOf);
    const wait: readonly Words[] = replicas > 0 ? [["WAIT", replicas, WAIT_MS]] : [];
    const outcomes = await link.run([...scripts, ...wait]);
    const last = outcomes.at(-1);
    const isConfirmed =
      replicas === 0 || (last?.kind === "reply" && Number(last.reply) >= replicas); // (CL1)
    let at = 0;
    const again: Pending[] = [];
    for (const pending of batch) {
      if (pending.call.asking) at += 1;
      const outcome = outcomes[at++] ?? { kind: "lost", error: "no answer" };
      if (isUnknown(outcome) && pending.misses < MOST_MISSES) {
        pending.misses += 1;
        loaded.delete(pending.call.script.sha);
        again.push(pending);
      } else pending.resolve({ outcome, isConfirmed });
    }
    queue.unshift(...again);
  }

  async function pump(): Promise<void> {
    if (isBusy) return;
    while (queue.length > 0) {
      const replicas = needed();
      const under = exchange(queue.splice(0, BATCH), replicas);
      if (replicas === 0) {
        void under.then(pump);
        continue;
      }
      isBusy = true;
      await under;
      isBusy = false;
    }
  }

  return {
    link,
    send(call) {
      const { promise, resolve } = Promise.withResolvers<Confirmed>();
      queue.push({ call, resolve, misses: 0 });
      if (!isDue) {
        isDue = true;
        setImmediate(() => {
          isDue = false;
          void pump();
        });
      }
      return promise;
    },
  };
}

/** It was not executed, so it may be sent again. */
const isUnknown = (outcome: Outcome): boolean =>
  outcome.kind === "refused" && outcome.error.startsWith("NOSCRIPT");
