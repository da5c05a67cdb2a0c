/** imprest balance and imprest reservations, against a sidecar that answers what the test says. */
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../../../src/cli/run.ts";
import {
  GetBalanceResponse,
  type ListReservationsRequest,
  ListReservationsResponse,
  ReleaseResponse,
} from "../../../src/gen/imprest/v1/quota.ts";
import { RESETS } from "../../support/canned-answers.ts";
import {
  startCannedQuotaServer,
  type CannedQuotaServer,
} from "../../support/canned-quota-server.ts";
import { createFakeHost, type FakeHostOptions, typeCommand } from "../../support/fake-host.ts";

let server: CannedQuotaServer;
beforeEach(async () => {
  server = await startCannedQuotaServer();
});
afterEach(() => server.stop());

const type = (words: readonly string[], options: FakeHostOptions = {}) =>
  typeCommand([...words, "--address", server.address], options);

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
    server.answer("listReservations", (request) =>
      (request as ListReservationsRequest).pageToken === "" ? page("R0", "t2") : page("R1", ""),
    );
    const words = ["reservations", "release", "R1", "--tenant", "acme", "--reason", "gone"];
    const { status: exit, stdout } = await type(words);
    expect(exit).toBe(0);
    expect(stdout).toBe("RELEASED\n  released  5 tokens\n");
    const asked = server.asked.map(({ request }) => request);
    expect(asked).toMatchObject([
      { subject: { tenant: "acme" }, pageToken: "" },
      { subject: { tenant: "acme" }, pageToken: "t2" },
      { reservationId: "R1", reason: "gone" },
    ]);
  });
});

/** Waits for something that another event makes true. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}
