import { describe, expect, test } from "vitest";
import { revisionFault } from "../../../../src/core/policy/revision.ts";

const edition = (version: string, revision?: number) => ({ version, revision });
const isWelcome = (...args: Parameters<typeof revisionFault>): boolean =>
  revisionFault(...args) === undefined;

describe("which document may take the place of the one in force", () => {
  test("the first one, with a revision or without", () => {
    expect(isWelcome(undefined, edition("a", 0), false)).toBe(true);
    expect(isWelcome(undefined, edition("a"), false)).toBe(true);
  });
  test("RV1: the same content is always welcome", () => {
    expect(isWelcome(edition("a", 5), edition("a", 5), true)).toBe(true);
  });
  test.each([
    [5, 6, true],
    [5, 5, false],
    [5, 4, false],
    [0, 1, true],
    [undefined, 1, true],
    [5, undefined, true],
    [undefined, undefined, true],
  ])("RV2: after revision %j other content of revision %j: %j", (before, after, expected) => {
    expect(isWelcome(edition("a", before), edition("b", after), false)).toBe(expected);
  });
  test("RV3: where it is required, a document without one is refused, even the same", () => {
    expect(isWelcome(undefined, edition("a"), true)).toBe(false);
    expect(isWelcome(edition("a"), edition("a"), true)).toBe(false);
  });
});
