/**
 * A Python with the stock gRPC packages, made once and kept under node_modules/.cache by what it holds, and
 * stubs generated from the contract afresh for each test file.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { ROOT } from "./sources.ts";

const execute = promisify(execFile);
const CONTRACT = "imprest/v1/quota.proto";
const REQUIREMENTS = path.join(ROOT, "deploy/examples/python/requirements.txt");

export interface Python {
  /** The virtual environment's folder. */
  readonly venv: string;
  /** The folder of the contract's stubs. */
  readonly stubs: string;
  /** Runs a script, a path from the root of the repository; rejects, with what it printed, unless it exits with 0. */
  run(script: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<string>;
  /** Takes the stubs away. */
  close(): Promise<void>;
}

/** Python, or in one sentence why there is none. With CI=true that is an error. */
export async function preparePython(): Promise<Python | string> {
  let venv: string;
  try {
    venv = await ensureVenv();
  } catch (failure) {
    const reason = `no Python with venv and gRPC here: ${String(failure)}`;
    if (process.env["CI"] === "true") throw new Error(reason, { cause: failure });
    return reason;
  }
  const program = path.join(venv, "bin/python");
  const stubs = await mkdtemp(path.join(tmpdir(), "imprest-stubs-"));
  const proto = path.join(ROOT, "proto");
  const into = [`--python_out=${stubs}`, `--grpc_python_out=${stubs}`];
  await execute(program, ["-m", "grpc_tools.protoc", "-I", proto, ...into, CONTRACT]);
  return {
    venv,
    stubs,
    async run(script, args, env = {}) {
      const { stdout } = await execute(program, [path.join(ROOT, script), ...args], {
        env: { ...process.env, PYTHONPATH: stubs, PYTHONDONTWRITEBYTECODE: "1", ...env },
        maxBuffer: 2 ** 26,
      });
      return stdout;
    },
    close: () => rm(stubs, { recursive: true, force: true }),
  };
}

async function ensureVenv(): Promise<string> {
  const { stdout: version } = await execute("python3", ["--version"]);
  const hash = createHash("sha256")
    .update(version)
    .update(await readFile(REQUIREMENTS));
  const cache = path.join(ROOT, "node_modules/.cache/imprest-python");
  const venv = path.join(cache, hash.digest("hex").slice(0, 12));
  if (existsSync(venv)) return venv;
  // Built aside and renamed: what another process sees is whole. `python -m` minds no rename.
  await mkdir(cache, { recursive: true });
  const building = await mkdtemp(path.join(cache, "building-"));
  try {
    await execute("python3", ["-m", "venv", building]);
    const pip = [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--disable-pip-version-check",
      "-r",
      REQUIREMENTS,
    ];
    await execute(path.join(building, "bin/python"), pip);
    await rename(building, venv);
  } catch (failure) {
    await rm(building, { recursive: true, force: true });
    // Another process was faster.
    if (!existsSync(venv)) throw failure;
  }
  return venv;
}
