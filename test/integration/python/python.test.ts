import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { preparePython } from "../../support/python.ts";
import { type SidecarProcess, startSidecarProcess } from "../../support/sidecar-process.ts";

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
const python = await preparePython();
if (typeof python === "string") console.warn(`skipped: ${python}`);

describe.skipIf(typeof python === "string")("a Python client that knows the proto alone", () => {
  if (typeof python === "string") return;
  afterAll(() => python.close());

  const withSidecar = (policy: string, body: (sidecar: () => SidecarProcess) => void) => {
    let sidecar: SidecarProcess | undefined;
    beforeAll(async () => {
      sidecar = await startSidecarProcess(`${HERE}/${policy}`);
    });
    afterAll(() => sidecar?.stop());
    body(() => {
      if (sidecar === undefined) throw new Error("no sidecar");
      return sidecar;
    });
  };

  describe("on a policy of small limits", () => {
    withSidecar("tour.yaml", (sidecar) => {
      test("goes through every RPC, every kind of refusal and every kind of error", async () => {
        const printed = await python.run(`${HERE}/tour.py`, ["--address", sidecar().address]);
        expect(printed).toContain("listing ok");
      });

      test("describes the whole service by stock reflection, and calls it so", async () => {
        const printed = await python.run(`${HERE}/reflect.py`, ["--address", sidecar().address]);
        const seen = JSON.parse(printed);
        expect(seen.services).toContain("imprest.v1.QuotaService");
        expect(Object.keys(seen.methods).toSorted()).toEqual(await methodsOfContract());
        expect(seen.methods.Stream.streams).toEqual([true, true]);
        expect(seen.methods.Reserve.fields).toContain("release_on_disconnect");
        expect(seen.held.verdict.decision).toBe("DECISION_ALLOW");
        expect(seen.settled.charged).toContainEqual({ meter: "usd_micros", units: "12500" });
        expect(seen.balances).not.toHaveLength(0);
      });
    });
  });

  describe("on a policy of many limits", () => {
    withSidecar("outsider.yaml", (sidecar) => {
      test("foretells every answer, and its books equal GetBalance to the unit", async () => {
        const args = ["--address", sidecar().address, "--operations", OPERATIONS, "--seed", SEED];
        const printed = await python.run(`${HERE}/outsider.py`, args);
        const told = JSON.parse(printed);
        expect(told.operations).toBeGreaterThanOrEqual(Number(OPERATIONS));
        expect(told.seen).toEqual(expect.arrayContaining(MET));
      }, 600_000);
    });
  });
});

async function methodsOfContract(): Promise<string[]> {
  const proto = await readFile("proto/imprest/v1/quota.proto", "utf8");
  return [...proto.matchAll(/^ {2}rpc (\w+)/gm)].map(([, name]) => name ?? "").toSorted();
}
