import assert from "node:assert/strict";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createDeadlineHeap, type Timed } from "../../../src/engine/deadline-heap.ts";
import { counterexample } from "../../support/counterexample.ts";

interface Item extends Timed {
  readonly name: number;
}
const anItem = (name: number, deadline: number): Item => ({ name, deadline, slot: -1 });

test("the earliest comes out first, and only when it is due", () => {
  const heap = createDeadlineHeap<Item>();
  for (const [name, deadline] of [30, 10, 20].entries()) heap.add(anItem(name, deadline));
  expect(heap.next()).toBe(10);
  expect(heap.takeDue(9)).toBeUndefined();
  expect(heap.takeDue(10)).toMatchObject({ name: 1, slot: -1 });
  expect(heap.takeDue(10)).toBeUndefined();
  expect(heap.takeDue(99)).toMatchObject({ name: 2 });
  expect(heap.takeDue(99)).toMatchObject({ name: 0 });
  expect([heap.takeDue(99), heap.next()]).toEqual([undefined, Infinity]);
});

test("an item can be taken out of the middle, once", () => {
  const heap = createDeadlineHeap<Item>();
  const items = [5, 3, 8, 1, 9].map((deadline, name) => anItem(name, deadline));
  for (const item of items) heap.add(item);
  const [, second] = items;
  if (!second) throw new Error("there are five");
  heap.remove(second);
  heap.remove(second);
  expect(second.slot).toBe(-1);
  const left = [1, 5, 8, 9].map(() => heap.takeDue(99)?.deadline);
  expect(left).toEqual([1, 5, 8, 9]);
});

const aStep = fc.record({
  do: fc.constantFrom("add", "add", "remove", "move", "take"),
  which: fc.nat({ max: 30 }),
  deadline: fc.nat({ max: 20 }),
});

test("whatever is added, moved and removed, what is due comes out in order and nothing is lost", () => {
  const steps = fc.array(aStep, { maxLength: 120, size: "max" });
  const found = counterexample(steps, (play) => {
    const heap = createDeadlineHeap<Item>();
    const inside = new Set<Item>();
    const all: Item[] = [];
    for (const step of play) {
      const item = all[step.which % Math.max(1, all.length)];
      if (step.do === "add") {
        const added = anItem(all.length, step.deadline);
        all.push(added);
        inside.add(added);
        heap.add(added);
      } else if (step.do === "take") {
        const due = [...inside].filter(({ deadline }) => deadline <= step.deadline);
        const taken = heap.takeDue(step.deadline);
        const earliest = Math.min(...due.map(({ deadline }) => deadline));
        assert.equal(taken?.deadline, due.length === 0 ? undefined : earliest);
        if (taken) assert.ok(inside.delete(taken));
      } else if (item && step.do === "move") heap.move(item, step.deadline);
      else if (item) {
        heap.remove(item);
        inside.delete(item);
      }
      const next = Math.min(Infinity, ...Array.from(inside, ({ deadline }) => deadline));
      assert.equal(heap.next(), next);
      for (const one of all) assert.equal(one.slot >= 0, inside.has(one));
    }
  });
  expect(found).toBe("");
});
