/** How the answers of a sidecar are shown to people and to programs. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  CheckResponse,
  CommitResponse,
  Decision,
  DenyReason,
  ExplainResponse,
  ReserveResponse,
} from "../../../src/gen/imprest/v1/quota.ts";
import { ALLOWED, DENIED, RESETS } from "../../support/canned-answers.ts";
import {
  startCannedQuotaServer,
  type CannedQuotaServer,
} from "../../support/canned-quota-server.ts";
import { type FakeHostOptions, typeCommand } from "../../support/fake-host.ts";

let server: CannedQuotaServer;
beforeEach(async () => {
  server = await startCannedQuotaServer();
});
afterEach(() => server.stop());

const type = (words: readonly string[], options: FakeHostOptions = {}) =>
  typeCommand([...words, "--address", server.address], options);

describe("what people read", () => {
  it("of a denial: why, by which limit and scope, what is left, when to retry", async () => {
    server.answer("reserve", ReserveResponse.fromPartial({ verdict: DENIED }));
    const { status: exit, stdout } = await type(["reserve", "--tenant", "acme"]);
    expect(exit).toBe(3);
    expect(stdout).toBe(
      [
        "DENY  BUDGET_EXHAUSTED: The month is spent.",
        "  limit     dollars-per-month of tenant:acme",
        "  left      $0.12 of $5.00; asked for $0.25",
        "  retry     in 1 min 30 s",
        "  resets    2026-12-01T00:00:00Z",
        "  help      https://example.com/upgrade",
        "  decision  d-1",
        "",
      ].join("\n"),
    );
  });

  it("of a denial that no waiting mends says so", async () => {
    const denial = { reason: DenyReason.ACTION_NOT_ALLOWED, message: "Not in your plan." };
    server.answer(
      "check",
      CheckResponse.fromPartial({ verdict: { decision: Decision.DENY, denial } }),
    );
    const { stdout } = await type(["check"]);
    expect(stdout).toBe("DENY  ACTION_NOT_ALLOWED: Not in your plan.\n  retry  will not help\n");
  });

  it("of caps: what to do with less, and who asked", async () => {
    const verdict = {
      decision: Decision.ALLOW_WITH_CAPS,
      degraded: true,
      caps: { limit: "month", maxOutputTokens: 1_024n, fallbackModel: "mini", notice: "80% used" },
    };
    server.answer(
      "reserve",
      ReserveResponse.fromPartial({
        verdict,
        reservationId: "R",
        expiresAt: RESETS,
        reserved: [{ meter: "tokens", units: 1_500n }],
      }),
    );
    const { status: exit, stdout } = await type(["reserve"]);
    expect(exit).toBe(0);
    expect(stdout).toBe(
      [
        "ALLOW WITH CAPS",
        "  asked by     month",
        "  at most      1024 output tokens",
        "  use          mini",
        "  notice       80% used",
        "  reservation  R",
        "  reserved     1,500 tokens",
        "  expires      2026-12-01T00:00:00Z",
        "  degraded     answered without the store",
        "",
      ].join("\n"),
    );
  });

  it("of a commit: what was charged, given back, beyond the hold and left uncharged", async () => {
    const one = [{ meter: "tokens", units: 1n }];
    server.answer(
      "commit",
      CommitResponse.fromPartial({
        charged: one,
        released: one,
        overage: one,
        uncharged: one,
        late: true,
        verdict: ALLOWED,
      }),
    );
    const { stdout } = await type(["commit", "--reservation", "R"]);
    for (const word of ["COMMITTED", "charged", "released", "overage", "uncharged", "late"]) {
      expect(stdout).toContain(word);
    }
  });

  it("of an explanation: plan, policy, what is counted and every limit", async () => {
    server.answer(
      "explain",
      ExplainResponse.fromPartial({
        plan: "pro",
        policyVersion: "0123456789ab",
        derived: [{ meter: "usd_micros", units: 2_500n }],
        verdict: {
          ...ALLOWED,
          limits: [
            {
              limit: "trial",
              scope: "tenant:acme",
              meter: "usd_micros",
              limitUnits: 1_000_000n,
              remainingUnits: -1n,
              shadow: true,
              wouldDeny: DENIED.denial,
            },
          ],
        },
      }),
    );
    const { stdout } = await type(["explain"]);
    expect(stdout).toContain("plan    pro");
    expect(stdout).toContain("policy  0123456789ab");
    expect(stdout).toContain("counts  $0.0025");
    expect(stdout).toMatch(
      /trial\s+tenant:acme\s+usd_micros\s+-\$0\.000001\s+\$1\.00\s+shadow: would deny, BUDGET_EXHAUSTED/,
    );
  });

  it("has colours on a terminal alone", async () => {
    server.answer("check", CheckResponse.fromPartial({ verdict: DENIED }));
    expect((await type(["check"])).stdout).not.toContain("\x1b");
    expect((await type(["check"], { isTty: true })).stdout).toContain("\x1b[31mDENY");
    expect((await type(["check"], { isTty: true, env: { NO_COLOR: "1" } })).stdout).not.toContain(
      "\x1b",
    );
  });
});

describe("--json", () => {
  it("is the response as proto3 JSON on one line", async () => {
    server.answer(
      "reserve",
      ReserveResponse.fromPartial({
        verdict: DENIED,
        reserved: [{ meter: "m", units: 2n ** 53n - 1n }],
      }),
    );
    const { stdout } = await type(["reserve", "--json"]);
    expect(stdout.trimEnd()).not.toContain("\n");
    expect(JSON.parse(stdout)).toEqual({
      verdict: {
        decision: "DECISION_DENY",
        decisionId: "d-1",
        denial: {
          reason: "DENY_REASON_BUDGET_EXHAUSTED",
          limit: "dollars-per-month",
          scope: "tenant:acme",
          meter: "usd_micros",
          limitUnits: "5000000",
          remainingUnits: "120000",
          requestedUnits: "250000",
          retryAfter: "90s",
          resetsAt: "2026-12-01T00:00:00Z",
          message: "The month is spent.",
          helpUrl: "https://example.com/upgrade",
        },
      },
      reserved: [{ meter: "m", units: "9007199254740991" }],
    });
  });
});
