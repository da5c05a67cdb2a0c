/** Who is let in: passwords that are wrong and become right, users of their own, TLS. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { RIGHTS } from "../../../src/adapters/redis/inspection.ts";
import { makeCertificates, noOpenssl } from "../../support/certificates.ts";
import { noRedis, redisCli } from "../../support/redis-client.ts";
import { freePort, startRedis, type RedisServer } from "../../support/redis-server.ts";
import {
  useStore,
  type StoreUser,
  type StoreUserOptions,
} from "../../support/shared-store-user.ts";

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));

interface Ending {
  onTestFinished(end: () => Promise<void>): void;
}

async function start({ onTestFinished }: Ending, ...args: readonly string[]): Promise<RedisServer> {
  const server = await startRedis({ args });
  onTestFinished(() => server.stop());
  return server;
}

function use({ onTestFinished }: Ending, url: string, options?: StoreUserOptions): StoreUser {
  const user = useStore(url, options);
  onTestFinished(() => user.close());
  return user;
}

/** The words of the command that an error proposes, with a password of the test's. */
const proposed = (...more: readonly string[]): readonly string[] =>
  (/`ACL SETUSER imprest ([^`]+)`/.exec(RIGHTS)?.[1] ?? "")
    .replace("PASSWORD", "secret")
    .split(" ")
    .concat(more);

/** The opposite of what takes a right away. */
const given = (lack: string): readonly string[] =>
  lack === "resetchannels" ? ["&{q*"] : [lack.replace("-", "+")];

/** A file with this in it; it is gone when the test ends. */
async function passwordIn({ onTestFinished }: Ending, password: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "imprest-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = path.join(folder, "password");
  await writeFile(file, password);
  return file;
}

describe.concurrent("a password", () => {
  test("RS1: that is wrong is told once, without it, and works as soon as it is right", async (ending) => {
    const server = await start(ending, "--requirepass", "sesame");
    const user = use(ending, server.url.replace("//", "//:hunter2@"));
    await user.hears("down");
    expect(await user.ask(1)).toHaveProperty("fault");
    expect(user.causes).toEqual(["WRONGPASS invalid username-password pair or user is disabled."]);
    await redisCli(server.port, "-a", "sesame", "CONFIG", "SET", "requirepass", "hunter2");
    await user.hears("up");
    expect(user.causes).toHaveLength(1);
    expect(JSON.stringify(user.lines)).not.toContain("hunter2");
  });

  test("DL2: in a file is read again, so that it can be exchanged", async (ending) => {
    const passwordFile = await passwordIn(ending, "before\n");
    const server = await start(ending, "--requirepass", "after");
    const user = use(ending, server.url, { passwordFile });
    await user.hears("down");
    await writeFile(passwordFile, "after\n");
    await user.hears("up");
    expect(user.told).toEqual(["down", "up"]);
  });

  test("LK3: that comes later than the sidecar is found", async (ending) => {
    const passwordFile = await passwordIn(ending, "");
    const server = await start(ending, "--requirepass", "sesame");
    const user = use(ending, server.url, { passwordFile });
    await user.hears("down");
    expect(user.causes).toEqual([expect.stringContaining("NOAUTH")]);
    await writeFile(passwordFile, "sesame");
    await user.hears("up");
    expect(await user.get(10)).toMatchObject({ status: "ok" });
  });

  test("in no file is an error before anything starts", () => {
    expect(() => useStore("redis://127.0.0.1:1", { passwordFile: "/nowhere/password" })).toThrow(
      "/nowhere/password",
    );
  });
});

describe.concurrent("a user of its own", () => {
  test("is served with exactly the rights that an error proposes", async (ending) => {
    const server = await start(ending);
    await redisCli(server.port, "ACL", "SETUSER", "imprest", ...proposed());
    const user = use(ending, server.url.replace("//", "//imprest:secret@"));
    await user.hears("up");
    expect(await user.get(10)).toMatchObject({ status: "ok", confirmed: true });
    expect(user.lines.map(({ level }) => level)).toEqual(["info"]);
    expect(await redisCli(server.port, "ACL", "LOG")).not.toMatch(/evalsha|subscribe|zadd/);
  });

  test.each([
    ["-eval", "scripts are refused (NOPERM"],
    ["-zadd", "the scripts may not do all: ZADD: "],
    ["-pexpireat", "the scripts may not do all: PEXPIREAT: "],
    ["resetchannels", "the scripts may not do all: PUBLISH: "],
    ["-info", "INFO is refused (NOPERM"],
    ["-wait", "WAIT is refused (NOPERM"],
  ])("without %s is told what it lacks, and how to give it", async (lack, says) => {
    const server = await startRedis();
    await redisCli(server.port, "ACL", "SETUSER", "imprest", ...proposed(lack));
    const user = useStore(server.url.replace("//", "//imprest:secret@"));
    await user.hears("down");
    expect(user.causes).toEqual([expect.stringContaining(says)]);
    expect(String(user.causes[0])).toContain("ACL SETUSER");
    await redisCli(server.port, "ACL", "SETUSER", "imprest", ...given(lack));
    await user.hears("up");
    await user.close();
    await server.stop();
  });
});

test("rediss: speaks TLS, to a server whose certificate is trusted alone", async (ending) => {
  ending.skip(noOpenssl !== undefined, noOpenssl);
  const { ca, cert, key, remove } = await makeCertificates();
  ending.onTestFinished(remove);
  const port = await freePort();
  const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca];
  await start(ending, "--tls-port", String(port), ...files);
  const stranger = use(ending, `rediss://127.0.0.1:${port}?cert=${cert}&key=${key}`);
  await stranger.hears("down");
  expect(String(stranger.causes[0])).toContain("certificate");
  const user = use(ending, `rediss://127.0.0.1:${port}?ca=${ca}&cert=${cert}&key=${key}`);
  await user.hears("up");
  expect(await user.ask(0)).toMatchObject({ status: "ok" });
});
