/** Whole sidecars on a real store: one limit for all of them, and what each says when the store is gone. */
import { beforeEach, expect, test } from "vitest";
import { Decision, DenyReason } from "../../../src/gen/imprest/v1/quota.ts";
import { ConfigurationError } from "../../../src/compose/sidecar-config.ts";
import { LEARNS } from "../../support/endurance.ts";
import { noRedis, redisCli } from "../../support/redis-client.ts";
import { freePort, startRedis } from "../../support/redis-server.ts";
import { redisStoreAt } from "../../support/redis-store.ts";
import { type RunningSidecar, startSidecar } from "../../support/running-sidecar.ts";
import { eventually } from "../../support/eventually.ts";

/** Whole sidecars start and reload in these, several at once. */
const PATIENT = { timeout: 60_000 };

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));

interface Ending {
  onTestFinished(end: () => Promise<void>): void;
}

const policy = (units: number, revision = 1): string => `
revision: ${revision}
default_plan: free
plans:
  free:
    limits:
      - {name: month, meter: tokens, budget: {units: ${units}, period: month}}
`;

async function startOne(ending: Ending, address: string, holder: string): Promise<RunningSidecar> {
  const running = await startSidecar(policy(100), { store: redisStoreAt(address), holder });
  ending.onTestFinished(() => running.close());
  return running;
}

const consume = (running: RunningSidecar, units: bigint) =>
  running.client().call("consume", {
    subject: { tenant: "acme" },
    amounts: [{ meter: "tokens", units }],
  });

const decisionOf = async (running: RunningSidecar, units: bigint) =>
  (await consume(running, units)).verdict?.decision;

test.concurrent(
  "two sidecars share one budget, and what one gives back on leaving the other may spend",
  PATIENT,
  async (ending) => {
    const server = await startRedis();
    ending.onTestFinished(() => server.stop());
    const [one, other] = [
      await startOne(ending, server.url, "one"),
      await startOne(ending, server.url, "other"),
    ];
    await eventually(async () => (await decisionOf(one, 10n)) === Decision.ALLOW);
    await eventually(async () => (await decisionOf(other, 20n)) === Decision.ALLOW);
    await one.sidecar.drain();
    await eventually(async () => (await decisionOf(other, 70n)) === Decision.ALLOW);
    const denied = (await consume(other, 1n)).verdict;
    expect(denied).toMatchObject({ decision: Decision.DENY });
    expect(denied?.denial?.reason).toBe(DenyReason.BUDGET_EXHAUSTED);
  },
);

test.concurrent(
  "a store that is down ends nothing: it is told once, everywhere, and found when it comes",
  PATIENT,
  async (ending) => {
    const port = await freePort();
    const running = await startOne(ending, `redis://:hunter2@127.0.0.1:${port}`, "early");
    const lost = await running.logged("store lost: serving from what is leased");
    expect(lost).toMatchObject({
      level: "error",
      fields: {
        store: `redis://127.0.0.1:${port}`,
        cause: `connect ECONNREFUSED 127.0.0.1:${port}`,
      },
    });
    expect(await running.get("/readyz")).toEqual({ status: 200, body: "ok" });
    expect((await running.get("/readyz?verbose")).body).toContain(
      `[-]store: redis://127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`,
    );
    expect((await running.get("/metrics")).body).toContain("\nimprest_store_up 0\n");
    expect(await decisionOf(running, 1n)).toBe(Decision.DENY);
    const server = await startRedis({ port, args: ["--requirepass", "hunter2"] });
    ending.onTestFinished(() => server.stop());
    await running.logged("store back");
    await eventually(async () => (await decisionOf(running, 1n)) === Decision.ALLOW);
    const { body } = await running.get("/metrics");
    expect(body).toContain("\nimprest_store_up 1\n");
    expect(body).toMatch(/\nimprest_store_ops_total\{op="sync",status="ok"\} [1-9]/);
    expect((await running.get("/readyz?verbose")).body).toContain("[+]store: redis://127.0.0.1:");
    const causes = running.lines.filter(({ message }) => message.startsWith("store lost"));
    expect(causes).toHaveLength(1);
    expect(JSON.stringify(running.lines)).not.toContain("hunter2");
    expect(await redisCli(port, "-a", "hunter2", "GET", "imprest:id")).toMatch(/:auto$/);
  },
);

test.concurrent(
  "LS1, LS2: a store that was flushed is told by each sidecar, once, everywhere, until it grants again",
  PATIENT,
  async (ending) => {
    const server = await startRedis();
    ending.onTestFinished(() => server.stop());
    const both = [
      await startOne(ending, server.url, "one"),
      await startOne(ending, server.url, "other"),
    ];
    for (const running of both) {
      await eventually(async () => (await decisionOf(running, 1n)) === Decision.ALLOW);
    }
    await redisCli(server.port, "FLUSHALL");
    for (const running of both) {
      const lost = await running.logged(LEARNS);
      expect(lost).toMatchObject({ level: "warn", fields: { atMostMs: 15_000 } });
      expect((await running.get("/metrics")).body).toContain("\nimprest_degraded 1\n");
      expect((await running.get("/readyz?verbose")).body).toMatch(
        /\[-\]store: redis:.*: it may have lost data, and grants nothing for \d+ s more .*, degraded/,
      );
    }
    for (const running of both) {
      await running.logged("store back");
      expect((await running.get("/metrics")).body).toContain("\nimprest_degraded 0\n");
      expect((await running.get("/readyz?verbose")).body).toMatch(/\[\+\]store: redis:[^ ]*$/m);
      await eventually(async () => (await decisionOf(running, 1n)) === Decision.ALLOW);
      const said = running.lines.filter(({ message }) => /^store (lost|may|back)/.test(message));
      expect(said.map(({ level }) => level)).toEqual(["warn", "info"]);
    }
  },
);

test.concurrent(
  "with a shared store a policy needs a revision, and a higher one for other content",
  PATIENT,
  async (ending) => {
    const store = redisStoreAt(`redis://127.0.0.1:${await freePort()}`);
    const unnumbered = policy(100).replace("revision: 1\n", "");
    const refused = startSidecar(unnumbered, { store });
    await expect(refused).rejects.toThrow(ConfigurationError);
    await expect(refused).rejects.toThrow("revision: found nothing");
    const running = await startSidecar(policy(100, 5), { store });
    ending.onTestFinished(() => running.close());
    await running.edit(policy(200, 5));
    const told = await running.logged("policy not reloaded; the last good one stays");
    expect(told.fields["problems"]).toEqual([
      expect.stringContaining("found 5, as in the document in force, which has other content"),
    ]);
    await running.edit(policy(200, 6));
    expect((await running.logged("policy reloaded")).fields["revision"]).toBe(6);
  },
);

test.concurrent(
  "a password file that cannot be read is a configuration error",
  PATIENT,
  async () => {
    const store = { ...redisStoreAt("redis://127.0.0.1:1"), passwordFile: "/nowhere/password" };
    await expect(startSidecar(policy(1), { store })).rejects.toThrow("/nowhere/password");
  },
);
