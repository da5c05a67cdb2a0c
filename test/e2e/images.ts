/**
 * Makes the images of the tests from folders, without an engine and without a registry, and gives them to the node of a
 * cluster that is up: `localhost/imprest:e2e`, which is what the repository ships, and `localhost/agent:e2e`, whose Python
 * knows the contract alone. Run outside the cluster, from where there is a way to the registries of npm and PyPI.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { preparePython } from "../support/python.ts";
import { ROOT } from "../support/sources.ts";

const execute = promisify(execFile);
const LAB = path.join(import.meta.dirname, "lab");
const CACHE = process.env["E2E_CACHE"] ?? path.join(homedir(), ".cache/imprest-e2e");

/** Makes the archive `file` of an image whose root file system `fill` puts into a folder. */
async function archive(
  file: string,
  words: readonly string[],
  fill: (folder: string) => Promise<unknown>,
): Promise<string> {
  const [name = "", ...entrypoint] = words;
  const folder = await mkdtemp(path.join(tmpdir(), "imprest-rootfs-"));
  try {
    await fill(folder);
    await chmod(folder, 0o755); // it becomes the root of any user's containers
    await mkdir(path.dirname(file), { recursive: true });
    const image = path.join(LAB, "image");
    const flags = ["--user", "65532", "--workdir", "/app"];
    await execute(image, [...flags, `${file}.new`, `localhost/${name}:e2e`, folder, ...entrypoint]);
    await rename(`${file}.new`, file);
    return file;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const makeSidecar = (): Promise<string> =>
  archive(
    path.join(CACHE, "images/imprest.tar"),
    ["imprest", "/usr/local/bin/node", "/app/dist/main.js"],
    (folder) => execute(process.execPath, [path.join(ROOT, "deploy/image/rootfs.ts"), folder]),
  );

/** Kept by what it is made of: Python's library takes a while to compile. */
async function makeAgent(): Promise<string> {
  const python = await preparePython();
  if (typeof python === "string") throw new Error(python);
  try {
    const hash = createHash("sha256").update(python.venv);
    for (const file of ["agent/agent.py", "agent/rootfs.py", "lab/image"]) {
      hash.update(await readFile(path.join(import.meta.dirname, file)));
    }
    hash.update(await readFile(path.join(ROOT, "proto/imprest/v1/quota.proto")));
    const file = path.join(CACHE, `images/agent-${hash.digest("hex").slice(0, 12)}.tar`);
    if (existsSync(file)) return file;
    const words = ["agent", "/usr/local/bin/python", "/app/agent.py"];
    return await archive(file, words, (folder) =>
      python.run("test/e2e/agent/rootfs.py", [folder, python.stubs]),
    );
  } finally {
    await python.close();
  }
}

const archives = await Promise.all([makeSidecar(), makeAgent()]);
await execute(path.join(LAB, "import"), archives);
