import { expect, test } from "vitest";
import {
  confirmFindings,
  neededReplicas,
  type Confirm,
} from "../../../../src/adapters/redis/confirm.ts";

test.each<[Confirm, number, number, number]>([
  // mode, replicas now, replicas at most, needed
  ["off", 2, 2, 0],
  ["auto", 0, 0, 0],
  ["auto", 1, 1, 1],
  ["auto", 2, 2, 1],
  ["auto", 1, 2, 1],
  ["auto", 0, 2, 0],
  ["auto", 4, 4, 2],
  ["auto", 1, 4, 1],
  ["strict", 0, 0, 1],
  ["strict", 1, 1, 1],
  ["strict", 2, 2, 1],
  ["strict", 0, 2, 1],
  ["strict", 4, 4, 2],
  ["strict", 1, 4, 2],
])("%s with %i of %i replicas needs %i", (confirm, online, mostOnline, needed) => {
  expect(neededReplicas(confirm, { online, mostOnline })).toBe(needed);
});

test("strict without a replica is fatal; auto says what is not confirmed", () => {
  const fatal = (confirm: Confirm, online: number): readonly boolean[] =>
    confirmFindings(confirm, { online }).map(({ isFatal }) => isFatal);
  expect(fatal("strict", 0)).toEqual([true]);
  expect(fatal("auto", 0)).toEqual([false]);
  expect(fatal("auto", 1)).toEqual([false]);
  expect([fatal("off", 0), fatal("auto", 2), fatal("strict", 2)]).toEqual([[], [], []]);
});
