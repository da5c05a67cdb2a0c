/**
 * Binds a gRPC server to an address.
 *
 * A process that was killed leaves its socket file behind, and a live one says EADDRINUSE just the same: the
 * file is tried first, and replaced only where nobody answers. The permission bits are set by the umask that
 * holds while the file is made, so that there is no moment in which others could connect, or could not.
 */
import { chmodSync, chownSync, lstatSync, statSync, unlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import { getSystemErrorMap } from "node:util";
import { type Server, ServerCredentials } from "@grpc/grpc-js";
import { formatAddress, type ListenAddress } from "./address.ts";

/** What the operator has to change before the server can start. */
export class BindError extends Error {
  override readonly name = "BindError";
  /** At least one; each once. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[], options?: ErrorOptions) {
    super(problems.join("; "), options);
    this.problems = problems;
  }
}

/**
 * All of them, and what is wrong with any of them by one {@link BindError}. One after the other: the umask of a
 * socket must not leak into another's.
 */
export async function bindAll<T>(attempts: readonly (() => Promise<T>)[]): Promise<readonly T[]> {
  const done: T[] = [];
  const problems = new Set<string>();
  for (const attempt of attempts) {
    try {
      done.push(await attempt());
    } catch (error) {
      if (!(error instanceof BindError)) throw error;
      for (const problem of error.problems) problems.add(problem);
    }
  }
  if (problems.size > 0) throw new BindError([...problems]);
  return done;
}

export interface SocketRights {
  /** 0 … 0o777. */
  readonly mode: number;
  /** Name or number; "": the group of the process. */
  readonly group: string;
}

/** The address with the port that the system chose. Rejects with {@link BindError}. */
export async function bind(
  server: Server,
  address: ListenAddress,
  rights: SocketRights,
): Promise<ListenAddress> {
  if (address.kind === "unix") {
    await bindSocket(server, address.path, rights);
    return address;
  }
  const port = await bindText(server, formatAddress(address));
  return { ...address, port };
}

/** "cannot listen on 127.0.0.1:4600: the address is in use", from what Node said, alone or among the library's words. */
export function notBound(text: string, cause: unknown): string {
  const said = cause instanceof Error ? cause.message : String(cause);
  const [, code] = /\b(E[A-Z]+):/.exec(said) ?? [];
  const [, meaning] = [...getSystemErrorMap().values()].find(([name]) => name === code) ?? [];
  const why = code === "EADDRINUSE" ? "the address is in use" : (meaning ?? said);
  return `cannot listen on ${text}: ${why}`;
}

function bindText(server: Server, text: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (cause: Error): void => {
      reject(new BindError([notBound(text, cause)], { cause }));
    };
    try {
      server.bindAsync(text, ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port);
        else failed(error);
      });
    } catch (error) {
      failed(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

async function bindSocket(server: Server, path: string, rights: SocketRights): Promise<void> {
  let gid: number | undefined;
  await bindAll([
    () => makeSocket(server, path, rights),
    async () => void (gid = await groupId(rights.group)),
  ]);
  if (gid === undefined) return;
  try {
    chownSync(path, -1, gid);
    chmodSync(path, rights.mode);
  } catch (cause) {
    throw new BindError([`cannot give unix:${path} to the group ${rights.group}`], { cause });
  }
}

async function makeSocket(
  server: Server,
  path: string,
  { mode, group }: SocketRights,
): Promise<void> {
  try {
    checkFolder(path);
    await removeStale(path);
  } catch (cause) {
    // A folder that may not be searched.
    throw cause instanceof BindError ? cause : new BindError([notBound(`unix:${path}`, cause)]);
  }
  // Where the group is yet to be set, nobody else may connect until it is.
  const madeWith = group === "" ? mode : mode & 0o700;
  const before = process.umask(~madeWith & 0o777);
  try {
    await bindText(server, `unix:${path}`);
  } finally {
    process.umask(before);
  }
}

/** The system calls it a lack of rights that there is no folder. */
function checkFolder(path: string): void {
  const folder = dirname(path);
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) return;
  const why = stat === undefined ? `the folder ${folder} does not exist` : `${folder} is no folder`;
  throw new BindError([`cannot listen on unix:${path}: ${why}`]);
}

async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new BindError([`unix:${path} exists and is no socket`]);
  if (await isAnswered(path)) throw new BindError([`a live process listens on unix:${path}`]);
  try {
    unlinkSync(path);
  } catch (cause) {
    throw new BindError([`cannot replace the stale socket unix:${path}`], { cause });
  }
}

/** Only a refusal shows that nobody is there: a socket that is full, or not ours to open, is in use. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}

/** Node resolves group names only for setgid. */
async function groupId(group: string): Promise<number | undefined> {
  if (group === "") return undefined;
  if (/^[0-9]{1,9}$/.test(group)) return Number(group);
  // An image need not have the file.
  const text = await readFile("/etc/group", "utf8").catch(() => "");
  const fields = text
    .split("\n")
    .map((line) => line.split(":"))
    .find(([name]) => name === group);
  if (fields === undefined) throw new BindError([`there is no group ${group} in /etc/group`]);
  return Number(fields[2]);
}
