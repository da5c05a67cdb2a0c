import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { logVerbosity, Server, setLogVerbosity } from "@grpc/grpc-js";
import { afterEach, beforeEach, expect, test } from "vitest";
import { formatAddress } from "../../../src/adapters/grpc/address.ts";
import { bind } from "../../../src/adapters/grpc/bind.ts";
import { ConfigurationError } from "../../../src/compose/sidecar-config.ts";
import { startSidecar } from "../../support/running-sidecar.ts";

// The library writes to standard error what it also throws.
setLogVerbosity(logVerbosity.NONE);

const RIGHTS = { mode: 0o666, group: "" };
let folder: string;
let path: string;
let server: Server;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "imprest-"));
  path = join(folder, "s.sock");
  server = new Server();
});
afterEach(async () => {
  await new Promise((resolve) => server.tryShutdown(resolve));
  await rm(folder, { recursive: true });
});

const modeOf = async (): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

test("the socket has the mode that it is given, whatever the umask was", async () => {
  const before = process.umask(0o077);
  try {
    await bind(server, { kind: "unix", path }, { ...RIGHTS, mode: 0o660 });
    expect(process.umask()).toBe(0o077);
  } finally {
    process.umask(before);
  }
  expect(await modeOf()).toBe("660");
});

test("the socket has the group that it is given, by name or number", async () => {
  const [name, , id] = (await readFile("/etc/group", "utf8")).split("\n")[0]?.split(":") ?? [];
  for (const group of [name ?? "", id ?? ""]) {
    const one = new Server();
    await bind(one, { kind: "unix", path }, { mode: 0o620, group });
    expect((await stat(path)).gid).toBe(Number(id));
    expect(await modeOf()).toBe("620");
    await new Promise((resolve) => one.tryShutdown(resolve));
  }
});

test("a group that nobody knows is a configuration error", async () => {
  const bound = bind(server, { kind: "unix", path }, { ...RIGHTS, group: "no-such-group" });
  await expect(bound).rejects.toThrow("there is no group no-such-group");
});

test("a socket file that nobody answers on is replaced", async () => {
  const code = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => console.log("up"))`;
  const child = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  expect((await stat(path)).isSocket()).toBe(true);
  await bind(server, { kind: "unix", path }, RIGHTS);
  const socket = connect(path);
  await once(socket, "connect");
  socket.destroy();
});

test("a live socket is refused and stays as it is", async () => {
  const live = createServer().listen(path);
  await new Promise((resolve) => live.once("listening", resolve));
  const bound = bind(server, { kind: "unix", path }, RIGHTS);
  await expect(bound).rejects.toThrow(`a live process listens on unix:${path}`);
  expect((await stat(path)).isSocket()).toBe(true);
  await new Promise((resolve) => live.close(resolve));
});

test("why an address cannot be had is told in plain words", async () => {
  const file = join(folder, "file");
  await writeFile(file, "");
  const unix = (...parts: readonly string[]) => ({ kind: "unix", path: join(...parts) }) as const;
  for (const [address, why] of [
    [unix(folder, "none/s"), `the folder ${folder}/none does not exist`],
    [unix(file, "s"), `${file} is no folder`],
    [{ kind: "tcp", host: "192.0.2.1", port: 0 }, "address not available"],
  ] as const) {
    const problem = `cannot listen on ${formatAddress(address)}: ${why}`;
    await expect(bind(server, address, RIGHTS)).rejects.toMatchObject({ message: problem });
  }
});

test("a file that is no socket is never removed", async () => {
  await writeFile(path, "precious");
  await chmod(path, 0o600);
  await expect(bind(server, { kind: "unix", path }, RIGHTS)).rejects.toThrow("is no socket");
  expect(await readFile(path, "utf8")).toBe("precious");
});

const POLICY = "default_plan: free\nplans: {free: {limits: []}}\n";

test("an address in use is a configuration error, and nothing keeps listening", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => taken.once("listening", resolve));
  const address = taken.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const tcp = { kind: "tcp", host: "127.0.0.1", port } as const;
  for (const config of [
    { http: tcp },
    { health: tcp },
    { listen: [{ kind: "unix", path }, tcp] },
  ]) {
    const error = await startSidecar(POLICY, config as never).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect((error as ConfigurationError).message).toContain(`127.0.0.1:${port}`);
    await expect(stat(path)).rejects.toThrow("ENOENT");
  }
  await new Promise((resolve) => taken.close(resolve));
});

test("every address and group that cannot be had is told at once, and nothing keeps listening", async () => {
  const servers = [createServer(), createServer()];
  const ports: number[] = [];
  for (const each of servers) {
    await once(each.listen(0, "127.0.0.1"), "listening");
    ports.push((each.address() as AddressInfo).port);
  }
  await writeFile(join(folder, "file"), "");
  const tcp = (port = 0) => ({ kind: "tcp", host: "127.0.0.1", port }) as const;
  const error: unknown = await startSidecar(POLICY, {
    listen: [{ kind: "unix", path }, tcp(ports[0]), { kind: "unix", path: join(folder, "file") }],
    socketGroup: "no-such-group",
    health: tcp(ports[0]),
    http: tcp(ports[1]),
  }).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ConfigurationError);
  const { problems } = error as ConfigurationError;
  expect(problems).toEqual([
    "there is no group no-such-group in /etc/group",
    `cannot listen on 127.0.0.1:${ports[0]}: the address is in use`,
    `unix:${join(folder, "file")} exists and is no socket`,
    `cannot listen on 127.0.0.1:${ports[1]}: the address is in use`,
  ]);
  await expect(stat(path)).rejects.toThrow("ENOENT");
  await Promise.all(servers.map((each) => new Promise((resolve) => each.close(resolve))));
});

test("a policy with errors is a configuration error with all of them", async () => {
  const error = await startSidecar(
    "plans: {free: {limits: [{nam: x}]}}\ndefault_plan: gold\n",
  ).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ConfigurationError);
  expect((error as ConfigurationError).problems.length).toBeGreaterThan(1);
});
