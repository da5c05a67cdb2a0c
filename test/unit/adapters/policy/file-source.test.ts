import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
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
import { createClock } from "../../../../src/adapters/system/clock.ts";
import type { Clock } from "../../../../src/ports/clock.ts";
import type { PolicyResult, PolicySource } from "../../../../src/ports/policy-source.ts";
import { policyText } from "./example.ts";

/** Time runs ten times as fast, so that what takes seconds is soon over. */
const HASTE = 10;
const real = createClock();
const clock: Clock = {
  wall: () => real.wall(),
  mono: () => real.mono() * HASTE,
  timer: (after, task) => real.timer(after / HASTE, task),
};

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

/** The next news each time it is called. */
function newsOf(source: PolicySource): () => Promise<unknown> {
  const heard: unknown[] = [];
  const waiting: ((news: unknown) => void)[] = [];
  stop = source.watch((result) => {
    const next = waiting.shift();
    if (next === undefined) heard.push(told(result));
    else next(told(result));
  });
  return () =>
    heard.length > 0
      ? Promise.resolve(heard.shift())
      : new Promise((resolve) => waiting.push(resolve));
}

/** Loads what is there, which is good, and listens from then on. */
async function watched(
  path: string,
  options: Partial<FilePolicyOptions> = {},
): Promise<() => Promise<unknown>> {
  const source = createFilePolicySource(path, { clock, ...options });
  expect((await source.load()).ok).toBe(true);
  return newsOf(source);
}

describe("loading", () => {
  const load = () => createFilePolicySource(file, { clock }).load();

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
  test("FS1: written in place, even where the time of the file is set back", async () => {
    writeFileSync(file, planText("one"));
    utimesSync(file, 1_000, 1_000);
    const next = await watched(file);
    writeFileSync(file, planText("two"));
    utimesSync(file, 1_000, 1_000);
    expect(await next()).toBe(versionOfText(planText("two")));
  });
  test("renamed over", async () => {
    writeFileSync(file, planText("one"));
    const next = await watched(file);
    writeFileSync(`${file}.new`, planText("two"));
    renameSync(`${file}.new`, file);
    expect(await next()).toBe(versionOfText(planText("two")));
  });
  test("from a document that was too large to be read on the spot, and back", async () => {
    const large = (name: string): string => `${planText(name)}#${"x".repeat(20_000)}\n`;
    writeFileSync(file, large("one"));
    const next = await watched(file);
    writeFileSync(file, large("two"));
    expect(await next()).toBe(versionOfText(large("two")));
    writeFileSync(file, `mode: off\n${large("two")}`);
    expect(await next()).toEqual(['mode: "off"']);
    writeFileSync(file, planText("two"));
    expect(await next()).toBe(versionOfText(planText("two")));
  });
  test("swapped by a link two levels up, as Kubernetes does", async () => {
    const mount = (day: string, name: string): void => {
      mkdirSync(join(folder, day));
      writeFileSync(join(folder, day, "policy.yaml"), planText(name));
      symlinkSync(day, join(folder, "..data_tmp"));
      renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
    };
    mount("..2026_11_20", "one");
    symlinkSync(join("..data", "policy.yaml"), file);
    const next = await watched(file);
    mount("..2026_11_21", "two");
    rmSync(join(folder, "..2026_11_20"), { recursive: true });
    expect(await next()).toBe(versionOfText(planText("two")));
  });
  test("touched or written again with the same content: no news before the next change", async () => {
    writeFileSync(file, planText("one"));
    const next = await watched(file);
    writeFileSync(file, planText("one"));
    // A poll has seen the new state when another file, made after it, has been news.
    await seenByAnother();
    writeFileSync(file, planText("two"));
    expect(await next()).toBe(versionOfText(planText("two")));
  });
  test("broken, mended, and broken in the same way again", async () => {
    writeFileSync(file, planText("one"));
    const next = await watched(file);
    for (const text of ["mode: off", "mode: shadow", "mode: off"]) {
      writeFileSync(file, policyText(text));
      const news = await next();
      expect(news).toEqual(
        text === "mode: off" ? ['mode: "off"'] : versionOfText(policyText(text)),
      );
    }
  });
  test("FS2: a file that never stands still is read nevertheless", async () => {
    writeFileSync(file, planText("one"));
    const next = await watched(file);
    let edits = 0;
    const writer = setInterval(() => {
      writeFileSync(`${file}.new`, `${planText("two")}# ${++edits}\n`);
      renameSync(`${file}.new`, file);
    }, 2);
    try {
      expect(typeof (await next())).toBe("string");
    } finally {
      clearInterval(writer);
    }
  });
});

/** Resolves when a watched file of its own, written now, has been news: some polls have gone by. */
async function seenByAnother(): Promise<void> {
  const other = join(folder, "other.yaml");
  writeFileSync(other, planText("one"));
  const source = createFilePolicySource(other, { clock });
  await source.load();
  const seen = new Promise<void>((resolve) => {
    const stopOther = source.watch(() => {
      stopOther();
      resolve();
    });
  });
  writeFileSync(other, planText("two"));
  await seen;
}

describe("a file that is gone", () => {
  test("FS3: is news once, and so is its return with the content from before", async () => {
    writeFileSync(file, planText("one"));
    const next = await watched(file);
    rmSync(file);
    expect(String(await next())).toContain("ENOENT");
    await seenByAnother();
    writeFileSync(file, planText("one"));
    expect(await next()).toBe(versionOfText(planText("one")));
  });
  test("FS3: for a moment is no news", async () => {
    writeFileSync(file, planText("one"));
    const next = await watched(file);
    rmSync(file);
    await new Promise((resolve) => clock.timer(600, () => resolve(undefined)));
    writeFileSync(file, planText("two"));
    expect(await next()).toBe(versionOfText(planText("two")));
  });
});

describe("FS4: revisions", () => {
  test("another content under the same revision or a lower one is refused, a higher one taken", async () => {
    writeFileSync(file, planText("one", 5));
    const next = await watched(file);
    writeFileSync(file, planText("two", 5));
    expect(await next()).toEqual([
      "revision: 5, as in the document in force, which has other content",
    ]);
    writeFileSync(file, planText("two", 4));
    expect(await next()).toEqual(["revision: 4, lower than in the document in force"]);
    writeFileSync(file, planText("two", 6));
    expect(await next()).toBe(versionOfText(planText("two", 6)));
  });
  test("where it is required, a document without one is refused", async () => {
    writeFileSync(file, planText("one"));
    const source = createFilePolicySource(file, { clock, revisionRequired: true });
    expect(told(await source.load())).toEqual(["revision: nothing"]);
  });
});
