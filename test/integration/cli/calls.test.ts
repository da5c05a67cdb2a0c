/** What the subcommands ask of a sidecar, and how they end. */
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
  ExplainResponse,
  ExtendResponse,
  Outcome,
  ReleaseResponse,
  ReserveResponse,
  UsageSource,
} from "../../../src/gen/imprest/v1/quota.ts";
import { ALLOWED, DENIED } from "../../support/canned-answers.ts";
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

const typeLine = (line: string) => type(line.split(" "));

describe("what is asked", () => {
  it("is what the flags said, for every field of Reserve", async () => {
    server.answer("reserve", ReserveResponse.fromPartial({ verdict: ALLOWED }));
    const { status: exit } = await typeLine(
      "reserve --tenant acme --subject workflow=chat run=r-7 --action llm.completion --name gpt-4o " +
        "--tag x --fingerprint f --amount tokens=1k --usage model=gpt-4o,input=8 --ttl 1.5s --key k " +
        "--best-effort --dry-run --verbose",
    );
    expect(exit).toBe(0);
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

  it("is what the flags said, for every field of Commit and Consume", async () => {
    server.answer("commit", CommitResponse.fromPartial({}));
    server.answer("consume", ConsumeResponse.fromPartial({ verdict: ALLOWED }));
    const told = "--outcome error --usage-source estimated --label a=b --key k";
    await typeLine(`commit --reservation R --amount tokens=0 --partial --latency 20ms ${told}`);
    await typeLine(`consume --tenant acme --amount tokens=5 --already-spent ${told}`);
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
    ]);
  });

  it("is what the flags said, for every field of Extend and Release", async () => {
    server.answer("extend", ExtendResponse.fromPartial({ verdict: ALLOWED }));
    server.answer("release", ReleaseResponse.fromPartial({}));
    await typeLine("extend --reservation R --by 2m --amount tokens=5 --key k");
    await typeLine("release --reservation R --reason gone --key k");
    const shared = { reservationId: "R", idempotencyKey: "k" };
    expect(server.asked.map(({ request }) => request)).toMatchObject([
      { ...shared, by: { seconds: 120n }, add: [{ meter: "tokens", units: 5n }] },
      { ...shared, reason: "gone" },
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
