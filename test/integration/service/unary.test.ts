import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Denial } from "../../../src/core/verdict.ts";
import { Decision } from "../../../src/gen/imprest/v1/quota.ts";
import { ALLOWED, createFakeQuota, type FakeQuota } from "../../support/fake-quota.ts";
import { failureOf } from "../../support/quota-client.ts";
import { type QuotaServer, startQuotaServer } from "../../support/quota-server.ts";
import { until } from "../../support/until.ts";

const subject = { tenant: "acme" };
const DENIAL: Denial = {
  reason: "BUDGET_EXHAUSTED",
  limit: "dollars-per-month",
  scope: "tenant:acme",
  meter: "usd_micros",
  limitUnits: 10,
  remainingUnits: -2,
  requestedUnits: 5,
  retryAfterMs: 1_500,
  message: "This month's budget is spent.",
  helpUrl: "https://example.com/upgrade",
};
const denied = (denial: Denial) => ({
  op: "reserve" as const,
  verdict: { ...ALLOWED, decision: "deny" as const, denial, decisionId: "d1" },
  reservationId: "",
  reserved: [],
});

let quota: FakeQuota;
let service: QuotaServer;
beforeEach(async () => {
  quota = createFakeQuota();
  service = await startQuotaServer(quota);
});
afterEach(() => service.close());

describe("answers", () => {
  test("every unary method is answered by its own message", async () => {
    const client = service.client();
    const amounts = [{ meter: "tokens", units: 7n }];
    expect((await client.call("check", { subject })).verdict?.decision).toBe(Decision.ALLOW);
    const { reservationId, reserved } = await client.call("reserve", { subject, amounts });
    expect(reserved).toEqual(amounts);
    const commit = await client.call("commit", { reservationId, amounts });
    expect(commit.charged).toEqual(amounts);
    expect((await client.call("release", { reservationId })).released).toEqual([]);
    expect((await client.call("extend", { reservationId })).expiresAt?.seconds).toBe(0n);
    expect((await client.call("consume", { subject, amounts })).charged).toEqual(amounts);
    expect((await client.call("getBalance", { subject })).balances).toEqual([]);
    expect((await client.call("explain", { subject })).plan).toBe("free");
    expect((await client.call("listReservations", { subject })).reservations).toEqual([]);
    expect(service.timed).toEqual(["check", "reserve", "commit", "release", "extend", "consume"]);
  });

  test("S32: the caller is the sidecar's one tenant, or everyone with the platform's figures", async () => {
    await service.client().call("check", { subject });
    const alone = await startQuotaServer(quota, { tenant: "acme" });
    await alone.client().call("check", {});
    await alone.close();
    expect(quota.calls.map(({ caller }) => caller)).toEqual([
      { tenant: "", platform: true },
      { tenant: "acme", platform: false },
    ]);
  });

  test("S28: the engine hears the caller's deadline", async () => {
    const deadline = Date.now() + 60_000;
    await service.client().call("check", { subject }, { deadline });
    await service.client().call("check", { subject });
    expect(Math.abs((quota.calls[0]?.deadline ?? 0) - deadline)).toBeLessThan(1_000);
    expect(quota.calls[1]?.deadline).toBe(Infinity);
  });

  test("Batch: results are in request order, each on its own", async () => {
    const { results } = await service.client().call("batch", {
      operations: [
        { op: { $case: "check", value: { subject } } },
        { op: { $case: "reserve", value: { subject, amounts: [{ meter: "", units: 1n }] } } },
        {},
        { op: { $case: "reserve", value: { subject, releaseOnDisconnect: true } } },
        { op: { $case: "release", value: { reservationId: "r1" } } },
      ],
    });
    expect(results.map(({ result }) => result?.$case)).toEqual([
      "check",
      "error",
      "error",
      "error",
      "release",
    ]);
    const reasons = results.map(({ result }) =>
      result?.$case === "error" ? [result.value.code, result.value.reason] : [],
    );
    expect(reasons.filter((one) => one.length > 0)).toEqual([
      [status.INVALID_ARGUMENT, "BAD_NAME"],
      [status.INVALID_ARGUMENT, "EMPTY_OPERATION"],
      [status.INVALID_ARGUMENT, "NOT_ALLOWED_HERE"],
    ]);
  });

  test("Batch: an operation that waits does not hold up the others", async () => {
    quota.hold();
    const operations = [1, 2, 3].map(
      () => ({ op: { $case: "check", value: { subject } } }) as const,
    );
    const batch = service.client().call("batch", { operations });
    await quota.whenWaiting(3);
    quota.letGo();
    expect((await batch).results).toHaveLength(3);
  });

  test("S33: a Batch has 1 to 1,000 operations", async () => {
    const client = service.client();
    const operation = { op: { $case: "check", value: { subject } } } as const;
    const many = (count: number) => ({
      operations: Array.from({ length: count }, () => operation),
    });
    expect(await failureOf(client.call("batch", {}))).toMatchObject({ reason: "BAD_SIZE" });
    expect(await failureOf(client.call("batch", many(1001)))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: "BAD_SIZE",
      field: "operations",
    });
    expect((await client.call("batch", many(1000))).results).toHaveLength(1000);
  });
});

describe("errors", () => {
  test("a rejection is a status with ErrorInfo, the field, and RetryInfo where a retry helps", async () => {
    quota.scripted.push({
      rejected: true,
      reason: "TOO_MANY_RESERVATIONS",
      message: "there are too many",
      retryAfterMs: 2_500,
    });
    const client = service.client();
    expect(await failureOf(client.call("reserve", { subject }))).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      message: "there are too many",
      reason: "TOO_MANY_RESERVATIONS",
      domain: "imprest.dev",
      field: undefined,
      retryMs: 2_500,
    });
    const amounts = [{ meter: "tokens", units: -1n }];
    expect(await failureOf(client.call("reserve", { subject, amounts }))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: "BAD_AMOUNT",
      field: "amounts[0].units",
      retryMs: undefined,
    });
  });

  test("S34: release_on_disconnect outside Stream is refused", async () => {
    const call = service.client().call("reserve", { subject, releaseOnDisconnect: true });
    expect(await failureOf(call)).toMatchObject({
      reason: "NOT_ALLOWED_HERE",
      field: "release_on_disconnect",
    });
    expect(quota.asked).toEqual([]);
  });

  test("a field that says what was wrong never grows with it", async () => {
    const dimensions = new Map([["x".repeat(50_000), "é".repeat(10_000)]]);
    const failure = await failureOf(service.client().call("check", { subject: { dimensions } }));
    expect(failure.reason).toBe("BAD_NAME");
    expect(failure.bytes).toBeLessThan(600);
  });
});

describe("imprest-deny", () => {
  const metadata = { "imprest-deny": "status" };

  test("S32a: a denial is a normal answer, or RESOURCE_EXHAUSTED for who asks", async () => {
    quota.scripted.push(denied(DENIAL), denied(DENIAL));
    const client = service.client();
    const { verdict } = await client.call("reserve", { subject });
    expect(verdict?.decision).toBe(Decision.DENY);
    expect(verdict?.denial?.retryAfter).toEqual({ seconds: 1n, nanos: 500_000_000 });
    const failure = await failureOf(client.call("reserve", { subject }, { metadata }));
    expect(failure).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      message: DENIAL.message,
      reason: "BUDGET_EXHAUSTED",
      domain: "imprest.dev",
      retryMs: 1_500,
    });
    expect(failure.denial).toEqual(verdict?.denial);
  });

  test("S32a: another value is refused, but ignored on Batch", async () => {
    const client = service.client();
    const odd = { metadata: { "imprest-deny": "yes" } };
    expect(await failureOf(client.call("check", { subject }, odd))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      field: "imprest-deny",
    });
    expect(await failureOf(client.call("getBalance", { subject }, odd))).toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
    const operations = [{ op: { $case: "reserve", value: { subject } } } as const];
    quota.scripted.push(denied(DENIAL), denied(DENIAL));
    for (const settings of [odd, { metadata }]) {
      expect((await client.call("batch", { operations }, settings)).results).toHaveLength(1);
    }
  });

  test("S32a: a Commit has charged, whatever its verdict says", async () => {
    const { verdict } = denied(DENIAL);
    const nothing = { charged: [], released: [], overage: [], uncharged: [] };
    quota.scripted.push({ op: "commit", ...nothing, late: false, verdict });
    const commit = await service.client().call("commit", { reservationId: "r" }, { metadata });
    expect(commit.verdict?.decision).toBe(Decision.DENY);
  });

  test("S32b: the denial gives way until the details fit 4 KiB", async () => {
    const client = service.client();
    const deny = async (change: Partial<Denial>) => {
      quota.scripted.push(denied({ ...DENIAL, ...change }));
      const failure = await failureOf(client.call("reserve", { subject }, { metadata }));
      expect(failure).toMatchObject({ reason: "BUDGET_EXHAUSTED", retryMs: 1_500 });
      expect(failure.bytes).toBeLessThanOrEqual(4096);
      return failure.denial;
    };
    expect(await deny({ message: "m".repeat(5_000) })).toMatchObject({
      message: "",
      scope: DENIAL.scope,
    });
    expect(await deny({ scope: "s".repeat(5_000) })).toMatchObject({ message: "", scope: "" });
    expect(await deny({ helpUrl: "u".repeat(5_000) })).toBeUndefined();
    expect(await deny({ message: "💥".repeat(1_500) })).toMatchObject({ message: "" });
  });
});

describe("callers that go", () => {
  test("S28, X1: a reservation made after its caller has gone is abandoned", async () => {
    quota.hold();
    const gone = failureOf(
      service.client().call("reserve", { subject }, { started: (call) => cancelOnce(call, 1) }),
    );
    await gone;
    await until(() => quota.calls[0]?.cancelled?.() === true);
    quota.letGo();
    await quota.whenAbandoned(1);
    expect(quota.abandoned).toEqual(["r1"]);
  });

  test("S28, X2: with an idempotency key it stays for the retry", async () => {
    quota.hold();
    const requests = [{ subject, idempotencyKey: "k" }, { subject }];
    for (const [i, request] of requests.entries()) {
      const started = (call: { cancel(): void }): void => cancelOnce(call, i + 1);
      await failureOf(service.client().call("reserve", request, { started }));
      await until(() => quota.calls[i]?.cancelled?.() === true);
    }
    quota.letGo();
    await quota.whenAbandoned(1);
    expect(quota.abandoned).toEqual(["r2"]);
  });

  test("S28: of a Batch that nobody waits for any more every reservation is abandoned", async () => {
    quota.hold();
    const operations = [1, 2].map(
      () => ({ op: { $case: "reserve", value: { subject } } }) as const,
    );
    const started = (call: { cancel(): void }): void => cancelOnce(call, 2);
    await failureOf(service.client().call("batch", { operations }, { started }));
    await until(() => quota.calls[0]?.cancelled?.() === true);
    quota.letGo();
    await quota.whenAbandoned(2);
    expect(quota.abandoned).toEqual(["r1", "r2"]);
  });

  test("a deadline ends a call that waits, and what it made is abandoned", async () => {
    quota.hold();
    const call = service.client().call("reserve", { subject }, { deadline: Date.now() + 100 });
    expect((await failureOf(call)).code).toBe(status.DEADLINE_EXCEEDED);
    await until(() => quota.calls[0]?.cancelled?.() === true);
    quota.letGo();
    await quota.whenAbandoned(1);
  });

  test("an answer that was handed over is never abandoned", async () => {
    const client = service.client();
    for (let i = 0; i < 20; i += 1) await client.call("reserve", { subject });
    client.close();
    await service.close();
    expect(quota.abandoned).toEqual([]);
    service = await startQuotaServer(quota);
  });

  const cancelOnce = (call: { cancel(): void }, waiting: number): void =>
    void quota.whenWaiting(waiting).then(() => call.cancel());
});
