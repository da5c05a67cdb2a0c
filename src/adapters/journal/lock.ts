/**
 * One process for each journal. Node has no flock, so on Linux the lock is a unix socket in the abstract
 * namespace, named by the folder's device and inode: the kernel frees it when the process ends, however it
 * ends. It does not reach across network namespaces. Elsewhere it is a file with the number of the process.
 */
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";

/** Another process keeps its journal there. */
export class JournalInUse extends Error {
  override readonly name = "JournalInUse";

  constructor(directory: string) {
    super(`the journal ${directory} belongs to another process that runs now`);
  }
}

/** Gives the lock back. */
export type Unlock = () => Promise<void>;

/** @throws JournalInUse */
export const lockDirectory = (directory: string): Promise<Unlock> =>
  process.platform === "linux" ? lockBySocket(directory) : lockByFile(directory);

export async function lockBySocket(directory: string): Promise<Unlock> {
  const { dev, ino } = await stat(directory);
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "EADDRINUSE" ? new JournalInUse(directory) : error),
    );
    server.listen(`\0imprest-journal/${dev}/${ino}`, resolve);
  });
  server.unref();
  return () => new Promise((resolve) => void server.close(() => resolve()));
}

export async function lockByFile(directory: string): Promise<Unlock> {
  const path = join(directory, "lock");
  const take = (): Promise<void> => writeFile(path, `${process.pid}\n`, { flag: "wx" });
  const unlock = (): Promise<void> => rm(path, { force: true });
  try {
    await take();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    if (isRunning(Number(await readFile(path, "utf8")))) throw new JournalInUse(directory);
    await unlock();
    await take();
  }
  return unlock;
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
