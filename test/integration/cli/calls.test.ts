/** The subcommands that call a sidecar, against one that answers what the test says. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../../../src/cli/run.ts";
import {
  CheckResponse,
  CommitResponse,
  ConsumeResponse,
  Decision,
  DenyReason,
  ExplainResponse,
  ExtendResponse,
  GetBalanceResponse,
  type ListReservationsRequest,
  ListReservationsResponse,
  Outcome,
  ReleaseResponse,
  ReserveResponse,
  UsageSource,
} from "../../../src/gen/imprest/v1/quota.ts";
import {
  startCannedQuotaServer,
  type CannedQuotaServer,
} from "../../support/canned-quota-server.ts";
import { createFakeHost, type FakeHostOptions } from "../../support/fake-host.ts";

let server: CannedQuotaServer;
beforeEach(async () => {
  server = await startCannedQuotaServer();
});
afterEach(() => server.stop());

async function type(words: readonly string[], options: FakeHostOptions = {}) {
  const host = createFakeHost([...words, "--address", server.address], options);
  return { status: await run(host), ...host.printed };
}

const RESETS = { seconds: 1_796_083_200n, nanos: 0 };

const DENIED = {
  decision: Decision.DENY,
  decisionId: "d-1",
  denial: {
    reason: DenyReason.BUDGET_EXHAUSTED,
    limit: "dollars-per-month",
    scope: "tenant:acme",
    meter: "usd_micros",
    limitUnits: 5_000_000n,
    remainingUnits: 120_000n,
    requestedUnits: 250_000n,
    retryAfter: { seconds: 90n, nanos: 0 },
    resetsAt: RESETS,
    message: "The month is spent.",
    helpUrl: "https://example.com/upgrade",
  },
};

const ALLOWED = { decision: Decision.ALLOW };

describe("what is asked", () => {
  it("is what the flags said, for every field of Reserve", async () => {
    server.answer("reserve", ReserveResponse.fromPartial({ verdict: ALLOWED }));
    const subject = ["--tenant", "acme", "--subject", "workflow=chat", "run=r-7"];
    const action = ["--action", "llm.completion", "--name", "gpt-4o", "--tag", "x"];
    const amounts = ["--amount", "tokens=1k", "--usage", "model=gpt-4o,input=8"];
    const rest = [
      "--fingerprint",
      "f",
      "--ttl",
      "1.5s",
      "--key",
      "k",
      "--best-effort",
      "--dry-run",
      "--verbose",
    ];
    expect((await type(["reserve", ...subject, ...action, ...amounts, ...rest])).status).toBe(0);
    expect(server.asked[0]?.request).toMatchObject({
      subject: { tenant: "acme", workflow: "chat", dimensions: new Map([["run", "r-7"]]) },
      action: { kind: "llm.completion", name: "gpt-4o", tags: ["x"], fingerprint: "f" },
      amounts: [{ meter: "tokens", units: 1_000n }],
      usage: { model: "gpt-4o", inputTokens: 8n, outputTokens: undefined },
      ttl: { seconds: 1n, nanos: 500_000_000 },
      idempotencyKey: "k",
      bestEffort: true,
      dryRun: true,
      verbose: true,
      releaseOnDisconnect: false,
    });
  });

  it("is what the flags said, for every field of Commit, Consume, Extend and Release", async () => {
    server.answer("commit", CommitResponse.fromPartial({}));
    server.answer("consume", ConsumeResponse.fromPartial({ verdict: ALLOWED }));
    server.answer("extend", ExtendResponse.fromPartial({ verdict: ALLOWED }));
    server.answer("release", ReleaseResponse.fromPartial({}));
    const told = [
      "--outcome",
      "error",
      "--usage-source",
      "estimated",
      "--label",
      "a=b",
      "--key",
      "k",
    ];
    await type([
      "commit",
      "--reservation",
      "R",
      "--amount",
      "tokens=0",
      "--partial",
      "--latency",
      "20ms",
      ...told,
    ]);
    await type(["consume", "--tenant", "acme", "--amount", "tokens=5", "--already-spent", ...told]);
    await type([
      "extend",
      "--reservation",
      "R",
      "--by",
      "2m",
      "--amount",
      "tokens=5",
      "--key",
      "k",
    ]);
    await type(["release", "--reservation", "R", "--reason", "gone", "--key", "k"]);
    const shared = {
      outcome: Outcome.ERROR,
      usageSource: UsageSource.ESTIMATED,
      labels: new Map([["a", "b"]]),
      idempotencyKey: "k",
    };
    expect(server.asked.map(({ request }) => request)).toMatchObject([
      {
        ...shared,
        reservationId: "R",
        amounts: [{ meter: "tokens", units: 0n }],
        partial: true,
        latency: { seconds: 0n, nanos: 20_000_000 },
      },
      { ...shared, subject: { tenant: "acme" }, alreadySpent: true },
      {
        reservationId: "R",
        by: { seconds: 120n },
        add: [{ meter: "tokens", units: 5n }],
        idempotencyKey: "k",
      },
      { reservationId: "R", reason: "gone", idempotencyKey: "k" },
    ]);
  });

  it("carries the key of --api-key-file, and an unreadable file asks nothing", async () => {
    server.answer("check", CheckResponse.fromPartial({ verdict: ALLOWED }));
    const file = join(server.folder, "key");
    await writeFile(file, "secret-key\n");
    await type(["check", "--api-key-file", file]);
    expect(server.asked[0]?.metadata.get("x-api-key")).toEqual(["secret-key"]);
    const missing = await type(["check", "--api-key-file", join(server.folder, "none")]);
    expect(missing.status).toBe(2);
    expect(missing.stderr).toContain("ENOENT");
    await writeFile(file, "two\nlines\n");
    const strange = await type(["check", "--api-key-file", file]);
    expect(strange.status).toBe(2);
    expect(strange.stderr).not.toContain("lines");
    expect(server.asked).toHaveLength(1);
  });
});

describe("exit status", () => {
  it.each([
    ["ALLOW", Decision.ALLOW, 0],
    ["ALLOW_WITH_CAPS", Decision.ALLOW_WITH_CAPS, 0],
    ["DENY", Decision.DENY, 3],
    ["a decision that nobody knows yet", 9 as Decision, 3],
  ])("of %s", async (_name, decision, exit) => {
    server.answer("check", CheckResponse.fromPartial({ verdict: { decision } }));
    server.answer("consume", ConsumeResponse.fromPartial({ verdict: { decision } }));
    server.answer("explain", ExplainResponse.fromPartial({ verdict: { decision } }));
    server.answer("extend", ExtendResponse.fromPartial({ verdict: { decision } }));
    for (const words of [["check"], ["consume"], ["explain"], ["extend", "--reservation", "R"]]) {
      expect((await type(words)).status).toBe(exit);
      expect((await type([...words, "--json"])).status).toBe(exit);
    }
  });

  it("of a Commit is 0 once it is charged, whatever the next call would hear", async () => {
    server.answer("commit", CommitResponse.fromPartial({ verdict: DENIED }));
    const { status: exit, stdout } = await type(["commit", "--reservation", "R"]);
    expect(exit).toBe(0);
    expect(stdout).toContain("Next: DENY  BUDGET_EXHAUSTED");
  });
});

describe("errors", () => {
  it("are one line with code, reason, message and when to retry, and exit 1", async () => {
    server.refuse("commit", {
      code: status.UNAVAILABLE,
      message: "the sidecar is\nstopping",
      reason: "DRAINING",
      retryAfterMs: 250,
    });
    const { status: exit, stdout, stderr } = await type(["commit", "--reservation", "R", "--json"]);
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: "" });
    expect(stderr).toBe(
      "imprest commit: UNAVAILABLE DRAINING: the sidecar is stopping (retry after 250 ms)\n",
    );
  });

  it("say where nobody answers", async () => {
    const host = createFakeHost(["check", "--address", `unix:${join(server.folder, "none")}`]);
    expect(await run(host)).toBe(1);
    expect(host.printed.stderr).toMatch(
      /^imprest check: UNAVAILABLE: no sidecar answers at unix:.*\n$/,
    );
  });

  it("end a call that is not answered in time", async () => {
    server.hang("check");
    const { status: exit, stderr } = await type(["check", "--timeout", "100ms"]);
    expect(exit).toBe(1);
    expect(stderr).toMatch(/^imprest check: DEADLINE_EXCEEDED: /);
  });
});

describe("what people read", () => {
  it("of a denial: why, by which limit and scope, what is left, when to retry", async () => {
    server.answer("reserve", ReserveResponse.fromPartial({ verdict: DENIED }));
    const { status: exit, stdout } = await type(["reserve", "--tenant", "acme"]);
    expect(exit).toBe(3);
    expect(stdout).toBe(
      [
        "DENY  BUDGET_EXHAUSTED: The month is spent.",
        "  limit     dollars-per-month of tenant:acme",
        "  left      $0.12 of $5.00 usd_micros; asked for $0.25",
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

describe("imprest balance", () => {
  const at = (remainingUnits: bigint) =>
    GetBalanceResponse.fromPartial({
      balances: [
        {
          limit: "month",
          scope: "tenant:acme",
          meter: "tokens",
          limitUnits: 10n,
          remainingUnits,
          resetsAt: RESETS,
        },
        { limit: "slots", scope: "tenant:acme", limitUnits: 5n, remainingUnits: 5n, debtUnits: 2n },
      ],
    });

  it("is a table", async () => {
    server.answer("getBalance", at(7n));
    const { status: exit, stdout } = await type(["balance", "--tenant", "acme", "--refresh"]);
    expect(exit).toBe(0);
    expect(server.asked[0]?.request).toMatchObject({ subject: { tenant: "acme" }, refresh: true });
    expect(stdout).toBe(
      [
        "LIMIT  SCOPE        METER   LEFT  OF  SPENT  LEASED  DEBT  RESETS",
        "month  tenant:acme  tokens     7  10      0       0        2026-12-01T00:00:00Z",
        "slots  tenant:acme  slots      5   5      0       0     2",
        "",
      ].join("\n"),
    );
  });

  it("watches until a signal: without a terminal a line for each change, through an outage", async () => {
    const host = createFakeHost([
      "balance",
      "--tenant",
      "acme",
      "--watch",
      "--address",
      server.address,
    ]);
    let calls = 0;
    server.answer("getBalance", () => {
      calls += 1;
      if (calls === 2) {
        server.refuse("getBalance", {
          code: status.UNAVAILABLE,
          message: "later",
          reason: "DRAINING",
        });
      }
      return at(calls === 1 ? 7n : 6n);
    });
    const watched = run(host);
    await until(() => host.printed.stderr !== "");
    server.answer("getBalance", () => {
      host.signal();
      return at(5n);
    });
    expect(await watched).toBe(0);
    expect(host.printed.stdout.split("\n")).toEqual([
      "month tenant:acme tokens: 7 of 10 left, 0 spent, 0 leased",
      "slots tenant:acme slots: 5 of 5 left, 0 spent, 0 leased",
      "month tenant:acme tokens: 6 of 10 left, 0 spent, 0 leased",
      "month tenant:acme tokens: 5 of 10 left, 0 spent, 0 leased",
      "",
    ]);
    expect(host.printed.stderr).toContain("UNAVAILABLE DRAINING: later");
  });

  it("watches on a terminal by drawing the table again", async () => {
    const words = ["balance", "--watch", "--address", server.address];
    const host = createFakeHost(words, { isTty: true });
    server.answer("getBalance", () => {
      host.signal();
      return at(7n);
    });
    expect(await run(host)).toBe(0);
    expect(host.printed.stdout).toMatch(/^.\[2J.\[H.*LIMIT/);
  });

  it("does not begin to watch what cannot be had", async () => {
    server.refuse("getBalance", {
      code: status.NOT_FOUND,
      message: "no such tenant",
      reason: "UNKNOWN_TENANT",
    });
    const { status: exit, stderr } = await type(["balance", "--tenant", "x", "--watch"]);
    expect(exit).toBe(1);
    expect(stderr).toBe("imprest balance: NOT_FOUND UNKNOWN_TENANT: no such tenant\n");
  });
});

describe("imprest reservations", () => {
  const page = (id: string, nextPageToken: string) =>
    ListReservationsResponse.fromPartial({
      reservations: [
        {
          reservationId: id,
          subject: {
            tenant: "acme",
            workflow: "chat",
            dimensions: new Map([
              ["user", "u"],
              ["run", "r"],
            ]),
          },
          action: { kind: "tool.call", name: "web.search" },
          reserved: [{ meter: "tokens", units: 5n }],
          expiresAt: RESETS,
        },
      ],
      nextPageToken,
    });

  it("lists every page", async () => {
    server.answer("listReservations", (request) =>
      (request as ListReservationsRequest).pageToken === "" ? page("R1", "t2") : page("R2", ""),
    );
    const { status: exit, stdout } = await type(["reservations", "--tenant", "acme"]);
    expect(exit).toBe(0);
    expect(stdout).toContain("R1");
    expect(stdout).toMatch(
      /R2 +acme +workflow:chat\/run:r\/user:u +tool\.call web\.search +5 tokens +2026-12-01T00:00:00Z/,
    );
    expect(stdout).not.toContain("--page-token");
  });

  it("shows one page where a size is asked for, and how to go on", async () => {
    server.answer("listReservations", page("R1", "t2"));
    const { stdout } = await type(["reservations", "--page-size", "1", "--page-token", "t1"]);
    expect(server.asked.map(({ request }) => request)).toMatchObject([
      { pageSize: 1, pageToken: "t1" },
    ]);
    expect(stdout).toContain("more: --page-token t2");
  });

  it("releases one by hand", async () => {
    server.answer(
      "release",
      ReleaseResponse.fromPartial({ released: [{ meter: "tokens", units: 5n }] }),
    );
    const words = ["reservations", "release", "R1", "--tenant", "acme", "--reason", "gone"];
    const { status: exit, stdout } = await type(words);
    expect(exit).toBe(0);
    expect(stdout).toBe("RELEASED\n  released  5 tokens\n");
    expect(server.asked[0]?.request).toMatchObject({ reservationId: "R1", reason: "gone" });
  });
});

/** Waits for something that another event makes true. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}
