/** The books that the fleet is held to find what they are kept for. */
import { expect, test } from "vitest";
import { audit, newBooks, overdraft, type Books } from "../../support/client-books.ts";

/** 60 of 100 are reserved at 10, heard of at 20, and given back from 30 on, heard of at 40. */
function someBooks(): Books {
  const books = newBooks();
  books.entries.push(
    { at: 10, surely: 0, perhaps: 60 },
    { at: 20, surely: 60, perhaps: 0 },
    { at: 30, surely: -60, perhaps: 0 },
    { at: 40, surely: 0, perhaps: -60 },
  );
  return books;
}

test("too much at one instant is found, and only where it is sure", () => {
  const books = someBooks();
  books.entries.push({ at: 35, surely: 50, perhaps: 50 });
  expect(audit(books, 100, 250)).toMatchObject({ most: 60, surely: 50, perhaps: 50 });
  books.entries.push({ at: 25, surely: 50, perhaps: 50 });
  expect(audit(books, 100, 250).most).toBe(110);
});

test("a refusal is false where the amount had lain idle for as long as it may", () => {
  const books = someBooks();
  const refused = (at: number, units: number) => ({ at, units, reason: 7, degraded: false });
  books.refusals.push(refused(35, 50), refused(35, 30), refused(200, 90), refused(300, 90));
  const falsely = audit(books, 100, 250).falseRefusals;
  expect(falsely.map(({ at, units }) => [at, units])).toEqual([
    [35, 30],
    [300, 90],
  ]);
  expect(audit(books, 100, Infinity).falseRefusals).toEqual([]);
});

test("a rate that admits more than an ideal bucket in some span is found", () => {
  const books = newBooks();
  const admit = (sentAt: number, at: number, units: number): void =>
    void books.admissions.push({ sentAt, at, units, source: 1, degraded: false });
  const rate = { burst: 10, perMs: 1 };
  admit(0, 1, 10);
  admit(5, 6, 6);
  expect(overdraft(books, rate)).toBe(0);
  admit(5, 7, 8); // 14 between 5 and 7
  expect(overdraft(books, rate)).toBe(7);
});
