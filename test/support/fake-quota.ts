/**
 * A Quota that a test holds in its hands: it admits everything, remembers what it was asked, and answers at
 * once or, while it is held, when the test says so.
 */
import type { Operation } from "../../src/core/operation.ts";
import type { Rejection } from "../../src/core/rejection.ts";
import type { Answer, Verdict } from "../../src/core/verdict.ts";
import type { Call, Quota } from "../../src/ports/quota.ts";

export const ALLOWED: Verdict = {
  decision: "allow",
  source: "lease",
  degraded: false,
  limits: [],
  decisionId: "",
};

export interface FakeQuota extends Quota {
  readonly asked: readonly Operation[];
  readonly calls: readonly Call[];
  readonly abandoned: readonly string[];
  /** Replaces the next answers, first in first out. */
  readonly scripted: (Answer | Rejection | Error)[];
  /** From here on nothing is answered. */
  hold(): void;
  /** Answers what waits, in order, and stops holding. */
  letGo(): void;
  waiting(): number;
  /** Resolves when this many wait. */
  whenWaiting(count: number): Promise<void>;
  /** Resolves when this many were abandoned. */
  whenAbandoned(count: number): Promise<void>;
}

function answerTo(operation: Operation, id: string): Answer {
  switch (operation.op) {
    case "check":
      return { op: "check", verdict: ALLOWED };
    case "reserve":
      return {
        op: "reserve",
        verdict: ALLOWED,
        reservationId: operation.dryRun ? "" : id,
        reserved: operation.amounts,
      };
    case "commit":
      return {
        op: "commit",
        charged: operation.amounts,
        released: [],
        overage: [],
        uncharged: [],
        late: false,
        verdict: ALLOWED,
      };
    case "release":
      return { op: "release", released: [] };
    case "extend":
      return { op: "extend", verdict: ALLOWED, expiresAt: 0 };
    case "consume":
      return { op: "consume", verdict: ALLOWED, charged: operation.amounts };
  }
}

export function createFakeQuota(): FakeQuota {
  const asked: Operation[] = [];
  const calls: Call[] = [];
  const abandoned: string[] = [];
  const scripted: (Answer | Rejection | Error)[] = [];
  const watchers: { readonly reached: () => boolean; readonly resolve: () => void }[] = [];
  let held: (() => void)[] | undefined;

  const until = (reached: () => boolean): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    watchers.push({ reached, resolve });
    tell();
    return promise;
  };
  const tell = (): void => {
    for (const { reached, resolve } of watchers) if (reached()) resolve();
  };

  return {
    asked,
    calls,
    abandoned,
    scripted,
    hold: () => {
      held = [];
    },
    letGo: () => {
      const waiting = held ?? [];
      held = undefined;
      for (const answer of waiting) answer();
    },
    waiting: () => held?.length ?? 0,
    whenWaiting: (count) => until(() => (held?.length ?? 0) >= count),
    whenAbandoned: (count) => until(() => abandoned.length >= count),
    run(call, operation, done) {
      asked.push(operation);
      calls.push(call);
      const id = `r${asked.length}`;
      const answer = (): void => {
        const script = scripted.shift();
        if (script instanceof Error) throw script;
        done(script ?? answerTo(operation, id));
      };
      if (held === undefined) return answer();
      held.push(answer);
      tell();
    },
    balance: (_call, _subject, _refresh, done) => done([]),
    explain: (_call, _request, done) =>
      done({ verdict: ALLOWED, plan: "free", policyVersion: "v", derived: [] }),
    reservations: (_call, _filter, done) => done({ reservations: [], nextPageToken: "" }),
    abandon: (id) => {
      abandoned.push(id);
      tell();
    },
  };
}
