/** What a period brought into the next one, on a store that loses its data while every sidecar lives. */
import { isDeepStrictEqual } from "node:util";
import { beforeEach, expect, test } from "vitest";
import { Decision } from "../../../src/gen/imprest/v1/quota.ts";
import { eventually } from "../../support/eventually.ts";
import { noRedis, redisCli } from "../../support/redis-client.ts";
import { startRedis } from "../../support/redis-server.ts";
import { redisStoreAt } from "../../support/redis-store.ts";
import { startSidecar, type RunningSidecar } from "../../support/running-sidecar.ts";

/** Longer than a store listens after a loss, and than a machine under load needs to begin. */
const PERIOD_S = 30;
const POLICY = `
revision: 1
default_plan: free
plans:
  free:
    limits:
      - {name: debt, meter: tokens, overage: debt, carry_debt: true, budget: {units: 100, period: ${PERIOD_S}s}}
      - {name: rest, meter: pages, budget: {units: 100, period: ${PERIOD_S}s, rollover: 500}}
`;

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));

/** Who owes is refused all else, too. */
const DEBTOR = { subject: { tenant: "debtor" } };
const SAVER = { subject: { tenant: "saver" } };

async function use(one: RunningSidecar, meter: string, units: bigint, alreadySpent = false) {
  const who = meter === "pages" ? SAVER : DEBTOR;
  const call = { ...who, amounts: [{ meter, units }], alreadySpent };
  return (await one.client().call("consume", call)).verdict?.decision;
}

async function balancesOf(one: RunningSidecar) {
  const [debtor, saver] = [
    await one.client().call("getBalance", DEBTOR),
    await one.client().call("getBalance", SAVER),
  ];
  const debt = debtor.balances.find(({ limit }) => limit === "debt");
  const rest = saver.balances.find(({ limit }) => limit === "rest");
  return {
    debt: [debt?.remainingUnits, debt?.debtUnits],
    rest: [rest?.remainingUnits, rest?.limitUnits],
    endsAt: Number(rest?.resetsAt?.seconds ?? 0n) * 1_000,
  };
}

/** Resolves once this sidecar says so. */
const says = (one: RunningSidecar, expected: object): Promise<void> =>
  eventually(async () => {
    const { endsAt: _, ...found } = await balancesOf(one);
    return isDeepStrictEqual(found, expected);
  });

test(
  "FM4: FLUSHALL forgives no debt that was carried into the period, and takes nothing that was left over (S23)",
  { timeout: 150_000 },
  async ({ onTestFinished }) => {
    const server = await startRedis();
    onTestFinished(() => server.stop());
    async function start(holder: string): Promise<RunningSidecar> {
      const running = await startSidecar(POLICY, { store: redisStoreAt(server.url), holder });
      onTestFinished(() => running.close());
      return running;
    }
    const [one, other] = [await start("one"), await start("other")];

    await eventually(
      async () => (await balancesOf(one)).endsAt > Date.now() + (PERIOD_S * 1_000) / 3,
    );
    await eventually(async () => (await use(one, "pages", 10n)) === Decision.ALLOW);
    await use(one, "tokens", 260n, true);
    const carried = { debt: [-60n, 60n], rest: [190n, 190n] };
    await Promise.all([says(one, carried), says(other, carried)]);

    await redisCli(server.port, "FLUSHALL");
    // It has learnt when it grants again, and more than a period has of its own.
    await eventually(async () => (await use(one, "pages", 150n)) === Decision.ALLOW);
    const late = await start("late"); // all that it knows is the store's
    await says(late, { debt: [-60n, 60n], rest: [40n, 190n] });
    expect(await use(late, "tokens", 1n)).toBe(Decision.DENY);
  },
);
