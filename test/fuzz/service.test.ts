/**
 * Random requests against a whole sidecar. What must hold for every one of them:
 *   no crash, nothing unhandled; a status of the contract's table, with ErrorInfo wherever QuotaService
 *   decided; balances that are unchanged by an error; memory that does not grow.
 *
 * FUZZ_CASES (default 2,000) and FUZZ_SEED (default 1) widen a run and repeat it; FUZZ_KEEP=1 writes what reached a new
 * outcome to corpus/.
 */
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { REASONS, type RejectionReason } from "../../src/core/rejection.ts";
import { createManualClock, type ManualClock } from "../support/manual-clock.ts";
import { failureOf, type Failure, type QuotaClient } from "../support/quota-client.ts";
import { type RunningSidecar, startSidecar } from "../support/running-sidecar.ts";
import { createSeededRng } from "../support/seeded-rng.ts";
import { createKeeper, readCorpus } from "./corpus.ts";
import { createRequestMaker, type FuzzCase } from "./request-maker.ts";

const CASES = Number(process.env["FUZZ_CASES"] ?? 2_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const keep = createKeeper(process.env["FUZZ_KEEP"] === "1");

const POLICY = `
prices:
  - {model: "gpt-4o*", input: 2.50, output: 10.00}
limits:
  - {name: all, meter: usd_micros, budget: {units: $500, period: once}}
plans:
  free:
    limits:
      - {name: tokens, meter: tokens, budget: {units: 5000, period: once}, at: [{used: 50%, caps: {max_output_tokens: 5}}]}
      - {name: runs, meter: tokens, per: [run], overage: cap, budget: {units: 700, period: once}}
      - {name: strict, meter: runs, overage: reject, budget: {units: 100, period: once}}
      - {name: open, concurrency: {max: 30}}
      - {name: trial, meter: requests, mode: shadow, budget: {units: 5, period: once}}
    loops:
      - {name: same, per: [run], repeats: 50, window: 1m}
tenants:
  acme: {plan: free}
  globex: {plan: free}
`;

let running: RunningSidecar;
let client: QuotaClient;
let clock: ManualClock;
const rng = createSeededRng(SEED);
const make = createRequestMaker(rng);
const unhandled: unknown[] = [];
const note = (error: unknown): void =>
  void unhandled.push(error instanceof Error ? error.stack : error);

beforeAll(async () => {
  process.on("unhandledRejection", note).on("uncaughtException", note);
  clock = createManualClock(Date.UTC(2026, 10, 21));
  running = await startSidecar(POLICY, {}, { clock, rng: createSeededRng(SEED + 1) });
  client = running.client({ "grpc.max_send_message_length": -1 });
});
afterAll(async () => {
  await running.close();
  process.off("unhandledRejection", note).off("uncaughtException", note);
});

/** Every balance of both tenants, for the runs that the cases name most. */
async function balances(): Promise<string> {
  const answers = await Promise.all(
    ["acme", "globex"].map((tenant) =>
      client.call("getBalance", { subject: { tenant, dimensions: new Map([["run", "r-1"]]) } }),
    ),
  );
  return JSON.stringify(answers, (_, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
}

const MOST_MESSAGE_BYTES = 4 * 2 ** 20;

/** What gRPC itself answers: bytes that do not decode, and too many of them. */
function isOfTransport({ code, reason }: Failure, { bytes, damaged }: FuzzCase): boolean {
  if (reason !== "") return false;
  if (bytes.length > MOST_MESSAGE_BYTES) return code === status.RESOURCE_EXHAUSTED;
  return damaged && code === status.INTERNAL;
}

const followsTable = ({ code, reason, domain }: Failure): boolean =>
  domain === "imprest.dev" && code === status[REASONS[reason as RejectionReason]];

interface Run {
  readonly outcome: string;
  readonly failed: boolean;
  readonly lawful: boolean;
}

async function play(one: FuzzCase): Promise<Run> {
  const call = client.callBytes(one.method, one.bytes);
  const answer = await call.catch(() => undefined);
  if (answer === undefined) {
    const failure = await failureOf(call);
    const lawful = followsTable(failure) || isOfTransport(failure, one);
    return { outcome: failure.reason || status[failure.code] || "", failed: true, lawful };
  }
  const { reservationId } = answer as { readonly reservationId?: string };
  if (reservationId !== undefined && reservationId !== "") make.learn(reservationId);
  return { outcome: "OK", failed: false, lawful: true };
}

/** As they are for sure: after an error, until something succeeds or time moves. */
let known: string | undefined;

async function check(one: FuzzCase, label: string): Promise<void> {
  const before = known ?? (await balances());
  const run = await play(one);
  await keep(one, run.outcome);
  const after = run.failed ? await balances() : before;
  known = run.failed ? after : undefined;
  const wrong = [
    ...unhandled.map(String),
    ...(run.lawful ? [] : [`${run.outcome} is not of the table`]),
    ...(after === before ? [] : [`${run.outcome} changed a balance`]),
  ];
  if (wrong.length === 0) return;
  const bytes = one.bytes.subarray(0, 2_000).toString("hex");
  throw new Error(`${label} ${one.method} ${bytes}: ${wrong.join("; ")}`);
}

test("what the corpus holds is answered as the table says", async () => {
  const corpus = await readCorpus();
  expect(corpus.length).toBeGreaterThan(10);
  for (const one of corpus) await check(one, "corpus");
  expect(unhandled).toEqual([]);
});

test(`random requests, FUZZ_SEED=${SEED}`, { timeout: 120_000 + CASES * 50 }, async () => {
  const heap = (): number => process.memoryUsage().heapUsed / 2 ** 20;
  const start = heap();
  for (let i = 0; i < CASES; i += 1) {
    await check(make.next(), `FUZZ_SEED=${SEED} case ${i}`);
    if (rng.next() >= 0.02) continue;
    clock.advance(rng.next() * 20_000);
    known = undefined;
  }
  expect(unhandled).toEqual([]);
  expect(heap() - start).toBeLessThan(150);
  expect((await running.get("/livez")).status).toBe(200);
});

test(`random messages on streams, FUZZ_SEED=${SEED}`, { timeout: 120_000 }, async () => {
  for (let i = 0; i < CASES / 100; i += 1) {
    const stream = client.stream();
    const sent = new Map<bigint, number>();
    const messages = Math.floor(rng.next() * 20);
    for (let m = 0; m < messages; m += 1) {
      const operations = Array.from({ length: Math.floor(rng.next() * 8) }, make.operation);
      sent.set(BigInt(m), operations.length);
      stream.send(BigInt(m), operations);
    }
    const cancels = rng.next() < 0.3;
    if (cancels) stream.cancel();
    else stream.halfClose();
    const answered = new Map<bigint, number>();
    for (let m = 0; m < messages && !cancels; m += 1) {
      const { sequence, results } = await stream.next().catch((error: unknown) => {
        throw unhandled[0] ?? error;
      });
      answered.set(sequence, results.length);
    }
    const { code } = await stream.ended;
    expect([code, answered]).toEqual(cancels ? [status.CANCELLED, new Map()] : [status.OK, sent]);
  }
  expect(unhandled).toEqual([]);
});
