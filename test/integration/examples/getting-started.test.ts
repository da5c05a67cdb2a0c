import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runShell } from "../../support/shell.ts";
import { type SidecarProcess, startSidecarProcess } from "../../support/sidecar-process.ts";
import { blocksOf } from "./markdown.ts";

const GUIDE = "deploy/guides/getting-started.md";
const SOCKET = "unix:/tmp/imprest.sock";

/** The lines that the reader types, in order, after the sidecar was started. */
const lines = blocksOf(GUIDE)
  .filter(({ language }) => language === "sh")
  .map(({ code }) => code.trim());
const at = lines.findIndex((line) => line.startsWith("npx imprest sidecar"));
const [first = "", second = "", otherRun = "", balance = ""] = lines.slice(at + 1);

describe("the getting-started guide", () => {
  let sidecar: SidecarProcess;
  const type = (line: string) => runShell(line.replace(SOCKET, sidecar.address));
  beforeAll(async () => {
    const [, policy = ""] = /--policy (\S+)/.exec(lines[at] ?? "") ?? [];
    sidecar = await startSidecarProcess(policy);
  });
  afterAll(() => sidecar.stop());

  test("validates and explains its policy", async () => {
    for (const line of lines.filter((each) => each.startsWith("npx imprest policy"))) {
      expect(await type(line)).toMatchObject({ status: 0, stderr: "" });
    }
  });

  test("comes to the first denial, by the limit that it names, and exits with 3", async () => {
    expect(await type(first)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("$21.00"),
    });
    const denied = await type(second);
    expect(denied.status).toBe(3);
    expect(denied.stdout).toMatch(/dollars-per-run/);
    expect(await type(otherRun)).toMatchObject({ status: 0 });
  });

  test("shows what is left of the run's $25", async () => {
    const shown = await type(balance);
    expect(shown.status).toBe(0);
    expect(shown.stdout).toMatch(/dollars-per-run.*\$4\.00/);
  });
});
