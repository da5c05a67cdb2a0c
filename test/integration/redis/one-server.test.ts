/** A fleet's store on one server: found, lost, empty, not as it has to be. */
import { beforeEach, describe, expect, test } from "vitest";
import { infoField, noRedis, redisCli } from "../../support/redis-client.ts";
import { freePort, startRedis, type RedisServer } from "../../support/redis-server.ts";
import {
  useStore,
  type StoreUser,
  type StoreUserOptions,
} from "../../support/shared-store-user.ts";
import { eventually } from "../../support/eventually.ts";

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

describe.concurrent("an empty server", () => {
  test("IN1, IN2: two sidecars at once make one installation, which grants after 2 s", async (ending) => {
    const server = await start(ending);
    const [one, other] = [use(ending, server.url), use(ending, server.url)];
    await Promise.all([one.hears("up"), other.hears("up")]);
    expect(await redisCli(server.port, "GET", "imprest:id")).toMatch(/^[\w-]{24}:auto$/);
    const reply = await one.get(10);
    const born = [...one.lines, ...other.lines].filter(
      ({ message }) => message === "store prepared",
    );
    expect(born).toMatchObject([{ fields: { windowMs: 2_000 } }]);
    expect(reply).toMatchObject({ status: "ok", confirmed: true });
    expect(reply.blocks[0]?.learningMs).toBe(0);
    expect(await other.get(10)).toMatchObject({ blocks: [{ view: { available: 80, out: 20 } }] });
    expect(Number(await redisCli(server.port, "DBSIZE"))).toBeGreaterThan(1_024);
    expect(one.told).toEqual(["up"]);
  });

  test("IN4: a sidecar with another confirm mode than the fleet's is told why it is not served", async (ending) => {
    const server = await start(ending);
    await use(ending, server.url).hears("up");
    const other = use(ending, server.url, { confirm: "off" });
    await other.hears("down");
    expect(other.causes).toEqual([
      "this fleet runs with --confirm auto, this sidecar with --confirm off: one mode for all",
    ]);
    expect(other.store.status().isUp).toBe(false);
    expect(await other.ask(1)).toHaveProperty("fault");
  });

  test("a message and a view of what it did; a wake hint for who was refused", async (ending) => {
    const server = await start(ending);
    const [one, other] = [use(ending, server.url), use(ending, server.url)];
    await Promise.all([one.hears("up"), other.hears("up")]);
    await one.get(100);
    await other.ask(0); // opens the channel
    await eventually(async () =>
      (await redisCli(server.port, "PUBSUB", "NUMSUB", "{q82}")).endsWith("2"),
    );
    const refused = await other.ask(30, { waitMs: 10_000 });
    expect(refused).toMatchObject({ blocks: [{ grant: 0, view: { available: 0 } }] });
    await eventually(() => one.hints.some(({ kind }) => kind === "recall") || one.hints.length > 0);
    await one.ask(0, { returned: 50 });
    await eventually(() => other.hints.some(({ kind }) => kind === "wake"));
    expect(one.store.roundTripMs()).toBeGreaterThan(0);
  });
});

describe.concurrent("a server that goes and comes", () => {
  test("RS1, PR2: killed and started again, it is told to be down once, with the cause, and to be up once", async (ending) => {
    const server = await start(ending);
    const user = use(ending, server.url);
    await user.hears("up");
    await user.get(10);
    await server.kill();
    await user.hears("down");
    expect(await user.ask(1)).toHaveProperty("fault");
    await server.restart();
    await user.hears("up", 2);
    expect(user.told).toContain("changed"); // (RS3, PR2)
    await eventually(async () => (await redisCli(server.port, "GET", "imprest:id")) !== "");
    expect(user.told.filter((what) => what !== "changed")).toEqual(["up", "down", "up"]);
    expect(user.causes).toEqual([expect.stringMatching(/./)]);
    expect(user.lines.map(({ message }) => message)).toEqual(["store prepared", "store prepared"]);
    // IN3: who knew the store before gives everybody the long window.
    expect(user.lines.at(-1)?.fields["windowMs"]).toBe(12_000);
    const reply = await user.ask(1);
    expect("fault" in reply ? 0 : reply.blocks[0]?.learningMs).toBeGreaterThan(5_000);
  });

  test("LK2: it may come long after the sidecar, and is found then", async (ending) => {
    const port = await freePort();
    const user = use(ending, `redis://127.0.0.1:${port}`);
    await user.hears("down");
    expect(user.causes).toEqual([`connect ECONNREFUSED 127.0.0.1:${port}`]);
    expect(await user.ask(1)).toEqual({ fault: `connect ECONNREFUSED 127.0.0.1:${port}` });
    const late = await startRedis({ port });
    ending.onTestFinished(() => late.stop());
    await user.hears("up");
    expect(user.causes).toHaveLength(1);
  });

  test("RS3: FLUSHALL is another data set, though no connection breaks", async (ending) => {
    const server = await start(ending);
    const user = use(ending, server.url);
    await user.hears("up");
    const before = await redisCli(server.port, "GET", "imprest:id");
    await redisCli(server.port, "FLUSHALL");
    await user.hears("changed");
    const after = await redisCli(server.port, "GET", "imprest:id");
    expect(after).toMatch(/:auto$/);
    expect(after).not.toBe(before);
  });

  test("a script that the server has forgotten is sent whole once more", async (ending) => {
    const server = await start(ending);
    const user = use(ending, server.url);
    await user.hears("up");
    await user.ask(0);
    await redisCli(server.port, "SCRIPT", "FLUSH");
    expect(await Promise.all([user.ask(1), user.ask(1)])).toMatchObject([
      { status: "ok" },
      { status: "ok" },
    ]);
  });

  test("DL1, RS2: what was in flight when the connection broke is not sent again", async (ending) => {
    const server = await start(ending);
    const user = use(ending, server.url);
    await user.hears("up");
    await user.ask(0);
    await redisCli(server.port, "CONFIG", "RESETSTAT");
    await redisCli(server.port, "CLIENT", "PAUSE", "20000", "WRITE");
    const asked = user.ask(1);
    await redisCli(server.port, "CLIENT", "KILL", "TYPE", "normal");
    expect(await asked).toHaveProperty("fault");
    await redisCli(server.port, "CLIENT", "UNPAUSE");
    await user.hears("up", 2);
    const stats = await redisCli(server.port, "INFO", "commandstats");
    expect(stats).not.toContain("cmdstat_evalsha");
  });

  test("a server that takes 2 s to answer still answers", async (ending) => {
    const server = await start(ending);
    const user = use(ending, server.url);
    await user.hears("up");
    await user.ask(0);
    server.pause();
    const asked = user.ask(1);
    setTimeout(() => server.resume(), 2_000);
    expect(await asked).toMatchObject({ status: "ok" });
    expect(user.told).not.toContain("down");
  });
});

describe.concurrent("a server that is not what it has to be", () => {
  test("PR1: maxmemory-policy is named with what to do, and it is used once that is right", async (ending) => {
    const server = await start(ending, "--maxmemory-policy", "allkeys-lru");
    const user = use(ending, server.url);
    await user.hears("down");
    expect(user.causes).toEqual([
      "maxmemory-policy is allkeys-lru: it would forget what was spent when memory is short; `CONFIG SET maxmemory-policy noeviction`",
    ]);
    expect(await redisCli(server.port, "DBSIZE")).toBe("0");
    await redisCli(server.port, "CONFIG", "SET", "maxmemory-policy", "noeviction");
    await user.hears("up");
  });

  test("a read-only replica is named, with its primary", async (ending) => {
    const primary = await start(ending, "--repl-diskless-sync-delay", "0");
    const replica = await start(
      ending,
      "--repl-diskless-sync-delay",
      "0",
      "--replicaof",
      `127.0.0.1 ${primary.port}`,
    );
    await eventually(async () => (await infoField(replica.port, "master_link_status")) === "up");
    const user = use(ending, replica.url);
    await user.hears("down");
    expect(user.causes).toEqual([
      `it is a read-only replica of 127.0.0.1:${primary.port}: --store has to lead there`,
    ]);
    await redisCli(replica.port, "REPLICAOF", "NO", "ONE");
    await user.hears("up");
  });

  test("a lone server is no Cluster, and strict needs a replica", async (ending) => {
    const server = await start(ending);
    const cluster = use(ending, server.url.replace("redis:", "redis+cluster:"));
    await cluster.hears("down");
    expect(cluster.causes).toEqual(["it is no node of a Cluster: write --store redis://HOST:PORT"]);
    const strict = use(ending, server.url, { confirm: "strict" });
    await strict.hears("down");
    expect(strict.causes).toEqual([
      "no replica is connected: with --confirm strict nothing is granted until one is; --confirm auto does without",
    ]);
    expect(await strict.ask(1)).toHaveProperty("fault");
  });

  test("RS3, PR2: another replication id is news, but for --store-fencing none", async (ending) => {
    const server = await start(ending, "--enable-debug-command", "yes");
    const [fenced, unfenced] = [
      use(ending, server.url),
      use(ending, server.url, { fencing: "none" }),
    ];
    await Promise.all([fenced.hears("up"), unfenced.hears("up")]);
    await redisCli(server.port, "DEBUG", "CHANGE-REPL-ID");
    await fenced.hears("changed");
    expect(fenced.told).toEqual(["up", "changed"]);
    expect(unfenced.told).toEqual(["up"]);
    // Where nothing else tells, a new connection may be one to another data set.
    await redisCli(server.port, "CLIENT", "KILL", "TYPE", "normal");
    await unfenced.hears("changed");
  });

  test("out of memory, it refuses what a message asks, says why, and counts as lost until there is some (RS1)", async (ending) => {
    const server = await start(ending);
    const user = use(ending, server.url);
    await user.hears("up");
    await user.ask(0);
    await redisCli(server.port, "CONFIG", "SET", "maxmemory", "1mb");
    expect(await user.ask(1)).toMatchObject({ fault: expect.stringContaining("OOM") });
    await user.hears("down");
    expect(user.causes).toEqual([expect.stringContaining("OOM")]);
    await redisCli(server.port, "CONFIG", "SET", "maxmemory", "0");
    await eventually(() => user.store.status().isUp);
    expect(user.told).toEqual(["up", "down", "up"]);
    expect(await user.ask(1)).toMatchObject({ status: "ok" });
  });
});
