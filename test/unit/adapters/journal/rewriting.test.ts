import { readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readFrames } from "../../../../src/adapters/journal/frame.ts";
import {
  aFolder,
  AFTER,
  filesIn,
  found,
  joinCounted,
  mapKeeper,
  open,
  threeWrites,
} from "../../../support/journal-folder.ts";
import { until } from "../../../support/until.ts";

describe("rewriting", () => {
  const small = { smallest: 2_000, slice: 300 };

  async function churn(folder: string, isEnough: (files: readonly string[]) => boolean) {
    const opened = await open(folder, small);
    const keeper = mapKeeper();
    opened.journal.join(keeper);
    for (let n = 0; n < 40; n++) keeper.set(`kept ${n}`, n);
    let n = 0;
    const expected: Record<string, unknown> = {};
    while (!isEnough(await filesIn(folder))) {
      keeper.set(`passing ${n}`, "x".repeat(50));
      keeper.delete(`passing ${n - 3}`);
      keeper.set(`kept ${n % 40}`, n);
      n++;
      if (!opened.journal.write()) throw new Error("the write failed");
    }
    for (const { name, state } of keeper.live()) expected[name] = state;
    return { ...opened, expected };
  }

  it("JO3: a file that has grown is followed by one that says it all, and deleted", async () => {
    const folder = await aFolder();
    const { journal, expected } = await churn(folder, (files) => (files[0] ?? "") > "0000000004");
    await journal.close();
    const again = await open(folder);
    expect(found(again.recovered)).toEqual(expected);
    expect(again.recovered.intact).toBe(true);
    await again.journal.close();
  });

  it("JO3: a file is not let grow because it had grown before", async () => {
    const folder = await aFolder();
    const { journal } = await open(folder, small);
    const keeper = mapKeeper();
    journal.join(keeper);
    keeper.set("large", "x".repeat(100_000));
    journal.write();
    keeper.set("large", "");
    journal.write();
    await until(async () => {
      journal.write();
      return (await filesIn(folder)).join() === "0000000002.journal";
    });
    expect((await stat(join(folder, "0000000002.journal"))).size).toBeLessThan(1_000);
    await journal.close();
  });

  it("JO3: after a start what was there before is rewritten, and deleted", async () => {
    const folder = await aFolder();
    await threeWrites(folder);
    const { journal, recovered } = await open(folder, { slice: 1 });
    const keeper = mapKeeper();
    journal.join(keeper);
    for (const [name, state] of recovered.of("memory")) keeper.set(name, state);
    keeper.collect({ put: () => undefined, drop: () => undefined }); // known to the older file alone
    journal.write();
    await until(async () => (await filesIn(folder)).length === 1);
    await journal.close();
    const again = await open(folder);
    expect(found(again.recovered)).toEqual(AFTER[3]);
    await again.journal.close();
  });

  it("JO3: cut at every byte while two files are there, it is what one of the writes left", async () => {
    const folder = await aFolder();
    const { journal, expected } = await churn(folder, (files) => files.length > 1);
    await journal.close();
    const files = await filesIn(folder);
    expect(files.length).toBe(2);
    const path = join(folder, files[1] ?? "");
    const { size } = await stat(path);
    const whole = await readFile(path);
    for (let length = size; length > 0; length -= 7) {
      await truncate(path, length);
      const again = await open(folder);
      const kept = Object.keys(found(again.recovered)).filter((name) => name.startsWith("kept "));
      expect(kept.length).toBe(40);
      if (length === size) expect(found(again.recovered)).toEqual(expected);
      await again.journal.close();
      for (const name of await filesIn(folder)) {
        if (!files.includes(name)) await rm(join(folder, name));
      }
      await writeFile(path, whole);
    }
  });

  it("JO4: a slice is written at a time, and writes go on between them", async () => {
    const folder = await aFolder();
    await threeWrites(folder);
    const { journal } = await open(folder, { slice: 100 });
    const { keeper, steps } = joinCounted(journal);
    for (let n = 0; n < 300; n++) keeper.set(`${n}`, "x");
    journal.write();
    expect(steps()).toBe(0);
    await until(() => steps() > 0);
    expect(steps()).toBeLessThan(20);
    await until(() => steps() === 300);
    await journal.close();
  });

  it("JO3: a slice never shows half of what changed together", async () => {
    const folder = await aFolder();
    await threeWrites(folder);
    const { journal } = await open(folder, { slice: 1 });
    const { keeper, steps } = joinCounted(journal);
    for (let n = 0; n < 20; n++) keeper.set(`pair ${n}`, 0);
    journal.write();
    for (let n = 1; steps() < 20; n++) {
      for (let pair = 0; pair < 20; pair++) keeper.set(`pair ${pair}`, n); // not written by us
      const before = steps();
      await until(() => steps() > before);
    }
    await journal.close();
    const [, ...frames] = readFrames(
      await readFile(join(folder, "0000000002.journal")),
      undefined,
    ).payloads;
    const states = new Map<string, unknown>();
    for (const frame of frames) {
      for (const [, name, state] of JSON.parse(frame) as [string, string, unknown][]) {
        states.set(name, state);
      }
      expect(new Set(states.values()).size).toBe(1);
    }
    expect(frames.length).toBeGreaterThan(10);
  });

  it("whoever joins after the first write would be forgotten, and is refused", async () => {
    const { journal } = await open(await aFolder());
    journal.write();
    expect(() => journal.join(mapKeeper())).toThrow("before the first write");
    await journal.close();
  });
});
