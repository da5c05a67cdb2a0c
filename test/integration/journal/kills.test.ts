/** Callers that go on whatever happens, a sidecar that is killed again and again, and one sum that has to be right. */
import type { ServiceError } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { aJournaledSidecar, type JournaledSidecar } from "../../support/journaled-sidecar.ts";
import type { QuotaClient } from "../../support/quota-client.ts";
import { createSeededRng } from "../../support/seeded-rng.ts";

const POLICY = `
tenants:
  acme:
    limits:
      - {name: month, meter: tokens, budget: {units: 100M, period: month}}
      - {name: run, meter: tokens, per: [run], budget: {units: 10M, period: once, ttl: 1h}}
      - {name: slots, concurrency: {max: 50}}
`;
const KILLS = 5;
/** Answers between two kills. */
const ANSWERS = 150;
const CALLERS = 8;

/** A sidecar that is sometimes not there. */
interface Sometimes {
  readonly sidecar: JournaledSidecar;
  /** Resolves when it is there again. */
  back: Promise<void>;
  answers: number;
  answered: () => void;
}

/** Calls until there is an answer, as a careful caller does; the caller makes a repeat harmless. */
async function surely<T>(at: Sometimes, call: (client: QuotaClient) => Promise<T>): Promise<T> {
  for (;;) {
    await at.back;
    try {
      const answer = await call(at.sidecar.client);
      at.answers++;
      at.answered();
      return answer;
    } catch (error) {
      if ((error as ServiceError).code !== 14) throw error; // UNAVAILABLE: killed under the call
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** What one caller was told that it has spent, once `isOver`. */
async function spend(at: Sometimes, name: string, isOver: () => boolean): Promise<bigint> {
  const rng = createSeededRng(name.length * 31 + name.charCodeAt(name.length - 1));
  const some = (most: number): bigint => BigInt(Math.floor(rng.next() * most));
  const subject = { tenant: "acme", dimensions: new Map([["run", name]]) };
  const action = { kind: "llm.completion" };
  const tokens = (units: bigint) => [{ meter: "tokens", units }];
  let spent = 0n;
  for (let n = 0; !isOver(); n++) {
    const idempotencyKey = `${name}-${n}`;
    const ask = { subject, action, amounts: tokens(100n), idempotencyKey };
    if (n % 4 === 0) {
      const { charged } = await surely(at, (client) => client.call("consume", ask));
      spent += charged[0]?.units ?? 0n;
      continue;
    }
    const { reservationId } = await surely(at, (client) => client.call("reserve", ask));
    if (n % 7 === 0) {
      await surely(at, (client) => client.call("release", { reservationId }));
      continue;
    }
    const commit = { reservationId, amounts: tokens(some(150)) };
    if (n % 3 === 0) {
      const part = { reservationId, amounts: tokens(10n), partial: true };
      await surely(at, (client) => client.call("commit", part));
    }
    const { charged } = await surely(at, (client) => client.call("commit", commit));
    spent += charged[0]?.units ?? 0n;
  }
  return spent;
}

it("after five kills under load the books are exact: nothing acknowledged is lost, nothing charged twice (S27)", async () => {
  const sidecar = await aJournaledSidecar(POLICY);
  const at: Sometimes = { sidecar, back: Promise.resolve(), answers: 0, answered: () => undefined };
  let isOver = false;
  const names = Array.from({ length: CALLERS }, (_, i) => `r-${i}`);
  const callers = names.map((name) => spend(at, name, () => isOver));
  for (let kill = 0; kill < KILLS; kill++) {
    const enough = at.answers + ANSWERS;
    await new Promise<void>((resolve) => {
      at.answered = () => at.answers >= enough && resolve();
    });
    const back = Promise.withResolvers<void>();
    at.back = back.promise;
    await sidecar.kill();
    await sidecar.start();
    back.resolve();
  }
  isOver = true;
  const spent = await Promise.all(callers);
  const total = spent.reduce((sum, one) => sum + one, 0n);
  expect(total).toBeGreaterThan(0n);
  const { client } = sidecar;
  const found = names.map(async (run) => {
    const subject = { tenant: "acme", dimensions: new Map([["run", run]]) };
    const { balances } = await client.call("getBalance", { subject });
    return balances.map(({ limit, spentUnits, leasedUnits }) => ({
      limit,
      spentUnits,
      leasedUnits,
    }));
  });
  expect(await Promise.all(found)).toEqual(
    spent.map((one) => [
      { limit: "month", spentUnits: total, leasedUnits: 0n },
      { limit: "run", spentUnits: one, leasedUnits: 0n },
      { limit: "slots", spentUnits: 0n, leasedUnits: 0n },
    ]),
  );
  const open = await client.call("listReservations", { subject: { tenant: "acme" } });
  expect(open.reservations).toEqual([]);
  await sidecar.close();
}, 180_000);
