import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { lockByFile, lockBySocket } from "../../../../src/adapters/journal/lock.ts";
import { aFolder } from "../../../support/journal-folder.ts";

const LOCK = new URL("../../../../src/adapters/journal/lock.ts", import.meta.url).href;

/** A process that takes the lock, says so, and stays until it is killed. */
async function holderOf(folder: string, way: "lockBySocket" | "lockByFile") {
  const script = `import { ${way} } from ${JSON.stringify(LOCK)};
    await ${way}(${JSON.stringify(folder)}); console.log("locked"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  return {
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

describe.each([
  ["lockBySocket", lockBySocket],
  ["lockByFile", lockByFile],
] as const)("%s", (way, lock) => {
  it("a second process is refused by the folder's name, and let in once the first was killed", async () => {
    const folder = await aFolder();
    const other = await holderOf(folder, way);
    await expect(lock(folder)).rejects.toMatchObject({ name: "JournalInUse" });
    await expect(lock(folder)).rejects.toThrow(folder);
    await other.kill();
    const unlock = await lock(folder);
    await expect(lock(folder)).rejects.toMatchObject({ name: "JournalInUse" });
    await unlock();
    await (
      await lock(folder)
    )();
  });
});

it("the lock is the folder's, under whatever name it is reached", async () => {
  const folder = await aFolder();
  const at = join(folder, "a");
  await mkdir(at);
  const unlock = await lockBySocket(at);
  await symlink(at, join(folder, "link"));
  await expect(lockBySocket(join(folder, "link"))).rejects.toMatchObject({ name: "JournalInUse" });
  await rename(at, join(folder, "b"));
  await expect(lockBySocket(join(folder, "b"))).rejects.toMatchObject({ name: "JournalInUse" });
  await mkdir(at);
  await (
    await lockBySocket(at)
  )();
  await unlock();
});

it("a lock file of a process that is gone, or of nobody, is taken over", async () => {
  const folder = await aFolder();
  const { pid } = spawnSync("true");
  for (const text of [`${pid}\n`, "", "-1", "words"]) {
    await writeFile(join(folder, "lock"), text);
    const unlock = await lockByFile(folder);
    expect(await readFile(join(folder, "lock"), "utf8")).toBe(`${process.pid}\n`);
    await unlock();
  }
});

it("a lock keeps no process alive, and leaves no file behind", () => {
  const script = `import { lockDirectory } from ${JSON.stringify(LOCK)};
    await lockDirectory("/tmp"); console.log("end of script");`;
  const ended = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
    timeout: 20_000,
  });
  expect([ended.stdout, ended.status]).toEqual(["end of script\n", 0]);
});
