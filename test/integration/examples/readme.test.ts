import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { preparePython } from "../../support/python.ts";
import { runShell } from "../../support/shell.ts";
import { type SidecarProcess, startSidecarProcess } from "../../support/sidecar-process.ts";
import { ROOT } from "../../support/sources.ts";
import { blocksOf, onlyBlock, readPage } from "./markdown.ts";

const README = "README.md";
const CHARGED = "charged $0.0065\n";
const commandsOf = (word: string) =>
  blocksOf(README).find(({ language, code }) => language === "sh" && code.includes(word))?.code ??
  "";

describe("the README pastes", () => {
  test.each([
    ["yaml", "deploy/examples/policy.yaml"],
    ["python", "deploy/examples/python/first_call.py"],
    ["ts", "deploy/examples/typescript/first-call.ts"],
  ])("its %s byte for byte from %s", (language, file) => {
    expect(onlyBlock(README, language)).toBe(readPage(file));
  });

  test("a policy of ten lines", () => {
    expect(onlyBlock(README, "yaml").trimEnd().split("\n")).toHaveLength(10);
  });

  test("the two commands on its first screen, and both are scripts of the package", () => {
    const screen = readPage(README).split("\n").slice(0, 25).join("\n");
    const { scripts } = JSON.parse(readPage("package.json")) as { scripts: Record<string, string> };
    expect(screen).toMatch(/^npm start /m);
    expect(screen).toMatch(/^npm test /m);
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(["start", "test"]));
  });
});

describe("against the sidecar that the README starts", () => {
  let sidecar: SidecarProcess;
  beforeAll(async () => {
    const [, policy = ""] = /npx imprest sidecar --policy (\S+)/.exec(commandsOf("sidecar")) ?? [];
    sidecar = await startSidecarProcess(policy);
  });
  afterAll(() => sidecar.stop());

  test("the first call from TypeScript runs as typed and is charged $0.0065", async () => {
    const ran = await runShell(commandsOf("first-call.ts"), {
      env: { IMPREST_ADDRESS: sidecar.address },
    });
    expect(ran).toMatchObject({ status: 0, stdout: CHARGED });
  });

  test("the first call from Python runs as typed and is charged $0.0065", async (context) => {
    const python = await preparePython();
    if (typeof python === "string") return context.skip(python);
    await python.close();
    const [venv, install, ...rest] = commandsOf("first_call.py").split("\n");
    // These two are what preparePython has done already.
    expect([venv, install]).toEqual([
      "python3 -m venv .venv",
      ".venv/bin/python -m pip install -q -r deploy/examples/python/requirements.txt",
    ]);
    const clone = await mkdtemp(path.join(tmpdir(), "imprest-readme-"));
    try {
      for (const name of ["proto", "deploy"]) {
        await symlink(path.join(ROOT, name), path.join(clone, name));
      }
      await symlink(python.venv, path.join(clone, ".venv"));
      const env = { IMPREST_ADDRESS: sidecar.address, PYTHONDONTWRITEBYTECODE: "1" };
      const ran = await runShell(rest.join("\n"), { cwd: clone, env });
      expect(ran).toMatchObject({ status: 0, stdout: CHARGED });
    } finally {
      await rm(path.join(python.venv, "imprest"), { recursive: true, force: true });
      await rm(clone, { recursive: true, force: true });
    }
  }, 120_000);
});
