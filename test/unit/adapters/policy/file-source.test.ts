import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isSmall } from "../../../../src/adapters/policy/content.ts";
import {
  createFilePolicySource,
  type FilePolicyOptions,
} from "../../../../src/adapters/policy/file-source.ts";
import { versionOf } from "../../../../src/adapters/policy/parse.ts";
import type { Clock } from "../../../../src/ports/clock.ts";
import type { PolicyResult } from "../../../../src/ports/policy-source.ts";
import { policyText } from "./example.ts";

/** A clock whose timers run when a test says so. One timer is waited for at a time. */
function createStepClock(): Clock & { step(): Promise<void> } {
  let now = 0;
  let due = (): void => undefined;
  let armed = (): void => undefined;
  return {
    wall: () => now,
    mono: () => now,
    timer(after, task) {
      due = () => {
        now += after;
        task();
      };
      armed();
      return () => undefined;
    },
    soon: (task) => task(),
    /** Runs the timer that waits; resolves when the next one has been set. */
    step: () =>
      new Promise((resolve) => {
        armed = resolve;
        due();
      }),
  };
}

/** A good document; another name or revision is another content. */
const planText = (name: string, revision?: number): string =>
  policyText(`${revision === undefined ? "" : `revision: ${revision}\n`}plans: {${name}: {}}\n`);

/** A document is told by its version, a broken one by its problems. */
const told = (result: PolicyResult): unknown =>
  result.ok
    ? result.document.version
    : result.problems.map(({ path, found }) => `${path}: ${found}`);

const versionOfText = (text: string): string => versionOf(new TextEncoder().encode(text));

let folder = "";
let file = "";
let stop = (): void => undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "imprest-policy-"));
  file = join(folder, "policy.yaml");
});
afterEach(() => {
  stop();
  rmSync(folder, { recursive: true });
});

/** Loads what is there, which is good; then each call looks that often at the file and returns what was news. */
async function watched(
  options: Partial<FilePolicyOptions> = {},
): Promise<(polls: number) => Promise<unknown[]>> {
  const clock = createStepClock();
  const source = createFilePolicySource(file, { clock, ...options });
  expect((await source.load()).ok).toBe(true);
  let news: unknown[] = [];
  stop = source.watch((result) => news.push(told(result)));
  const look = async (polls: number): Promise<unknown[]> => {
    news = [];
    for (let i = 0; i < polls; i++) await clock.step();
    return news;
  };
  // What was loaded is no news, however often it is looked at.
  expect(await look(3)).toEqual([]);
  return look;
}

/** Polls until a change is acted on: one sees it, the next that it stands still. */
const SETTLED = 2;
/** Polls within 2 s, after which a file that is gone is missed. */
const MISSED = 8;

describe("loading", () => {
  const load = () => createFilePolicySource(file, { clock: createStepClock() }).load();

  test("a good document comes with the version of its content", async () => {
    writeFileSync(file, planText("free"));
    expect(told(await load())).toBe(versionOfText(planText("free")));
  });
  test("problems come with their places", async () => {
    writeFileSync(file, policyText("mode: off"));
    expect(await load()).toMatchObject({
      ok: false,
      problems: [{ path: "mode", line: 3, column: 7, found: '"off"' }],
    });
  });
  test("a file that is not there rejects", async () => {
    await expect(load()).rejects.toThrow("ENOENT");
  });
  test("a document of 4 MiB is read, one of a byte more is a problem", async () => {
    const start = planText("free");
    const largest = `${start}#${"x".repeat(4 * 1024 * 1024 - start.length - 1)}`;
    writeFileSync(file, largest);
    expect(told(await load())).toBe(versionOfText(largest));
    writeFileSync(file, `${largest}x`);
    expect(told(await load())).toEqual([": 4194305 bytes"]);
    truncateSync(file, 10 ** 10);
    expect(told(await load())).toEqual([": 10000000000 bytes"]);
  });
  test("bytes that are no text are a problem", async () => {
    writeFileSync(file, Buffer.from([0x6b, 0x3a, 0xff, 0xfe]));
    expect(told(await load())).toEqual([": bytes that are no UTF-8"]);
  });
});

test("what a start reads on the spot is small, and cannot be made large by aliases", () => {
  expect(isSmall(new Uint8Array(16 * 1024))).toBe(true);
  expect(isSmall(new Uint8Array(16 * 1024 + 1))).toBe(false);
  expect(isSmall(new TextEncoder().encode("a: &a 1\nb: *a"))).toBe(false);
});

describe("a change is news, once", () => {
  const text = planText;

  test("written in place, even where the time of the file is set back", async () => {
    writeFileSync(file, text("one"));
    utimesSync(file, 1_000, 1_000);
    const look = await watched();
    writeFileSync(file, text("two"));
    utimesSync(file, 1_000, 1_000);
    expect(await look(SETTLED)).toEqual([versionOfText(text("two"))]);
    expect(await look(5)).toEqual([]);
  });
  test("renamed over", async () => {
    writeFileSync(file, text("one"));
    const look = await watched();
    writeFileSync(`${file}.new`, text("two"));
    renameSync(`${file}.new`, file);
    expect(await look(SETTLED)).toEqual([versionOfText(text("two"))]);
  });
  test("from a document that was too large to be read on the spot, and back", async () => {
    const large = (name: string): string => `${text(name)}#${"x".repeat(20_000)}\n`;
    writeFileSync(file, large("one"));
    const look = await watched();
    writeFileSync(file, `mode: off\n${large("two")}`);
    expect(await look(SETTLED)).toEqual([['mode: "off"']]);
    writeFileSync(file, text("two"));
    expect(await look(SETTLED)).toEqual([versionOfText(text("two"))]);
  });
  test("swapped by a link two levels up, as Kubernetes does", async () => {
    const mount = (day: string, name: string): void => {
      mkdirSync(join(folder, day));
      writeFileSync(join(folder, day, "policy.yaml"), text(name));
      symlinkSync(day, join(folder, "..data_tmp"));
      renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
    };
    mount("..2026_11_20", "one");
    symlinkSync(join("..data", "policy.yaml"), file);
    const look = await watched();
    mount("..2026_11_21", "two");
    rmSync(join(folder, "..2026_11_20"), { recursive: true });
    expect(await look(SETTLED)).toEqual([versionOfText(text("two"))]);
  });
  test("touched, or written again with the same content: no news", async () => {
    writeFileSync(file, text("one"));
    const look = await watched();
    utimesSync(file, 1_000, 1_000);
    expect(await look(SETTLED + 1)).toEqual([]);
    writeFileSync(file, text("one"));
    expect(await look(SETTLED + 1)).toEqual([]);
  });
  test("broken, mended, and broken in the same way again: each time", async () => {
    writeFileSync(file, text("one"));
    const look = await watched();
    writeFileSync(file, policyText("mode: off"));
    expect(await look(5)).toEqual([['mode: "off"']]);
    writeFileSync(file, text("one"));
    expect(await look(5)).toEqual([versionOfText(text("one"))]);
    writeFileSync(file, policyText("mode: off"));
    expect(await look(5)).toEqual([['mode: "off"']]);
  });
  test("FS1: a file that is still being written is not read", async () => {
    writeFileSync(file, text("one"));
    const look = await watched();
    // What is there so far is a good document, too: without the plan of all tenants.
    writeFileSync(file, policyText(""));
    expect(await look(1)).toEqual([]);
    writeFileSync(file, text("two"));
    expect(await look(1)).toEqual([]);
    expect(await look(1)).toEqual([versionOfText(text("two"))]);
  });
  test("FS2: a file that never stands still is read every five polls", async () => {
    writeFileSync(file, text("one"));
    const look = await watched();
    const seen: unknown[] = [];
    for (let edit = 1; edit <= 10; edit++) {
      writeFileSync(file, `${text("two")}# ${edit}\n`);
      seen.push(...(await look(1)));
    }
    expect(seen).toEqual([5, 10].map((edit) => versionOfText(`${text("two")}# ${edit}\n`)));
  });
});

describe("FS3: a file that is gone", () => {
  test("for less than 2 s is no news", async () => {
    writeFileSync(file, planText("one"));
    const look = await watched();
    rmSync(file);
    expect(await look(MISSED)).toEqual([]);
    writeFileSync(file, planText("two"));
    expect(await look(SETTLED)).toEqual([versionOfText(planText("two"))]);
    rmSync(file);
    expect(await look(MISSED)).toEqual([]);
  });
  test("for longer is news once, and so is its return with the content from before", async () => {
    writeFileSync(file, planText("one"));
    const look = await watched();
    rmSync(file);
    expect(String(await look(MISSED + 20))).toMatch(/^: ENOENT[^,]*(,[^,]*)?$/);
    writeFileSync(file, planText("one"));
    expect(await look(SETTLED)).toEqual([versionOfText(planText("one"))]);
  });
  test("or that has become a folder is news once, too", async () => {
    writeFileSync(file, planText("one"));
    const look = await watched();
    rmSync(file);
    mkdirSync(file);
    expect(await look(MISSED + 20)).toHaveLength(1);
  });
});

describe("FS4: revisions", () => {
  test("another content under the same revision or a lower one is refused, a higher one taken", async () => {
    writeFileSync(file, planText("one", 5));
    const look = await watched();
    writeFileSync(file, planText("two", 5));
    const same = "revision: 5, as in the document in force, which has other content";
    expect(await look(SETTLED)).toEqual([[same]]);
    writeFileSync(file, planText("two", 4));
    const lower = "revision: 4, lower than in the document in force";
    expect(await look(SETTLED)).toEqual([[lower]]);
    writeFileSync(file, planText("two", 6));
    expect(await look(SETTLED)).toEqual([versionOfText(planText("two", 6))]);
  });
  test("where it is required, a document without one is refused", async () => {
    writeFileSync(file, planText("one"));
    const options = { clock: createStepClock(), revisionRequired: true };
    const source = createFilePolicySource(file, options);
    expect(told(await source.load())).toEqual(["revision: nothing"]);
  });
});
