/** Agents in the test's own process, each of one sidecar, that go on through everything that is done to the fleet. */
import { newBooks, type Books } from "./client-books.ts";
import type { FleetMember } from "./fleet-sidecars.ts";
import { A_PLAN, spend, type SpendingPlan } from "./spenders.ts";

export interface Agents {
  readonly books: Books;
  /** Resolves when as many more operations have been admitted. */
  admitted(more: number): Promise<void>;
  /** Resolves when something that was admitted or refused is as wanted. */
  sees(condition: (books: Books) => boolean): Promise<void>;
  /** Resolves when they have ended by themselves: nothing is admitted any more. */
  readonly done: Promise<void>;
  /** Ends them; resolves when the last one has its answer. */
  stop(): Promise<void>;
}

export function startAgents(
  members: readonly FleetMember[],
  plan: Partial<SpendingPlan>,
  count = 24,
): Agents {
  const books = newBooks();
  let isOver = false;
  const whole = { ...A_PLAN, ...plan };
  const all = Array.from({ length: count }, (_, i) => {
    const place = members[i % members.length];
    if (place === undefined) throw new Error("a fleet of none");
    const name = `agent-${i}`;
    return spend({ name, at: () => place, plan: whole, books, isOver: () => isOver });
  });
  const done = Promise.all(all).then(() => undefined);
  const sees = async (condition: (books: Books) => boolean): Promise<void> => {
    while (!condition(books)) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  return {
    books,
    done,
    sees,
    admitted(more) {
      const enough = books.admissions.length + more;
      return sees(({ admissions }) => admissions.length >= enough);
    },
    stop() {
      isOver = true;
      return done;
    },
  };
}
