/** The command against a real sidecar in a process of its own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  runCommand,
  sidecarWords,
  startCommand,
  type CommandProcess,
} from "../../support/command-process.ts";
import { typeCommand } from "../../support/fake-host.ts";

let folder: string;
let sidecar: CommandProcess;
let env: Readonly<Record<string, string>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "imprest-"));
  const address = `unix:${join(folder, "s")}`;
  sidecar = startCommand(sidecarWords(address));
  await sidecar.logged("serving");
  env = { IMPREST_ADDRESS: address };
});
afterAll(async () => {
  sidecar.send("SIGTERM");
  await sidecar.ended();
  await rm(folder, { recursive: true, force: true });
});

const type = (line: string) => typeCommand(line.split(" "), { env });

/** Prints one JSON object, and exits as expected. */
async function typeJson(line: string, exit = 0) {
  const { status, stdout, stderr } = await type(`${line} --json`);
  expect({ status, stderr }).toEqual({ status: exit, stderr: "" });
  return JSON.parse(stdout);
}

const CALL = "--action llm.completion --usage model=gpt-4o,input=1000,output=1000";

describe("a reservation by hand", () => {
  it("is reserved, listed, extended, committed in part and whole", async () => {
    const held = await typeJson(`reserve --tenant a --subject run=r ${CALL} --ttl 2m`);
    expect(held.verdict.decision).toBe("DECISION_ALLOW");
    expect(held.reserved).toContainEqual({ meter: "usd_micros", units: "12500" });
    const id: string = held.reservationId;

    const { reservations } = await typeJson("reservations --tenant a");
    expect(reservations).toHaveLength(1);
    expect(reservations[0]).toMatchObject({
      reservationId: id,
      subject: { dimensions: { run: "r" } },
    });

    const extended = await typeJson(`extend --reservation ${id} --by 1m`);
    const longer = Date.parse(extended.expiresAt) - Date.parse(held.expiresAt);
    expect(longer / 1_000).toBeCloseTo(60, 1);

    const part = await typeJson(`commit --reservation ${id} --amount usd_micros=$0.005 --partial`);
    expect(part.charged).toContainEqual({ meter: "usd_micros", units: "5000" });
    const whole = await type(
      `commit --reservation ${id} --usage model=gpt-4o,input=1000,output=500`,
    );
    expect(whole.status).toBe(0);
    expect(whole.stdout).toContain("$0.0075");

    const again = await type(`commit --reservation ${id} --amount usd_micros=1`);
    expect(again.status).toBe(1);
    expect(again.stderr).toMatch(/^imprest commit: FAILED_PRECONDITION ALREADY_SETTLED: .*\n$/);
    expect((await typeJson("reservations --tenant a")).reservations).toBeUndefined();
  });

  it("is released, by its holder or by an operator", async () => {
    const first = await typeJson(`reserve --tenant b ${CALL}`);
    const second = await typeJson(`reserve --tenant b ${CALL}`);
    const released = await typeJson(`release --reservation ${first.reservationId} --tenant b`);
    expect(released.released).toContainEqual({ meter: "usd_micros", units: "12500" });
    const listed = await type("reservations --tenant b");
    expect(listed.stdout).toContain(second.reservationId);
    const others = await type(`reservations release ${second.reservationId} --tenant a`);
    const unknown = await type("reservations release nobodys");
    expect(others).toEqual(unknown);
    expect(others.status).toBe(1);
    expect(others.stderr).toContain("NOT_FOUND RESERVATION_UNKNOWN: ");
    expect((await type("reservations --tenant b")).stdout).toContain(second.reservationId);
    const byHand = await type(`reservations release ${second.reservationId} --tenant b`);
    expect(byHand.status).toBe(0);
    expect((await type("reservations --tenant b")).stdout).toBe("No open reservation.\n");
  });
});

describe("a decision", () => {
  it("is 0 where it is allowed and 3 where it is denied", async () => {
    expect((await typeJson(`check --tenant c ${CALL}`)).verdict.decision).toBe("DECISION_ALLOW");
    const much = "--subject run=r --amount usd_micros=$26";
    const denied = await typeJson(`check --tenant c ${much}`, 3);
    expect(denied.verdict.denial).toMatchObject({
      reason: "DENY_REASON_REQUEST_TOO_LARGE",
      limit: "dollars-per-run",
      scope: "tenant:c/run:r",
      limitUnits: "25000000",
      requestedUnits: "26000000",
    });
    const shown = await runCommand(`consume --tenant c ${much}`.split(" "), { env });
    expect(shown.status).toBe(3);
    expect(shown.stdout).toMatch(/^DENY {2}REQUEST_TOO_LARGE/);
  });

  it("is charged once under a key", async () => {
    const line = "consume --tenant d --amount usd_micros=$1 --key k";
    await typeJson(line);
    await typeJson(line);
    const { balances } = await typeJson("balance --tenant d");
    expect(balances[0]).toMatchObject({ limit: "dollars-per-month", remainingUnits: "499000000" });
  });

  it("is explained with the limits that apply", async () => {
    const explained = await typeJson(`explain --tenant e --subject run=r ${CALL}`);
    expect(explained.plan).toBe("team");
    expect(explained.verdict.limits.map((each: { limit: string }) => each.limit)).toEqual(
      expect.arrayContaining(["dollars-per-month", "dollars-per-run"]),
    );
  });

  it("that is asked wrongly is 1 with code and reason, or 2 where nothing could be asked", async () => {
    const refused = await type("check --tenant a/b");
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/^imprest check: INVALID_ARGUMENT BAD_NAME: .*\n$/);
    const unknown = await type("commit --reservation nobodys");
    expect(unknown.status).toBe(1);
    expect(unknown.stderr).toMatch(/^imprest commit: NOT_FOUND RESERVATION_UNKNOWN: .*\n$/);
    expect((await type("commit")).status).toBe(2);
  });
});

it("balance --watch prints what changes until Ctrl-C, and exits 0", async () => {
  const watch = startCommand(["balance", "--tenant", "w", "--watch"], { env });
  await watch.until(() => watch.printed.stdout.includes("$500.00 of $500.00 left"));
  await type("consume --tenant w --amount usd_micros=$2");
  await watch.until(() => watch.printed.stdout.includes("$498.00 of $500.00 left"));
  watch.send("SIGINT");
  expect((await watch.ended()).status).toBe(0);
});

describe("the program", () => {
  it("refuses an old Node in one line, before it reads anything else", async () => {
    const before =
      "Object.defineProperty(process, 'versions', {value: {...process.versions, node: '22.11.0'}})";
    expect(await runCommand(["--version"], { before })).toEqual({
      status: 2,
      stdout: "",
      stderr: "imprest: found Node 22.11.0; allowed: 22.12 or newer\n",
    });
  });

  it.each([
    ["--help"],
    ["--version"],
    ["sidecar", "--help"],
    ["check", "--help"],
    ["sidecar", "--nothing"],
  ])("loads no gRPC, YAML or log library for %s %s", async (...line) => {
    const before = `import { registerHooks } from "node:module";
        const heavy = /node_modules.(@grpc|yaml|js-yaml|zod|pino|prom-client|temporal)/;
        registerHooks({ load: (url, context, next) => {
          if (heavy.test(url)) process.exit(99);
          return next(url, context);
        } });`;
    const { status } = await runCommand(line, { before });
    expect(status).toBe(line.includes("--nothing") ? 2 : 0);
  });

  it("ends quietly where its reader has gone", async () => {
    const before = `process.stdout.write = () => {
      process.stdout.emit("error", Object.assign(new Error("gone"), { code: "EPIPE" }));
    };`;
    expect(await runCommand(["--help"], { before })).toEqual({ status: 0, stdout: "", stderr: "" });
  });
});
