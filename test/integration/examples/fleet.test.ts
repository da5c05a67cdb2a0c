import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { RIGHTS } from "../../../src/adapters/redis/inspection.ts";
import { noRedis } from "../../support/redis-client.ts";
import { freePort } from "../../support/redis-server.ts";
import { runShell } from "../../support/shell.ts";
import { ROOT } from "../../support/sources.ts";
import { onlyBlock, stepsOf } from "./markdown.ts";

const GUIDE = "deploy/guides/fleet.md";
/** Eleven seconds until a dead sidecar's leases lapse; many times that on a machine that is busy with other tests. */
const PATIENCE_MS = 240_000;

const [store = [], sidecars = [], budget = [], death = [], loss = []] = stepsOf(GUIDE);

/** What stays in the foreground of a terminal. */
interface Terminal {
  /** Resolves once it has printed that. */
  says(text: string): Promise<void>;
  end(signal: NodeJS.Signals): Promise<void>;
}

function openTerminal(line: string): Terminal {
  const words = line.replace("npx imprest", `${process.execPath} src/main.ts`).split(" ");
  const child: ChildProcess = spawn(words[0] ?? "", words.slice(1), {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const printed: string[] = [];
  const waiting = new Map<string, () => void>();
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on("line", (heard) => {
      printed.push(heard);
      for (const [text, resolve] of waiting) if (heard.includes(text)) resolve();
    });
  }
  const ended = once(child, "close");
  return {
    async says(text) {
      if (printed.some((heard) => heard.includes(text))) return;
      const heard = new Promise<void>((resolve) => void waiting.set(text, resolve));
      const tooEarly = ended.then(() => Promise.reject(new Error(printed.join("\n"))));
      await Promise.race([heard, tooEarly]);
    },
    async end(signal) {
      child.kill(signal);
      await ended;
    },
  };
}

describe("the guide from one pod to a fleet", { timeout: PATIENCE_MS }, () => {
  const open: Terminal[] = [];
  let folder = "";
  /** The guide's line, with a folder and ports of this test's own. */
  let own = (line: string): string => line;
  const start = async (line: string, says: string): Promise<Terminal> => {
    const terminal = openTerminal(own(line));
    open.push(terminal);
    await terminal.says(says);
    return terminal;
  };
  const type = (line = "") => runShell(own(line));

  beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "imprest-"));
    const ports = await Promise.all(
      ["6390", "4611", "4612"].map(async (p) => [p, await freePort()]),
    );
    own = (line) =>
      ports.reduce(
        (text, [theirs, ours]) => text.replaceAll(String(theirs), String(ours)),
        line.replaceAll("/tmp/imprest-fleet", folder),
      );
  });
  afterAll(async () => {
    await Promise.all(open.map((terminal) => terminal.end("SIGKILL")));
    await rm(folder, { recursive: true, force: true });
  });

  test("finds the store fit and prepares it", async () => {
    const [mkdir, server = "", prepare] = store;
    await type(mkdir);
    await start(server, "Ready to accept connections");
    const ran = await type(prepare);
    expect(ran).toMatchObject({ status: 0, stderr: "" });
    expect(ran.stdout).toContain("fit, and prepared for --confirm auto");
  });

  test("starts two sidecars on it", async () => {
    expect(sidecars).toHaveLength(2);
    await Promise.all(sidecars.map((line) => start(line, '"msg":"serving"')));
    await Promise.all(open.slice(1).map((sidecar) => sidecar.says('"msg":"store found"')));
  });

  test("spends one budget at both, and is refused what is beyond it", async () => {
    const [both, third, look] = budget;
    expect(await type(both)).toMatchObject({ status: 0 });
    const denied = await type(third);
    expect(denied.status).toBe(3);
    expect(denied.stdout).toMatch(/BUDGET_EXHAUSTED.*dollars-per-run/);
    const { status, stdout } = await type(look);
    expect(status).toBe(0);
    expect(stdout).toMatch(/dollars-per-run +tenant:acme\/run:r-1 +usd_micros +\$5\.00 +\$25\.00/);
    expect(stdout).toMatch(/dollars-per-run usd_micros r-1 once: \$5\.00 of \$25\.00 left/);
    expect(stdout).toMatch(/live {2}a .*\n.*live {2}b /);
  });

  test("kills a sidecar: what it had is in quarantine, until it is resolved by hand", async () => {
    const [reserve, consume, show, ask, resolve] = death;
    expect(await type(reserve)).toMatchObject({ status: 0 });
    await open.at(2)?.end("SIGQUIT");
    expect(await type(consume)).toMatchObject({ status: 0 });
    let shown = await type(show);
    const isOver = /r-2 once: .* in quarantine\n[^]*dead {2}b/; // each ledger in its own time
    while (!isOver.test(shown.stdout)) {
      expect(await type(consume)).toMatchObject({ status: 0 });
      shown = await type(show);
    }
    expect(await type(ask)).toMatchObject({ status: 3, stderr: "" });
    const resolved = await type(resolve);
    expect(resolved.status).toBe(0);
    expect(resolved.stderr).toContain('"msg":"ledger resolve"');
    expect((await type(show)).stdout).not.toMatch(/dead|r-2 once: .*quarantine/);
  });

  test("loses the store: each limit does what its policy says, and the store is found again", async () => {
    const [shutdown, tool, run, look] = loss;
    expect(await type(shutdown)).toMatchObject({ status: 0 });
    await open.at(1)?.says("store lost: serving from what is leased");
    const allowed = await type(tool);
    expect(allowed.status).toBe(0);
    expect(allowed.stdout).toMatch(/^ALLOW\n[^]*degraded/);
    const denied = await type(run);
    expect(denied.status).toBe(3);
    expect(denied.stdout).toMatch(/STORE_UNAVAILABLE: .*dollars-per-run/);
    const { stdout } = await type(look);
    expect(stdout).toMatch(/^\[-\]store: .*ECONNREFUSED.*degraded$/m);
    expect(stdout).toMatch(/^imprest_store_up 0$/m);
    expect(stdout).toMatch(/^imprest_decision_source_total\{source="fallback"\} 2$/m);
    await start(store[1] ?? "", "Ready to accept connections");
    await open.at(1)?.says("store back");
  });

  test("gives a user of the store's the rights that the program asks for", () => {
    const [, rights] = /^`([^`]+)`/.exec(RIGHTS) ?? [];
    expect(onlyBlock(GUIDE, "text").trim()).toBe(rights);
  });
});
