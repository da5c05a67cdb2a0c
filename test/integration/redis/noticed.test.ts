/**
 * Units that come free at the store by nobody's return, an operator's reset or a raised limit: sidecars that were
 * refused for so long that they are silent for seconds are served at once.
 */
import { beforeEach, expect, test } from "vitest";
import { visitStore, type Operation } from "../../../src/adapters/redis/visit.ts";
import { createRng } from "../../../src/adapters/system/rng.ts";
import { Decision } from "../../../src/gen/imprest/v1/quota.ts";
import { eventually } from "../../support/eventually.ts";
import { noRedis } from "../../support/redis-client.ts";
import { startRedis } from "../../support/redis-server.ts";
import { redisStoreAt, type RedisConfig } from "../../support/redis-store.ts";
import { type RunningSidecar, startSidecar } from "../../support/running-sidecar.ts";

/** Sidecars are refused until they are silent. */
const PATIENT = { timeout: 120_000 };
/** A silence is longer: none ends by itself so soon. */
const SOON_MS = 1_000;

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));

interface Ending {
  onTestFinished(end: () => Promise<void>): void;
}

const policy = (units: number, revision: number): string => `
revision: ${revision}
default_plan: free
plans:
  free:
    limits:
      - {name: month, meter: tokens, budget: {units: ${units}, period: month}}
`;

interface Member extends RunningSidecar {
  /** Whether it is admitted. */
  spend(units: bigint): Promise<boolean>;
}

async function join(
  ending: Ending,
  store: RedisConfig,
  [units, revision]: readonly [number, number] = [100, 1],
): Promise<Member> {
  const running = await startSidecar(policy(units, revision), { store });
  ending.onTestFinished(() => running.close());
  const client = running.client();
  return {
    ...running,
    async spend(amount) {
      const amounts = [{ meter: "tokens", units: amount }];
      const { verdict } = await client.call("consume", { subject: { tenant: "acme" }, amounts });
      return verdict?.decision === Decision.ALLOW;
    },
  };
}

/** Two sidecars on one store, of whose 100 units none is left. */
async function exhausted(
  ending: Ending,
): Promise<{ readonly store: RedisConfig; readonly members: readonly Member[] }> {
  const server = await startRedis();
  ending.onTestFinished(() => server.stop());
  const store = redisStoreAt(server.url);
  const members = [await join(ending, store), await join(ending, store)];
  await eventually(async () => (await members[0]?.spend(100n)) === true);
  return { store, members };
}

const SYNCS = /\nimprest_store_ops_total\{op="sync",status="ok"\} (\d+)/;
const syncs = async ({ get }: Member): Promise<number> =>
  Number(SYNCS.exec((await get("/metrics")).body)?.[1] ?? 0);

/** Refused by the store three times, after a silence of 1 s and one of 2, it is silent for longer than that. */
async function untilSilent(member: Member): Promise<void> {
  const before = await syncs(member);
  while ((await syncs(member)) < before + 3) expect(await member.spend(10n)).toBe(false);
}

/** How long it goes on being refused. */
async function refusedFor({ spend }: Member): Promise<number> {
  const since = performance.now();
  while (!(await spend(10n))) await new Promise(setImmediate);
  return performance.now() - since;
}

async function operate(store: RedisConfig, operation: Operation): Promise<void> {
  const visit = await visitStore({ ...store, label: "an operator", rng: createRng() });
  const [uid = ""] = (await visit.uids()) as readonly string[];
  const [ledger] = (await visit.ledgers(uid)) as readonly { readonly key: string }[];
  expect(await visit.operate(uid, ledger?.key ?? "", operation)).toBe(0);
  visit.close();
}

test.concurrent(
  "S17: after a reset silent sidecars are served at once",
  PATIENT,
  async (ending) => {
    const { store, members } = await exhausted(ending);
    await Promise.all(members.map(untilSilent));
    await operate(store, { op: "reset", holder: "" });
    const refused = await Promise.all(members.map(refusedFor));
    console.log(`after a reset refused for ${refused.map((ms) => ms.toFixed()).join(", ")} ms`);
    expect(Math.max(...refused)).toBeLessThan(SOON_MS);
  },
);

test.concurrent(
  "S17: a limit that one sidecar has raised is there at once for silent ones that have not read of it",
  PATIENT,
  async (ending) => {
    const { store, members } = await exhausted(ending);
    const newer = await join(ending, store, [200, 2]);
    await Promise.all(members.map(untilSilent));
    expect(await newer.spend(150n)).toBe(false); // which tells the store, and takes nothing that it would return
    const refused = await Promise.all(members.map(refusedFor));
    console.log(`after a raise refused for ${refused.map((ms) => ms.toFixed()).join(", ")} ms`);
    expect(Math.max(...refused)).toBeLessThan(SOON_MS);
  },
);
