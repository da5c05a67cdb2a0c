import { load } from "js-yaml";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { policyJsonSchema } from "../../../../src/adapters/policy/json-schema.ts";
import { EXAMPLE, policyText } from "./example.ts";

const schema = policyJsonSchema();
// zod reads a JSON Schema back in, as an editor would; it shares nothing with the reader of documents.
const editor = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
const accepts = (text: string): boolean => editor.safeParse(load(text)).success;

describe("the JSON Schema of the policy document", () => {
  test("ships in step with the validator (vitest -u writes it again)", async () => {
    await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot(
      "../../../../deploy/policy.schema.json",
    );
  });
  test("accepts the contract's example", () => {
    expect(accepts(policyText(EXAMPLE))).toBe(true);
  });
  test.each([
    ["at the top", "default_plans: free"],
    ["in a plan", "plans: {free: {limit: []}}"],
    ["in a limit", "plans: {free: {limits: [{name: a, metre: tokens}]}}"],
    ["in a rate", "plans: {free: {limits: [{name: a, rate: {units: 1, evry: 1m}}]}}"],
    ["in a tenant", "tenants: {acme: {plam: pro}}"],
    ["in a tenant's limit", "tenants: {acme: {limits: [{name: a, budgets: {units: 1}}]}}"],
    ["in a mode", "mode: enforced"],
    ["in a duration", "plans: {free: {loops: [{name: a, repeats: 5, window: 10 minutes}]}}"],
    ["in a tenant's name", "tenants: {a b: {}}"],
  ])("rejects a typo %s", (_, lines) => {
    expect(accepts(policyText(lines))).toBe(false);
  });
  test("lets a tenant leave out and take away what its plan says", () => {
    const limits =
      "[{name: a, budget: {units: 5, rollover: null}, match: {workspace: null}, at: null}]";
    expect(accepts(policyText(`tenants: {acme: {limits: ${limits}}}`))).toBe(true);
    expect(accepts(policyText(`plans: {free: {limits: ${limits}}}`))).toBe(false);
    const match = "[{name: a, match: {workspace: null}}]";
    expect(accepts(policyText(`plans: {free: {limits: ${match}}}`))).toBe(false);
  });
});
