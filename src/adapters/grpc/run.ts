/** Runs operations on the engine for a transport: measured, and with refusals in the log, a few a second. */
import type { Operation } from "../../core/operation.ts";
import { isRejection, type Rejection } from "../../core/rejection.ts";
import type { Answer } from "../../core/verdict.ts";
import type { Log } from "../../ports/log.ts";
import type { Done, Quota } from "../../ports/quota.ts";
import type { Timings } from "../../ports/telemetry.ts";
import type { Exchange } from "./exchange.ts";

export type Result = Answer | Rejection;
export type Run = (exchange: Exchange, operation: Operation, done: Done<Answer>) => void;

/** Between two denials in the log, ms: a tenant at its limit must not fill a disk. */
const DENIAL_LOG_INTERVAL_MS = 100;

export function createRun(quota: Quota, timings: Timings, log: Log): Run {
  const sample = sampleDenials(log);
  return (exchange, operation, done) => {
    const started = performance.now();
    quota.run(exchange, operation, (answer) => {
      const now = performance.now();
      timings.decided(operation.op, now - started);
      if (!isRejection(answer)) {
        exchange.made(operation, answer);
        sample(answer, now);
      }
      done(answer);
    });
  };
}

function sampleDenials(log: Log): (answer: Answer, now: number) => void {
  let next = 0;
  let skipped = 0;
  return (answer, now) => {
    if (answer.op === "commit" || answer.op === "release") return;
    const { decision, denial, decisionId } = answer.verdict;
    if (decision !== "deny" || denial === undefined) return;
    if (now < next) {
      skipped += 1;
      return;
    }
    const { reason, limit } = denial;
    log.debug({ rpc: answer.op, reason, limit, decisionId, skipped }, "denied");
    next = now + DENIAL_LOG_INTERVAL_MS;
    skipped = 0;
  };
}

/** What is asked in one message of a Batch or Stream: read already, or the first thing that is wrong. */
export type Item = Operation | Rejection;

/** Starts all in their order and waits for none: each stands alone, and one that waits holds none up. */
export function runTogether(
  run: Run,
  exchange: Exchange,
  items: readonly Item[],
  done: (results: readonly Result[]) => void,
): void {
  const results: Result[] = Array.from({ length: items.length });
  let missing = items.length;
  const settle = (i: number, result: Result): void => {
    results[i] = result;
    missing -= 1;
    if (missing === 0) done(results);
  };
  for (const [i, item] of items.entries()) {
    if (isRejection(item)) settle(i, item);
    else run(exchange, item, (answer) => settle(i, answer));
  }
}

/** Starts each when the one before it has its answer. */
export function runInOrder(
  run: Run,
  exchange: Exchange,
  items: readonly Item[],
  done: (results: readonly Result[]) => void,
): void {
  const results: Result[] = [];
  // A loop, not a recursion: most answers come in the same turn, and a message has up to 1,000 of them.
  const proceed = (): void => {
    let item = items[results.length];
    while (item !== undefined) {
      if (isRejection(item)) {
        results.push(item);
      } else {
        const expected = results.length + 1;
        let inLoop = true;
        run(exchange, item, (answer) => {
          results.push(answer);
          if (!inLoop) proceed();
        });
        inLoop = false;
        if (results.length < expected) return;
      }
      item = items[results.length];
    }
    done(results);
  };
  proceed();
}
