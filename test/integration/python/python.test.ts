import { readFile } from "node:fs/promises";
import { afterAll, describe, expect, test, type TestContext } from "vitest";
import { preparePython } from "../../support/python.ts";
import { startSidecarProcess } from "../../support/sidecar-process.ts";

/** The full length is for `npm run outsider`; a tenth of it finds what is grossly wrong. */
const OPERATIONS = process.env["OUTSIDER_OPERATIONS"] ?? "10000";
const SEED = process.env["OUTSIDER_SEED"] ?? "1";

/** What a run has to have met to mean anything. */
const MET = [
  ...["BUDGET_EXHAUSTED", "CONCURRENCY_EXHAUSTED", "REQUEST_TOO_LARGE"],
  ...["ALREADY_SETTLED", "OVERAGE_REJECTED", "RESERVATION_UNKNOWN"],
  ...["debt", "late", "overage", "partial", "retried", "uncharged"],
];

const HERE = "test/integration/python";
const found = await preparePython();
afterAll(() => (typeof found === "string" ? undefined : found.close()));

/** Runs a script against a sidecar of its own; resolves with what the script printed. */
async function runScript(
  context: TestContext,
  [script, policy]: readonly [script: string, policy: string],
  args: readonly string[] = [],
): Promise<string> {
  if (typeof found === "string") return context.skip(found);
  const sidecar = await startSidecarProcess(`${HERE}/${policy}`);
  try {
    return await found.run(`${HERE}/${script}`, ["--address", sidecar.address, ...args]);
  } finally {
    await sidecar.stop();
  }
}

describe("a Python client that knows the proto alone", () => {
  test("goes through every RPC, every kind of refusal and every kind of error", async (context) => {
    const printed = await runScript(context, ["tour.py", "tour.yaml"]);
    expect(printed).toContain("listing ok");
  });

  test("describes the whole service by stock reflection, and calls it so", async (context) => {
    const seen = JSON.parse(await runScript(context, ["reflect.py", "tour.yaml"]));
    expect(seen.services).toContain("imprest.v1.QuotaService");
    expect(Object.keys(seen.methods).toSorted()).toEqual(await methodsOfContract());
    expect(seen.methods.Stream.streams).toEqual([true, true]);
    expect(seen.methods.Reserve.fields).toContain("release_on_disconnect");
    expect(seen.held.verdict.decision).toBe("DECISION_ALLOW");
    expect(seen.settled.charged).toContainEqual({ meter: "usd_micros", units: "12500" });
    expect(seen.balances).not.toHaveLength(0);
  });

  test("foretells every answer, and its books equal GetBalance to the unit", async (context) => {
    const args = ["--operations", OPERATIONS, "--seed", SEED];
    const told = JSON.parse(await runScript(context, ["outsider.py", "outsider.yaml"], args));
    expect(told.operations).toBeGreaterThanOrEqual(Number(OPERATIONS));
    expect(told.seen).toEqual(expect.arrayContaining(MET));
  }, 900_000);
});

async function methodsOfContract(): Promise<string[]> {
  const proto = await readFile("proto/imprest/v1/quota.proto", "utf8");
  return [...proto.matchAll(/^ {2}rpc (\w+)/gm)].map(([, name]) => name ?? "").toSorted();
}
