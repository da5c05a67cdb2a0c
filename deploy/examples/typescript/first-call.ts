import { promisify } from "node:util";
import { credentials, makeClientConstructor, type ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const proto = loadSync("imprest/v1/quota.proto", {
  includeDirs: ["proto"],
  enums: String,
  longs: Number,
  defaults: true,
});
const QuotaService = makeClientConstructor(
  proto["imprest.v1.QuotaService"] as ServiceDefinition,
  "QuotaService",
);
const quota = new QuotaService(
  process.env.IMPREST_ADDRESS ?? "unix:/tmp/imprest.sock",
  credentials.createInsecure(),
);
const call = (method: string, request: object) => promisify(quota[method].bind(quota))(request);

// Before the model call: hold the most that it may cost.
const held = await call("Reserve", {
  subject: { tenant: "acme", dimensions: { run: "run-2" } },
  action: { kind: "llm.completion", name: "gpt-4o" },
  usage: { inputTokens: 1200, outputTokens: 800 },
});
if (!["DECISION_ALLOW", "DECISION_ALLOW_WITH_CAPS"].includes(held.verdict.decision)) {
  throw new Error(`refused: ${held.verdict.denial.message}`);
}

// … call the model here … and settle with what it really used.
const done = await call("Commit", {
  reservationId: held.reservationId,
  usage: { inputTokens: 1200, outputTokens: 350 },
});
const money = done.charged.find((amount: { meter: string }) => amount.meter === "usd_micros");
console.log(`charged $${money.units / 1e6}`);
quota.close();
