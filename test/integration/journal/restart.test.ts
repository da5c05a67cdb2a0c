/** The real command with a journal, killed, and started again in the same folder. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { runCommand } from "../../support/command-process.ts";
import { aJournaledSidecar, type JournaledSidecar } from "../../support/journaled-sidecar.ts";
import { failureOf, type QuotaClient } from "../../support/quota-client.ts";

const POLICY = `
tenants:
  acme:
    limits:
      - {name: month, meter: tokens, budget: {units: 1M, period: month}}
      - {name: run, meter: tokens, per: [run], budget: {units: 1000, period: once, ttl: 1h}}
      - {name: rate, meter: requests, rate: {units: 1, every: 1h, burst: 10k}}
      - {name: slots, concurrency: {max: 3}}
`;

/** Two or three starts of a process in each, on whatever machine this is. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let sidecar: JournaledSidecar;

beforeEach(async () => {
  sidecar = await aJournaledSidecar(POLICY);
});
afterEach(() => sidecar.close());

async function restart(): Promise<QuotaClient> {
  await sidecar.kill();
  await sidecar.start();
  return sidecar.client;
}

const subject = { tenant: "acme", dimensions: new Map([["run", "r-1"]]) };
const action = { kind: "llm.completion" };
const tokens = (units: bigint) => [{ meter: "tokens", units }];

describe("after SIGKILL, in the same folder (S27)", () => {
  it("balances, open reservations, repeated commits and repeated keys are as they were (S20, S28, S29)", async () => {
    const before = sidecar.client;
    const ask = { subject, action, amounts: tokens(100n), ttl: { seconds: 600n, nanos: 0 } };
    const keyed = await before.call("reserve", { ...ask, idempotencyKey: "k-1" });
    const held = await before.call("reserve", ask);
    const other = await before.call("reserve", ask);
    const commit = { reservationId: keyed.reservationId, amounts: tokens(70n) };
    const committed = await before.call("commit", { ...commit, idempotencyKey: "k-2" });
    const partly = { reservationId: held.reservationId, amounts: tokens(30n), partial: true };
    await before.call("commit", partly);
    const released = await before.call("release", { reservationId: other.reservationId });
    const used = { subject, action, amounts: tokens(5n), idempotencyKey: "k-3" };
    const consumed = await before.call("consume", used);
    const balances = await before.call("getBalance", { subject });
    const open = await before.call("listReservations", { subject: { tenant: "acme" } });

    const client = await restart();
    expect(await sidecar.command.logged("journal opened")).toMatchObject({
      reservations: 1,
      intact: true,
      directory: join(sidecar.folder, "journal"),
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
    const before = sidecar.client;
    const ask = { subject, action, amounts: tokens(900n), ttl: { seconds: 1n, nanos: 0 } };
    const { reservationId, expiresAt } = await before.call("reserve", ask);
    const past = Number(expiresAt?.seconds ?? 0n) * 1000 + (expiresAt?.nanos ?? 0) / 1e6;
    const client = await restart();
    while (Date.now() <= past) await client.call("getBalance", { subject });
    const { balances } = await client.call("getBalance", { subject });
    expect(balances.find(({ limit }) => limit === "run")?.remainingUnits).toBe(1000n);
    const late = await client.call("commit", { reservationId, amounts: tokens(20n) });
    expect(late.late).toBe(true);
  });

  it("SIGTERM settles what was open, and the next process knows (S27)", async () => {
    const before = sidecar.client;
    const ask = { subject, action, amounts: tokens(100n), ttl: { seconds: 600n, nanos: 0 } };
    const { reservationId } = await before.call("reserve", ask);
    before.close();
    sidecar.command.send("SIGTERM");
    expect((await sidecar.command.ended()).status).toBe(0);
    const client = await restart();
    expect((await client.call("listReservations", { subject })).reservations).toEqual([]);
    const { late } = await client.call("commit", { reservationId, amounts: tokens(20n) });
    expect(late).toBe(true);
  });
});

describe("the folder", () => {
  it("belongs to one process: a second one exits with 1 and names it, and changes nothing", async () => {
    const ended = await runCommand(sidecar.words("other.sock"));
    expect(ended.status).toBe(1);
    const journal = join(sidecar.folder, "journal");
    expect(ended.stderr).toContain(`the journal ${journal} belongs to another process`);
    expect(ended.stdout).not.toContain("serving");
    const { balances } = await sidecar.client.call("getBalance", { subject });
    expect(balances.length).toBe(4);
  });

  it("is a configuration error where it cannot be used", async () => {
    const file = join(sidecar.folder, "file");
    await writeFile(file, "");
    const ended = await runCommand(sidecar.words("other.sock", "file"));
    expect([ended.status, ended.stdout]).toEqual([2, ""]);
    expect(ended.stderr).toContain(`--journal: the journal ${file} cannot be used`);
  });
});

/** Runs before the command: from the third write of a journal on the disk is full. */
const FULL = `
  import fs from "node:fs";
  import { syncBuiltinESMExports } from "node:module";
  const { writeSync } = fs;
  let writes = 0;
  fs.writeSync = (file, ...rest) => {
    const isJournal = fs.readlinkSync("/proc/self/fd/" + file).endsWith(".journal");
    if (isJournal && ++writes > 2) throw Object.assign(new Error("full"), { code: "ENOSPC" });
    return writeSync(file, ...rest);
  };
  syncBuiltinESMExports();
`;

it("a disk that is full: it goes on answering, and says so once in the log and to who asks", async () => {
  await sidecar.kill();
  await sidecar.start({ before: FULL });
  const { client, command } = sidecar;
  const ask = { subject, action, amounts: tokens(10n) };
  for (let n = 0; n < 5; n++) {
    const { reservationId } = await client.call("reserve", ask);
    await client.call("commit", { reservationId });
  }
  const { http } = await command.logged("serving");
  const metrics = await fetch(`http://${String(http)}/metrics`);
  expect(await metrics.text()).toContain("\nimprest_journal_up 0\n");
  const ready = await fetch(`http://${String(http)}/readyz?verbose`);
  expect(ready.status).toBe(200);
  expect(await ready.text()).toMatch(/journal.*a write failed/);
  const said = command.printed.stdout.match(/the journal failed: going on without it/g);
  expect(said).toHaveLength(1);
  await sidecar.kill();
  await sidecar.start();
  const opened = await sidecar.command.logged("journal opened");
  expect(opened).toMatchObject({ intact: false, why: "a write failed" });
});
