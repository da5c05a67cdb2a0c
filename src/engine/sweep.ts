/** Drops loops and breakers that are over: their windows have passed, and nothing is lost by it. */
import { isBreakerIdle } from "../core/limit/breaker.ts";
import { isLoopOver } from "../core/limit/loop.ts";
import type { Accounts } from "./accounts.ts";
import type { Books } from "./books.ts";
import type { Now } from "./now.ts";

/** Books are visited a few at a time, round and round. */
const BOOKS_A_TICK = 200;

export function sweepRules(accounts: Accounts, now: Now): void {
  for (const books of accounts.nextBooks(BOOKS_A_TICK)) sweepBooks(books, now);
}

export function sweepBooks(books: Books, now: Now): void {
  for (const [key, { state, rule }] of books.loops) {
    if (isLoopOver(state, rule, now.mono)) drop(books, books.loops, key);
  }
  for (const [key, { state, rule }] of books.breakers) {
    if (isBreakerIdle(state, rule, now.mono)) drop(books, books.breakers, key);
  }
}

function drop(books: Books, from: Map<string, unknown>, key: string): void {
  from.delete(key);
  books.live--;
}
