import { spawnSync } from "node:child_process";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { encodeFrame } from "../../../../src/adapters/journal/frame.ts";
import {
  aFolder,
  AFTER,
  filesIn,
  found,
  open,
  threeWrites,
} from "../../../support/journal-folder.ts";

describe("what is found again", () => {
  it("JO1: the latest state of every name, in the order in which they were written", async () => {
    const folder = await aFolder();
    const first = await open(folder);
    first.journal.put("memory", "__proto__", { a: 1 });
    first.journal.put("memory", "b\0\ud800", "x");
    first.journal.put("ledger", "b", [1]);
    expect(first.journal.write()).toBe(true);
    first.journal.put("memory", "__proto__", { a: 2 });
    first.journal.drop("ledger", "b");
    expect(first.journal.write()).toBe(true);
    await first.journal.close();
    const { recovered, journal } = await open(folder);
    expect([...recovered.of("memory")]).toEqual([
      ["b\0\ud800", "x"],
      ["__proto__", { a: 2 }],
    ]);
    expect([...recovered.of("ledger")]).toEqual([]);
    expect([recovered.intact, recovered.why]).toEqual([true, ""]);
    await journal.close();
  });

  it("JO1: what a write returned true for, of a process that is killed at once", async () => {
    const folder = await aFolder();
    const adapter = new URL("../../../../src/adapters/journal/journal.ts", import.meta.url).href;
    const script = `import { openJournal } from ${JSON.stringify(adapter)};
      const nothing = () => {};
      const log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
      const { journal } = await openJournal({ directory: ${JSON.stringify(folder)}, syncMs: 1000, log });
      for (let n = 0; n < 100; n++) { journal.put("memory", "count", n); journal.write(); }
      journal.put("memory", "count", "never written");
      process.kill(process.pid, "SIGKILL");`;
    const { signal } = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
    expect(signal).toBe("SIGKILL");
    const { recovered, journal } = await open(folder);
    expect(found(recovered)).toEqual({ count: 99 });
    expect(recovered.intact).toBe(true);
    await journal.close();
  });

  it("JO1: frames of many pieces, and what was recovered can be let go", async () => {
    const folder = await aFolder();
    const first = await open(folder);
    const large = ["x", "é", "z"].map((letter, n) => letter.repeat(3_000_000 + n));
    for (const [n, text] of large.entries()) {
      first.journal.put("memory", `${n}`, text);
      first.journal.write();
      first.journal.put("memory", "small", n);
      first.journal.write();
    }
    await first.journal.close();
    const { recovered, journal, forget } = await open(folder);
    expect(recovered.of("memory").get("small")).toBe(2);
    expect(large.map((text, n) => recovered.of("memory").get(`${n}`) === text)).toEqual([
      true,
      true,
      true,
    ]);
    expect(recovered.intact).toBe(true);
    forget();
    expect(found(recovered)).toEqual({});
    await journal.close();
  });

  it("a folder that is missing is made for this user alone, and so are the files", async () => {
    const folder = join(await aFolder(), "a", "b");
    const { journal, recovered } = await open(folder);
    expect([recovered.intact, found(recovered)]).toEqual([true, {}]);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder, "0000000001.journal"))).mode & 0o777).toBe(0o600);
    await journal.close();
  });

  it("a file, or a folder that cannot be written, is refused by its name", async () => {
    const folder = await aFolder();
    await writeFile(join(folder, "file"), "");
    await expect(open(join(folder, "file"))).rejects.toMatchObject({ name: "JournalUnusable" });
    await expect(open(join(folder, "file", "under"))).rejects.toThrow(
      join(folder, "file", "under"),
    );
    await expect(open("/proc/journal")).rejects.toMatchObject({ name: "JournalUnusable" });
  });

  it("a journal of a newer format is refused, and left as it is", async () => {
    const folder = await aFolder();
    await threeWrites(folder);
    const newer = encodeFrame(1, JSON.stringify({ format: 2, boot: "", doubt: "" }));
    await writeFile(join(folder, "0000000001.journal"), newer);
    await expect(open(folder)).rejects.toThrow("format 2");
    expect(await readFile(join(folder, "0000000001.journal"))).toEqual(newer);
    await expect(open(folder)).rejects.toMatchObject({ name: "JournalUnusable" }); // not locked
  });
});

describe("what was not written whole", () => {
  it("RC1, RC2: cut at every byte of the last frame, the write before it is what is found", async () => {
    const folder = await aFolder();
    const bytes = await threeWrites(folder);
    const path = join(folder, "0000000001.journal");
    const last = lastFrame(bytes);
    for (let length = last; length < bytes.length; length++) {
      await writeFile(path, bytes.subarray(0, length));
      const { recovered, journal, logged } = await open(folder);
      expect(found(recovered)).toEqual(AFTER[2]);
      expect(recovered.intact).toBe(length === last);
      expect(logged.length).toBe(length === last ? 0 : 1);
      expect((await stat(path)).size).toBe(last);
      await journal.close();
      await removeSecond(folder);
    }
  });

  it("FR1, RC1: with any one bit changed it is what one of the writes left, never a mixture", async () => {
    const folder = await aFolder();
    const bytes = await threeWrites(folder);
    const path = join(folder, "0000000001.journal");
    for (let at = 0; at < bytes.length; at += 3) {
      const flipped = Buffer.from(bytes);
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (at % 8)), at);
      await writeFile(path, flipped);
      const { recovered, journal, logged } = await open(folder);
      expect(recovered.intact).toBe(false);
      expect(logged.length).toBe(1);
      expect(AFTER).toContainEqual(found(recovered));
      if (at >= lastFrame(bytes)) expect(found(recovered)).toEqual(AFTER[2]);
      await journal.close();
      await removeSecond(folder);
    }
  });

  it("RC2: damage in the middle is told apart from a cut end, and what follows is put aside", async () => {
    const folder = await aFolder();
    const bytes = await threeWrites(folder);
    const path = join(folder, "0000000001.journal");
    const middle = bytes.indexOf('"at 2"');
    bytes.writeUInt8(0, middle);
    await writeFile(path, bytes);
    const { recovered, journal, logged } = await open(folder);
    expect(found(recovered)).toEqual(AFTER[1]);
    expect(recovered.why).toBe("it is damaged");
    expect(logged).toEqual(["the journal is damaged: what was written later is put aside"]);
    const aside = await readFile(`${path}.damaged`);
    expect(Buffer.concat([await readFile(path), aside])).toEqual(bytes);
    await journal.close();
  });

  it("FR2: a file that is missing in the middle is noticed", async () => {
    const folder = await aFolder();
    await threeWrites(folder);
    for (const n of [4, 5]) {
      const { journal } = await open(folder);
      journal.put("memory", "count", n);
      journal.write();
      await journal.close();
    }
    await rm(join(folder, "0000000002.journal"));
    const { recovered, journal } = await open(folder);
    expect([found(recovered), recovered.why]).toEqual([AFTER[3], "it is damaged"]);
    expect(await filesIn(folder)).toContain("0000000003.journal.damaged");
    await journal.close();
  });

  it("RC2: another boot of the machine, or none that can be told, leaves doubt but all states", async () => {
    const folder = await aFolder();
    const first = await open(folder, { bootId: "one" });
    first.journal.put("memory", "a", 1);
    first.journal.write();
    await first.journal.close();
    const same = await open(folder, { bootId: "one" });
    expect([same.recovered.intact, found(same.recovered)]).toEqual([true, { a: 1 }]);
    await same.journal.close();
    const other = await open(folder, { bootId: "two" });
    expect([other.recovered.why, found(other.recovered)]).toEqual([
      "the machine was started anew",
      { a: 1 },
    ]);
    await other.journal.close();
    const again = await open(folder, { bootId: "two" });
    expect(again.recovered.intact).toBe(false); // nobody has written since: the doubt stays
    again.journal.put("memory", "b", 1);
    again.journal.write();
    await again.journal.close();
    const settled = await open(folder, { bootId: "two" });
    expect(settled.recovered.intact).toBe(true);
    await settled.journal.close();
    const untold = await open(folder, { bootId: "" });
    expect(untold.recovered.intact).toBe(false);
    await untold.journal.close();
  });

  it("a file that was only just made holds nothing, and is gone", async () => {
    const folder = await aFolder();
    await threeWrites(folder);
    await writeFile(join(folder, "0000000002.journal"), "");
    const { recovered, journal } = await open(folder);
    expect([found(recovered), recovered.intact]).toEqual([AFTER[3], false]);
    expect(await filesIn(folder)).toEqual(["0000000001.journal", "0000000003.journal"]);
    await journal.close();
  });
});

/** Where the last frame begins: the frames of {@link threeWrites} all hold their number's text. */
const lastFrame = (bytes: Buffer): number => bytes.lastIndexOf("[[") - 16;

async function removeSecond(folder: string): Promise<void> {
  for (const name of await filesIn(folder)) {
    if (name !== "0000000001.journal") await rm(join(folder, name));
  }
}

describe("a disk that is full", () => {
  /** Writes until the disk is full, and is killed; `before` and `after` are scripts. What it said, and when it failed. */
  function fill(folder: string, before = "", after = "") {
    const adapter = new URL("../../../../src/adapters/journal/journal.ts", import.meta.url).href;
    const script = `import { openJournal } from ${JSON.stringify(adapter)};
      import { mkdirSync, rmSync } from "node:fs";
      import { setTimeout } from "node:timers/promises";
      const failed = ${JSON.stringify(join(folder, "0000000001.failed"))};
      const nothing = () => {}; const said = [];
      const log = { debug: nothing, info: nothing, warn: nothing, error: (_, text) => said.push(text) };
      const { journal, keeps } = await openJournal({ directory: ${JSON.stringify(folder)}, syncMs: 20, log });
      ${before}
      const heard = [];
      for (let n = 0; n < 40; n++) { journal.put("memory", "n" + n, "x".repeat(1000)); heard.push(journal.write()); }
      const first = heard.indexOf(false), isMarked = journal.isMarked();
      ${after}
      console.log(JSON.stringify({ said, last: heard.lastIndexOf(true), first, isMarked, keeps: keeps() }));
      process.kill(process.pid, "SIGKILL");`;
    const limited = 'trap "" XFSZ; ulimit -f 16; exec "$0" --input-type=module -e "$1"';
    const ended = spawnSync("bash", ["-c", limited, process.execPath, script], {
      encoding: "utf8",
    });
    return JSON.parse(ended.stdout) as Readonly<{
      last: number;
      said: readonly string[];
      isMarked: boolean;
    }>;
  }
  const FAILED = "the journal failed: going on without it";

  it("JO2: the write is false, later ones too, it is said once, and once more when it is read", async () => {
    const folder = await aFolder();
    const { last, ...heard } = fill(folder);
    const said = [FAILED];
    expect(heard).toEqual({ said, first: last + 1, isMarked: true, keeps: false });
    expect(last).toBeGreaterThan(5);
    expect(await filesIn(folder)).toEqual(["0000000001.failed"]);
    const { recovered, journal } = await open(folder);
    expect(recovered.of("memory").size).toBe(last + 1);
    expect(recovered.intact).toBe(false);
    await journal.close();
  });

  it("JO2: that it failed is written as soon as the disk takes it", async () => {
    const folder = await aFolder();
    const inTheWay = 'mkdirSync(failed + "/x", { recursive: true });';
    const { said, isMarked } = fill(
      folder,
      inTheWay,
      "rmSync(failed, { recursive: true }); await setTimeout(500);",
    );
    expect(said).toEqual([FAILED, "the journal cannot be marked as failed; trying again"]);
    expect(isMarked).toBe(false);
    expect(await filesIn(folder)).toEqual(["0000000001.failed"]);
  });
});
