import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { typeCommand } from "../../support/fake-host.ts";
import { noRedis, redisCli } from "../../support/redis-client.ts";
import { freePort, type RedisServer, startRedis } from "../../support/redis-server.ts";

/** Seconds on an idle machine, many times that on one that is busy with other tests. */
const PATIENCE_MS = 400_000;

interface Shown {
  readonly admitted: number;
  readonly refused: number;
  readonly spentMicros: number;
}

const sum = (replicas: readonly Shown[], what: keyof Shown): number =>
  replicas.reduce((total, replica) => total + replica[what], 0);

describe("imprest demo --replicas 3 --store redis://…", () => {
  let redis: RedisServer | undefined;
  let port = 0;
  let url = "";
  let ran: Awaited<ReturnType<typeof typeCommand>>;
  beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));
  beforeAll(async () => {
    if (noRedis !== undefined) return;
    redis = await startRedis();
    port = redis.port;
    url = redis.url;
    ran = await typeCommand(["demo", "--replicas", "3", "--store", url, "--json"]);
  }, PATIENCE_MS);
  afterAll(() => redis?.stop());

  test("makes the same seven claims as one sidecar does, and they hold", () => {
    const told = JSON.parse(ran.stdout);
    expect(told.claims).toHaveLength(7);
    expect(told.claims.filter((claim: { held: boolean }) => !claim.held)).toEqual([]);
    expect(ran).toMatchObject({ status: 0, stderr: "" });
    expect(told.loop.spentMicros).toBeLessThanOrEqual(25_000_000);
    expect(told.loop.spentMicros).toBeGreaterThan(24_000_000);
  });

  test("tells what each replica admitted, and all three took part in it", () => {
    const { loop, neighbours, others, replicas } = JSON.parse(ran.stdout);
    const sides: readonly Shown[] = [loop, neighbours, others];
    expect(replicas).toHaveLength(3);
    for (const what of ["admitted", "refused", "spentMicros"] as const) {
      expect(sum(replicas, what)).toBe(sum(sides, what));
      expect(Math.min(...replicas.map((each: Shown) => each[what]))).toBeGreaterThan(0);
    }
  });

  test("IR1: its accounts are its own, and all of them lapse", async () => {
    const keys = (await redisCli(port, "--scan", "--pattern", "*:L:*")).split("\n");
    expect(keys.length).toBeGreaterThan(200);
    const own = /:L:(tenant-\d\d\.demo-[0-9a-f]{8}|%2Fplatform\/provider-month-[0-9a-f]{8}%2F)/;
    expect(keys.filter((key) => !own.test(key))).toEqual([]);
    for (const key of keys.slice(0, 20)) {
      expect(Number(await redisCli(port, "PTTL", key))).toBeGreaterThan(0);
    }
  });

  test("IR2: when it is over nothing is leased by anybody", async () => {
    const [key = ""] = (await redisCli(port, "--scan", "--pattern", "*:L:*read-contract*")).split(
      "\n",
    );
    const [, uid = ""] = /:L:([^/]+)\//.exec(key) ?? [];
    const show = ["ledger", "show", "--store", url, "--uid", uid, "--json"];
    const { ledgers } = JSON.parse((await typeCommand(show)).stdout);
    expect(ledgers.length).toBeGreaterThan(4);
    for (const ledger of ledgers) expect(ledger).toMatchObject({ leased: 0, quarantined: 0 });
  });
});

describe("imprest demo with several replicas", () => {
  test("and no store is a configuration error that says what is needed", async () => {
    const { status, stderr } = await typeCommand(["demo", "--replicas", "3"]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/--store.*memory:, with --replicas 3.*redis:\/\/HOST:PORT/);
  });

  test("and a store that does not answer says so, and plays nothing", async () => {
    const url = `redis://127.0.0.1:${await freePort()}`;
    const { status, stdout, stderr } = await typeCommand([
      "demo",
      ...["--replicas", "2", "--store", url],
    ]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/the store cannot be used: redis:\/\/127.*ECONNREFUSED/);
  });
});
