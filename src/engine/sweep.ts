/**
 * Looks through all that is kept, a little in each tick, and drops what nothing is lost by.
 *
 *   SW1  A home or a book that was left empty goes only if it is still the one that is in use.
 */
import { isBreakerIdle } from "../core/limit/breaker.ts";
import { isLoopOver } from "../core/limit/loop.ts";
import { isEmpty, type Account, type Books, type Home } from "./books.ts";
import { canGo } from "./idle.ts";
import type { Lease } from "./lease.ts";
import type { Now } from "./now.ts";

export interface Sweep {
  /** Goes on where it stopped, for at most so many steps. */
  some(now: Now, most: number): void;
  /** Through one book; each `next` is a step. */
  through(books: Books, now: () => Now): Generator<void, void>;
}

export interface Sweepable {
  readonly library: Map<string, Books>;
  readonly shelf: Map<string, Pick<Account, "limit" | "lease">>;
  readonly drop: (home: Home, account: Account, now: Now) => void;
  readonly close: (lease: Lease) => void;
}

export function createSweep({ library, shelf, drop, close }: Sweepable): Sweep {
  let round: Generator<void, void> | undefined;
  let present: Now = { wall: 0, latest: 0, mono: 0 };

  function* through(books: Books, now: () => Now): Generator<void, void> {
    for (const [key, home] of books.homes) {
      for (const account of home.values()) {
        if (canGo(account, now())) drop(home, account, now());
        yield;
      }
      if (home.size === 0 && books.homes.get(key) === home) books.homes.delete(key); // (SW1)
    }
    for (const [key, { state, rule }] of books.loops) {
      if (isLoopOver(state, rule, now().mono)) {
        books.loops.delete(key);
        books.live--;
      }
      yield;
    }
    for (const [key, { state, rule, owner }] of books.breakers) {
      if (isBreakerIdle(state, rule, now().mono)) {
        books.breakers.delete(key);
        owner.live--;
      }
      yield;
    }
  }

  function* all(): Generator<void, void> {
    for (const [uid, books] of library) {
      yield* through(books, () => present);
      if (isEmpty(books) && library.get(uid) === books) library.delete(uid); // (SW1)
      yield;
    }
    for (const [key, shelved] of shelf) {
      if (canGo(shelved, present)) {
        shelf.delete(key);
        close(shelved.lease);
      }
      yield;
    }
  }

  return {
    some(now, most) {
      present = now;
      round ??= all();
      for (let i = 0; i < most; i++) {
        if (!round.next().done) continue;
        round = undefined;
        return;
      }
    },
    through,
  };
}
