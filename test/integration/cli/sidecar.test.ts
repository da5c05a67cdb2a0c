/** `imprest sidecar` as an operator runs it: a process, its sockets, its signals, its exit statuses. */
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CheckRequest, QuotaServiceService } from "../../../src/gen/imprest/v1/quota.ts";
import {
  runCommand,
  sidecarWords,
  startCommand,
  type CommandOptions,
  type CommandProcess,
} from "../../support/command-process.ts";
import { typeCommand } from "../../support/fake-host.ts";

let folder: string;
let started: CommandProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "imprest-"));
  started = [];
});
afterEach(async () => {
  for (const each of started) each.send("SIGKILL");
  await Promise.all(started.map((each) => each.ended()));
  await rm(folder, { recursive: true, force: true });
});

const socket = () => join(folder, "s");

const words = (...more: readonly string[]): readonly string[] => [
  ...sidecarWords(`unix:${socket()}`),
  ...more,
];

/** For those that run in this process, whose log would go to the test's own output. */
const quiet = (...more: readonly string[]) => words("--log-level", "silent", ...more);

function start(more: readonly string[] = [], options: CommandOptions = {}): CommandProcess {
  const process = startCommand(words(...more), options);
  started.push(process);
  return process;
}

describe("imprest sidecar", () => {
  it("says where it serves, in the form of the flags, with port 0 resolved", async () => {
    const serving = await start(["--listen", `unix:${socket()},127.0.0.1:0,[::1]:0`]).logged(
      "serving",
    );
    expect(serving).toMatchObject({
      listen: [
        `unix:${socket()}`,
        expect.stringMatching(/^127\.0\.0\.1:[1-9]\d*$/),
        expect.stringMatching(/^\[::1\]:[1-9]\d*$/),
      ],
      health: expect.stringMatching(/^127\.0\.0\.1:[1-9]\d*$/),
      http: expect.stringMatching(/^127\.0\.0\.1:[1-9]\d*$/),
    });
    expect(statSync(socket()).mode & 0o777).toBe(0o666);
    const page = await fetch(`http://${String(serving["http"])}/readyz`);
    expect(page.status).toBe(200);
  });

  it.each(["SIGTERM", "SIGINT"] as const)(
    "drains on %s, leaves no socket and exits 0",
    async (signal) => {
      const sidecar = start(["--socket-mode", "0600"]);
      await sidecar.logged("serving");
      expect(statSync(socket()).mode & 0o777).toBe(0o600);
      sidecar.send(signal);
      const { status, stderr } = await sidecar.ended();
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(existsSync(socket())).toBe(false);
    },
  );

  it("starts over with a heap of its size, in its own place", async () => {
    const before = `
      import { writeSync } from "node:fs";
      const heap = process.execArgv.filter((flag) => flag.startsWith("--max-semi"));
      writeSync(1, JSON.stringify({ pid: process.pid, heap }) + "\\n");
    `;
    const sidecar = start([], { before });
    await sidecar.logged("serving");
    const [first = "", again = ""] = sidecar.printed.stdout.split("\n");
    const { pid } = JSON.parse(first) as { readonly pid: number };
    expect(JSON.parse(first)).toEqual({ pid, heap: [] });
    expect(JSON.parse(again)).toEqual({ pid, heap: ["--max-semi-space-size=4"] });
  });

  it("ends at once with 1 on a second signal, whatever is still open", async () => {
    const sidecar = start(["--drain-timeout", "1h"]);
    await sidecar.logged("serving");
    const client = new Client(`unix:${socket()}`, credentials.createInsecure());
    const { path, requestSerialize, responseDeserialize } = QuotaServiceService.check;
    // A call whose request never comes stays open.
    client
      .makeClientStreamRequest(path, requestSerialize, responseDeserialize, () => undefined)
      .on("error", () => undefined);
    // On the same connection, so that once this one is answered the other has arrived.
    await new Promise((resolve) => {
      const request = CheckRequest.fromPartial({ subject: { tenant: "acme" } });
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, resolve);
    });
    sidecar.send("SIGTERM");
    await sidecar.logged("draining");
    // It waits for the open call, and meanwhile says why it takes no other.
    const refused = await typeCommand(["check", "--address", `unix:${socket()}`]);
    expect(refused.stderr).toContain("UNAVAILABLE DRAINING");
    sidecar.send("SIGTERM");
    expect((await sidecar.ended()).status).toBe(1);
    client.close();
  });

  it("is configured by variables alone as well", async () => {
    const env = {
      IMPREST_POLICY: "deploy/examples/policy.yaml",
      IMPREST_LISTEN: `unix:${socket()}`,
      IMPREST_HEALTH: "127.0.0.1:0",
      IMPREST_HTTP: "127.0.0.1:0",
      IMPREST_HOLDER: "agent-7",
      KUBERNETES_SERVICE_HOST: "10.96.0.1",
      IMPREST_STORE: "memory:",
      // What Kubernetes sets for a Service called "imprest".
      IMPREST_PORT: "tcp://10.96.0.2:4600",
    };
    const sidecar = startCommand(["sidecar"], { env });
    started.push(sidecar);
    expect(await sidecar.logged("serving")).toMatchObject({ holder: "agent-7" });
  });
});

describe("imprest sidecar exits 2 and starts nothing where", () => {
  it("the configuration is wrong, and tells all of it", async () => {
    const env = { IMPREST_WAIT: "soon", KUBERNETES_SERVICE_HOST: "10.96.0.1" };
    const { status, stdout, stderr } = await runCommand(
      words("--jwt-issuer", "https://i", "--listne", "x"),
      {
        env,
      },
    );
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    for (const said of [
      "--listne",
      "--wait (from IMPREST_WAIT)",
      "--jwt-issuer",
      "--store (or IMPREST_STORE)",
    ]) {
      expect(stderr).toContain(`  ${said}: found `);
    }
    expect(existsSync(socket())).toBe(false);
  });

  it("the policy cannot be read", async () => {
    const { status, stderr } = await typeCommand(quiet("--policy", join(folder, "none.yaml")));
    expect(status).toBe(2);
    expect(stderr).toContain("none.yaml");
    expect(stderr).toContain("ENOENT");
  });

  it("the policy has errors, and prints every one", async () => {
    const file = join(folder, "p.yaml");
    const limits = "[{name: a, meter: tokens, budget: {units: -1, period: month}}, {nmae: b}]";
    await writeFile(
      file,
      `apiVersion: imprest.dev/v1\nkind: Policy\nplans: {p: {limits: ${limits}}}\n`,
    );
    const { status, stderr } = await typeCommand(quiet("--policy", file));
    expect(status).toBe(2);
    expect(stderr).toContain("plans.p.limits[0].budget.units");
    expect(stderr).toContain("plans.p.limits[1]");
    expect(existsSync(socket())).toBe(false);
  });

  it("flags, policy, password and journal are all wrong, and tells all of it", async () => {
    const policy = join(folder, "p.yaml");
    await writeFile(policy, "apiVersion: imprest.dev/v1\nkind: Policy\nmode: off\nrevison: 1\n");
    await writeFile(join(folder, "file"), "");
    const files = ["--policy", policy, "--journal", join(folder, "file/j")];
    const store = ["--store", "redis://h", "--store-password-file", join(folder, "none")];
    for (const wrong of [["--listen", "foo"], []]) {
      const { status, stdout, stderr } = await typeCommand(quiet(...files, ...store, ...wrong));
      expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
      for (const said of [
        ...wrong.slice(1).map((text) => `--listen: found "${text}"; allowed: `),
        `${policy}:3:7 mode: found `,
        `${policy}:4:1 revison: found `,
        "--store: ENOENT",
        "--journal: the journal ",
      ]) {
        expect(stderr).toContain(`  ${said}`);
      }
    }
    const { status, stderr } = await typeCommand(
      quiet("--policy", join(folder, "none.yaml"), "--listen", "foo"),
    );
    expect(status).toBe(2);
    expect(stderr).toContain("2 configuration errors");
    expect(stderr).toContain("none.yaml cannot be read: ENOENT");
  });

  it.each(["--listen", "--health", "--http"])("an address of %s is in use", async (flag) => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    const { status, stderr } = await typeCommand(quiet(flag, taken));
    other.close();
    expect(status).toBe(2);
    expect(stderr).toContain(taken);
    expect(existsSync(socket())).toBe(false);
  });

  it("somebody answers on its socket, who goes on answering", async () => {
    const first = start();
    await first.logged("serving");
    const { status, stderr } = await typeCommand(quiet());
    expect(status).toBe(2);
    expect(stderr).toContain(socket());
    const asked = await typeCommand(["check", "--tenant", "acme", "--address", `unix:${socket()}`]);
    expect(asked.status).toBe(0);
  });
});

it("a socket file that a killed sidecar left behind is replaced", async () => {
  const first = start();
  await first.logged("serving");
  first.send("SIGKILL");
  await first.ended();
  expect(existsSync(socket())).toBe(true);
  await start().logged("serving");
});

describe("a defect", () => {
  it.each([
    ["nobody caught", "throw new Error('boom')"],
    ["in a promise", "void Promise.reject(new Error('boom'))"],
  ])("%s is one line in the log, drains and exits 1", async (_name, defect) => {
    // It breaks twice before the drain has ended.
    const before = `process.on("SIGUSR2", () => { process.nextTick(() => { ${defect} }); ${defect} });`;
    const sidecar = start([], { before });
    await sidecar.logged("serving");
    sidecar.send("SIGUSR2");
    const { status, stdout, stderr } = await sidecar.ended();
    expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
    expect(stdout.split("\n").filter((line) => line.includes("boom"))).toHaveLength(1);
    expect(stdout).toContain('"msg":"drained"');
    expect(existsSync(socket())).toBe(false);
  });
});
