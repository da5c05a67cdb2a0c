import { afterEach, beforeEach, expect, test } from "vitest";
import { Decision } from "../../../src/gen/imprest/v1/quota.ts";
import { type RunningSidecar, startSidecar, withHead } from "../../support/running-sidecar.ts";
import { createHash } from "node:crypto";

const policy = (units: number): string => `
default_plan: free
plans:
  free:
    limits:
      - {name: tokens, meter: tokens, budget: {units: ${units}, period: once, ttl: 1h}}
`;
const subject = { tenant: "acme" };
const consume = { subject, amounts: [{ meter: "tokens", units: 10n }] };

let running: RunningSidecar;
beforeEach(async () => {
  running = await startSidecar(policy(15));
});
afterEach(() => running.close());

const metric = async (name: string): Promise<string | undefined> => {
  const { body } = await running.get("/metrics");
  return body.split("\n").find((line) => line.startsWith(`${name} `));
};

test("a valid edit takes effect under its version, and what is used stays used", async () => {
  const client = running.client();
  expect((await client.call("consume", consume)).verdict?.decision).toBe(Decision.ALLOW);
  expect((await client.call("consume", consume)).verdict?.decision).toBe(Decision.DENY);
  await running.edit(policy(25));
  const { fields } = await running.logged("policy reloaded");
  const digest = createHash("sha256")
    .update(withHead(policy(25)))
    .digest("hex");
  expect(fields["version"]).toBe(digest.slice(0, 12));
  expect((await client.call("explain", { subject })).policyVersion).toBe(digest.slice(0, 12));
  expect((await client.call("consume", consume)).verdict?.decision).toBe(Decision.ALLOW);
  expect((await client.call("consume", consume)).verdict?.decision).toBe(Decision.DENY);
  expect(await metric("imprest_policy_reloads_total")).toBe("imprest_policy_reloads_total 1");
});

test("a broken edit keeps the last good one, is logged once, counted, and shown", async () => {
  const { policyVersion } = await running.client().call("explain", { subject });
  await running.edit("plans: {free: {limits: [{nam: x}]}}");
  const { level, fields } = await running.logged("policy not reloaded; the last good one stays");
  expect(level).toBe("error");
  expect(String(fields["problems"])).toContain("nam");
  expect((await running.client().call("explain", { subject })).policyVersion).toBe(policyVersion);
  expect(await metric("imprest_policy_reload_errors_total")).toMatch(/ 1$/);
  expect(await running.get("/readyz")).toEqual({ status: 200, body: "ok" });
  expect((await running.get("/readyz?verbose")).body).toContain("[-]reload: ");
  await running.edit(policy(30));
  await running.logged("policy reloaded");
  expect((await running.get("/readyz?verbose")).body).toContain("[+]reload: ");
  const errors = running.lines.filter(({ message }) => message.startsWith("policy not reloaded"));
  expect(errors).toHaveLength(1);
});
