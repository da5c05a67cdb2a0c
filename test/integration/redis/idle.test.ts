/** A rate that nobody uses for a while is forgotten by the server itself; its sidecars still know it. */
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, expect, test } from "vitest";
import { Decision } from "../../../src/gen/imprest/v1/quota.ts";
import { eventually } from "../../support/eventually.ts";
import { noRedis, redisCli } from "../../support/redis-client.ts";
import { startRedis } from "../../support/redis-server.ts";
import { redisStoreAt } from "../../support/redis-store.ts";
import { startSidecar, type RunningSidecar } from "../../support/running-sidecar.ts";

const POLICY = `
revision: 1
default_plan: free
plans:
  free:
    limits:
      - {name: year, meter: tokens, budget: {units: 1M, period: year}}
      - {name: pace, meter: requests, rate: {units: 5, every: 1s}}
`;

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));

test(
  "SH6: two sidecars that used it both find it full again, and take nothing for lost (S13, S17)",
  { timeout: 90_000 },
  async ({ onTestFinished }) => {
    const server = await startRedis();
    onTestFinished(() => server.stop());
    const sidecars: RunningSidecar[] = [];
    for (const holder of ["one", "other"]) {
      const one = await startSidecar(POLICY, { store: redisStoreAt(server.url), holder });
      onTestFinished(() => one.close());
      sidecars.push(one);
    }
    const use = async (one: RunningSidecar, times: bigint) => {
      const amounts = [
        { meter: "tokens", units: 600n },
        { meter: "requests", units: times },
      ];
      const call = { subject: { tenant: "acme" }, amounts };
      const { verdict } = await one.client().call("consume", call);
      return [verdict?.decision, verdict?.denial?.message, verdict?.degraded];
    };
    const allowed = [Decision.ALLOW, undefined, false];
    for (const one of sidecars) {
      await eventually(async () => (await use(one, 1n))[0] === Decision.ALLOW);
    }
    const ofRate = async () => redisCli(server.port, "KEYS", "*:L:*pace*");
    expect(await ofRate()).not.toBe("");
    await eventually(async () => (await ofRate()) === "");
    await sleep(500);
    for (const one of sidecars) expect(await use(one, 2n)).toEqual(allowed);
    for (const { lines } of sidecars) {
      expect(lines.filter(({ message }) => message.includes("may have lost"))).toEqual([]);
    }
  },
);
