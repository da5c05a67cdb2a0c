/** The real command with a journal, killed, and started again in the same folder. */
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CommandProcess, runCommand, startCommand } from "../../support/command-process.ts";
import { createQuotaClient, failureOf, type QuotaClient } from "../../support/quota-client.ts";

const POLICY = `
apiVersion: imprest.dev/v1
kind: Policy
tenants:
  acme:
    limits:
      - {name: month, meter: tokens, budget: {units: 1M, period: month}}
      - {name: run, meter: tokens, per: [run], budget: {units: 1000, period: once, ttl: 1h}}
      - {name: rate, meter: requests, rate: {units: 1, every: 1h, burst: 10k}}
      - {name: slots, concurrency: {max: 3}}
`;

let folder = "";
const running: CommandProcess[] = [];
const clients: QuotaClient[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "imprest-"));
  await writeFile(join(folder, "policy.yaml"), POLICY);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const sidecar of running.splice(0)) {
    sidecar.send("SIGKILL");
    await sidecar.ended();
  }
  await rm(folder, { recursive: true, force: true });
});

const words = (socket: string, journal = join(folder, "journal")): readonly string[] =>
  `sidecar --policy ${folder}/policy.yaml --store memory: --listen unix:${folder}/${socket} --health 127.0.0.1:0 --http 127.0.0.1:0 --journal ${journal}`.split(
    " ",
  );

async function start(): Promise<{
  readonly sidecar: CommandProcess;
  readonly client: QuotaClient;
}> {
  const sidecar = startCommand(words("s.sock"));
  running.push(sidecar);
  await sidecar.logged("serving");
  const client = createQuotaClient(`unix:${folder}/s.sock`);
  clients.push(client);
  return { sidecar, client };
}

async function kill(sidecar: CommandProcess): Promise<void> {
  sidecar.send("SIGKILL");
  await sidecar.ended();
}

const subject = { tenant: "acme", dimensions: new Map([["run", "r-1"]]) };
const action = { kind: "llm.completion" };
const tokens = (units: bigint) => [{ meter: "tokens", units }];

describe("after SIGKILL, in the same folder (S27)", () => {
  it("balances, open reservations, repeated commits and repeated keys are as they were (S20, S28, S29)", async () => {
    const before = await start();
    const ask = { subject, action, amounts: tokens(100n), ttl: { seconds: 600n, nanos: 0 } };
    const keyed = await before.client.call("reserve", { ...ask, idempotencyKey: "k-1" });
    const held = await before.client.call("reserve", ask);
    const other = await before.client.call("reserve", ask);
    const commit = { reservationId: keyed.reservationId, amounts: tokens(70n) };
    const committed = await before.client.call("commit", { ...commit, idempotencyKey: "k-2" });
    const partly = { reservationId: held.reservationId, amounts: tokens(30n), partial: true };
    await before.client.call("commit", partly);
    const released = await before.client.call("release", { reservationId: other.reservationId });
    const used = { subject, action, amounts: tokens(5n), idempotencyKey: "k-3" };
    const consumed = await before.client.call("consume", used);
    const balances = await before.client.call("getBalance", { subject });
    const open = await before.client.call("listReservations", { subject: { tenant: "acme" } });
    await kill(before.sidecar);

    const { sidecar, client } = await start();
    expect(await sidecar.logged("journal opened")).toMatchObject({
      reservations: 1,
      intact: true,
      directory: join(folder, "journal"),
    });
    expect(await client.call("getBalance", { subject })).toEqual(balances);
    expect(await client.call("listReservations", { subject: { tenant: "acme" } })).toEqual(open);
    expect(await client.call("reserve", { ...ask, idempotencyKey: "k-1" })).toEqual(keyed);
    expect(await client.call("commit", commit)).toEqual(committed);
    expect(await client.call("commit", { ...commit, idempotencyKey: "k-2" })).toEqual(committed);
    expect(await client.call("release", { reservationId: other.reservationId })).toEqual(released);
    expect(await client.call("consume", used)).toEqual(consumed);
    const conflict = client.call("consume", { ...used, amounts: tokens(6n) });
    expect((await failureOf(conflict)).reason).toBe("IDEMPOTENCY_CONFLICT");
    const settled = client.call("commit", { ...commit, amounts: tokens(71n) });
    expect((await failureOf(settled)).reason).toBe("ALREADY_SETTLED");
    const extended = await client.call("extend", {
      reservationId: held.reservationId,
      by: { seconds: 60n, nanos: 0 },
      add: tokens(10n),
    });
    expect(extended.verdict?.decision).toBe(1);
    const last = await client.call("commit", { ...partly, amounts: tokens(50n), partial: false });
    expect(last.released).toMatchObject([{ meter: "tokens", units: 60n }]);
    expect(await client.call("getBalance", { subject })).not.toEqual(balances);
  });

  it("what expired meanwhile is free again, and a commit is late (S18, S19)", async () => {
    const before = await start();
    const ask = { subject, action, amounts: tokens(900n), ttl: { seconds: 1n, nanos: 0 } };
    const { reservationId, expiresAt } = await before.client.call("reserve", ask);
    await kill(before.sidecar);
    const past = Number(expiresAt?.seconds ?? 0n) * 1000 + (expiresAt?.nanos ?? 0) / 1e6;
    const { client } = await start();
    while (Date.now() <= past) await client.call("getBalance", { subject });
    const { balances } = await client.call("getBalance", { subject });
    expect(balances.find(({ limit }) => limit === "run")?.remainingUnits).toBe(1000n);
    const late = await client.call("commit", { reservationId, amounts: tokens(20n) });
    expect(late.late).toBe(true);
  });

  it("SIGTERM settles what was open, and the next process knows (S27)", async () => {
    const before = await start();
    const ask = { subject, action, amounts: tokens(100n), ttl: { seconds: 600n, nanos: 0 } };
    const { reservationId } = await before.client.call("reserve", ask);
    before.client.close();
    before.sidecar.send("SIGTERM");
    expect((await before.sidecar.ended()).status).toBe(0);
    const { client } = await start();
    expect((await client.call("listReservations", { subject })).reservations).toEqual([]);
    const { late } = await client.call("commit", { reservationId, amounts: tokens(20n) });
    expect(late).toBe(true);
  });
});

describe("the folder", () => {
  it("belongs to one process: a second one exits with 1 and names it, and changes nothing", async () => {
    const { client } = await start();
    const ended = await runCommand(words("other.sock"));
    expect(ended.status).toBe(1);
    expect(ended.stderr).toContain(
      `the journal ${join(folder, "journal")} belongs to another process`,
    );
    expect(ended.stdout).not.toContain("serving");
    const { balances } = await client.call("getBalance", { subject });
    expect(balances.length).toBe(4);
  });

  it("is a configuration error where it cannot be used", async () => {
    await writeFile(join(folder, "file"), "");
    await chmod(join(folder, "file"), 0o600);
    const ended = await runCommand(words("s.sock", join(folder, "file")));
    expect([ended.status, ended.stdout]).toEqual([2, ""]);
    expect(ended.stderr).toContain(`--journal: the journal ${join(folder, "file")} cannot be used`);
  });
});
