import { expect, test } from "vitest";
import { Exchange } from "../../../../src/adapters/grpc/exchange.ts";
import { createRun, runInOrder } from "../../../../src/adapters/grpc/run.ts";
import { reject } from "../../../../src/core/rejection.ts";
import type { Denial } from "../../../../src/core/verdict.ts";
import { aCheck } from "../../../support/builders.ts";
import { ALLOWED, createFakeQuota } from "../../../support/fake-quota.ts";
import { SILENT } from "../../../support/silence.ts";

const exchange = new Exchange({ tenant: "", platform: true }, Infinity, () => {});
const timings = { decided: () => {}, stored: () => {} };
const DENIAL: Denial = {
  reason: "RATE_LIMITED",
  limit: "rpm",
  scope: "tenant:secret-name",
  meter: "requests",
  limitUnits: 1,
  remainingUnits: 0,
  requestedUnits: 1,
  message: "",
  helpUrl: "",
};

test("denials are logged at debug, and of a burst the first alone", () => {
  const quota = createFakeQuota();
  const lines: Readonly<Record<string, unknown>>[] = [];
  const run = createRun(quota, timings, { ...SILENT, debug: (fields) => void lines.push(fields) });
  for (let i = 0; i < 3; i += 1) {
    const verdict = { ...ALLOWED, decision: "deny" as const, denial: DENIAL, decisionId: `d${i}` };
    quota.scripted.push({ op: "check", verdict });
    run(exchange, aCheck(), () => {});
  }
  expect(lines).toEqual([
    { rpc: "check", reason: "RATE_LIMITED", limit: "rpm", decisionId: "d0", skipped: 0 },
  ]);
});

test("a thousand operations in order are a loop, with rejections between", () => {
  const quota = createFakeQuota();
  const run = createRun(quota, timings, SILENT);
  const flaw = reject("BAD_NAME", "no");
  const items = Array.from({ length: 1000 }, (_, i) => (i % 2 === 0 ? aCheck() : flaw));
  let results: readonly object[] = [];
  runInOrder(run, exchange, items, (all) => (results = all));
  expect(results).toHaveLength(1000);
  expect(results[1]).toBe(flaw);
  expect(quota.asked).toHaveLength(500);
});
