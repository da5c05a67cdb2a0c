import { expect, test } from "vitest";
import { createMoments } from "../../../src/engine/moment.ts";
import { createManualClock } from "../../support/manual-clock.ts";
import { SILENT } from "../../support/silence.ts";

test("MO1: periods never go back, whatever the wall clock does", () => {
  const clock = createManualClock(1_000_000);
  const now = createMoments(clock, SILENT, () => undefined);
  expect(now()).toMatchObject({ wall: 1_000_000, latest: 1_000_000 });
  clock.stepWall(-500_000);
  expect(now()).toMatchObject({ wall: 500_000, latest: 1_000_000 });
});

test("MO2: the store's clock decides from the first time that it is heard, though it is behind ours", () => {
  const clock = createManualClock(9_000_000);
  let stores: number | undefined;
  const now = createMoments(clock, SILENT, () => stores);
  expect(now().latest).toBe(9_000_000);
  stores = 5_000_000;
  expect(now()).toMatchObject({ wall: 9_000_000, latest: 5_000_000 });
  stores = 4_999_999;
  expect(now().latest).toBe(5_000_000);
});
