import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { run } from "../../../src/cli/run.ts";
import { createFakeHost } from "../../support/fake-host.ts";

const folder = mkdtempSync(join(tmpdir(), "imprest-cli-policy-"));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(text: string): string {
  const file = join(folder, "policy.yaml");
  writeFileSync(file, `apiVersion: imprest.dev/v1\nkind: Policy\n${text}`);
  return file;
}

async function imprest(...argv: readonly string[]) {
  const host = createFakeHost(argv);
  return { status: await run(host), ...host.printed };
}

describe("imprest policy validate", () => {
  test("a line for each problem on standard output, and 1", async () => {
    const file = fileOf(
      "mod: shadow\nplans: {free: {limits: [{name: a, meter: m, rate: {units: X, every: 1m}}]}}\n",
    );
    const { status, stdout, stderr } = await imprest("policy", "validate", file);
    expect(status).toBe(1);
    expect(stderr).toBe("");
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^mod 3:1: found the key "mod"; allowed: .*\(did you mean mode\?\)$/);
    expect(lines[1]).toMatch(/^plans\.free\.limits\[0\]\.rate\.units 4:\d+: found "X"; allowed: /);
  });
  test("a summary for a good one, and 0", async () => {
    const { status, stdout } = await imprest("policy", "validate", fileOf("revision: 3\n"));
    expect(status).toBe(0);
    expect(stdout).toMatch(/ is valid: version [0-9a-f]{12}, revision 3, 0 plans, 0 tenants\n$/);
  });
  test("--json: one object, either way", async () => {
    const good = await imprest("policy", "validate", fileOf("revision: 3\n"), "--json");
    expect(JSON.parse(good.stdout)).toMatchObject({ valid: true, revision: 3, problems: [] });
    const bad = await imprest("policy", "validate", fileOf("mode: 5\n"), "--json");
    expect(JSON.parse(bad.stdout)).toMatchObject({
      valid: false,
      problems: [{ path: "mode", line: 3, column: 7, found: "5" }],
    });
    expect(bad.status).toBe(1);
  });
  test("a file that is too large is told with its size, and has no version", async () => {
    const file = fileOf("");
    truncateSync(file, 5_000_000);
    const found = "found 5000000 bytes; allowed: at most 4194304 bytes";
    const { status, stdout } = await imprest("policy", "validate", file);
    expect([status, stdout]).toEqual([1, `document: ${found}\n`]);
    const { stdout: json } = await imprest("policy", "validate", file, "--json");
    expect(Object.keys(JSON.parse(json))).toEqual(["valid", "problems"]);
    const explained = await imprest("policy", "explain", file, "--tenant", "acme");
    expect([explained.status, explained.stderr]).toEqual([1, `document: ${found}\n`]);
  });
  test.each([
    ["a file that is not there", "nowhere.yaml"],
    ["a folder", "."],
  ])("%s cannot be read: 2, and why on standard error", async (_, name) => {
    const { status, stdout, stderr } = await imprest("policy", "validate", join(folder, name));
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("cannot be read: ");
  });
});

const POLICY = `
limits:
  - {name: provider, meter: usd_micros, budget: {units: $5000, period: month}}
plans:
  pro:
    allow: {llm.*: [gpt*]}
    limits:
      - {name: rpm, meter: requests, rate: {units: 60, every: 1m}}
      - {name: slots, concurrency: {max: 5}}
      - {name: month, meter: usd_micros, budget: {units: $500, period: month}}
      - {name: run, meter: usd_micros, per: [run], mode: shadow, budget: {units: $25, period: once}}
      - {name: staging, meter: usd_micros, match: {workspace: staging}, budget: {units: $5, period: day}}
      - {name: message, meter: tokens, request: {max: 2k}}
    breakers: [{name: errors, match: {action: tool.*}, errors: 50%, of: 20, window: 1m, open: 30s}]
    loops: [{name: same, per: [run], repeats: 5, window: 10m}]
tenants:
  acme: {plan: pro, suspended: true}
`;

describe("imprest policy explain", () => {
  const explain = (...argv: readonly string[]) =>
    imprest("policy", "explain", fileOf(POLICY), ...argv);
  const ASKED =
    "--tenant acme --subject run=r-7 workspace=prod --action llm.chat --name gpt-4o".split(" ");

  test("what applies, in the order in which refusals are looked for, with scopes", async () => {
    const { status, stdout } = await explain(...ASKED, "--json");
    expect(status).toBe(0);
    const { applies } = JSON.parse(stdout) as { applies: Record<string, string>[] };
    expect(applies.map(({ name, kind, scope, mode }) => [name, kind, scope, mode])).toEqual([
      ["message", "request", "tenant:acme", "enforce"],
      ["same", "loop", "tenant:acme/run:r-7", "enforce"],
      ["run", "budget", "tenant:acme/run:r-7", "shadow"],
      ["month", "budget", "tenant:acme", "enforce"],
      ["provider", "budget", "platform", "enforce"],
      ["slots", "concurrency", "tenant:acme", "enforce"],
      ["rpm", "rate", "tenant:acme", "enforce"],
    ]);
  });
  test("why the others do not", async () => {
    const { stdout } = await explain(...ASKED, "--json");
    const { others } = JSON.parse(stdout) as { others: Record<string, string>[] };
    expect(others.map(({ name, because }) => [name, because])).toEqual([
      ["staging", "match.workspace wants staging, found prod"],
      ["errors", "match.action wants tool.*, found llm.chat"],
    ]);
    const without = await explain("--tenant", "acme", "--action", "llm.chat");
    expect(without.stdout).toMatch(/^run +budget +per\.run: the operation has none$/m);
  });
  test("as text: the limits in columns, and what refuses in any case", async () => {
    const { stdout } = await explain("--tenant", "acme", "--action", "tool.call", "--name", "rm");
    expect(stdout).toContain("The tenant is suspended: new operations are refused.");
    expect(stdout).toContain("allow and deny do not let tool.call rm through.");
    expect(stdout).toMatch(
      /^1 +message +request +tenant:acme +2,000 tokens in one operation +enforce$/m,
    );
  });
  test("a tenant that the document does not know: 1", async () => {
    const { status, stderr } = await explain("--tenant", "nobody");
    expect(status).toBe(1);
    expect(stderr).toContain("no tenant nobody, and no default_plan");
  });
  test("what no operation can be is a configuration error, all of it", async () => {
    const subject = ["--subject", "tenant=x", "run=a", "run=b", "A=b", "app=a/b", "user=a b"];
    const action = ["--action", "X Y", "--name", "gpt 4", "--tag", "Tag"];
    const { status, stdout, stderr } = await explain("--tenant", "acme", ...subject, ...action);
    expect([status, stdout]).toEqual([2, ""]);
    const found = [...stderr.matchAll(/^ {2}(--\w+: found .*); allowed: /gm)].map(([, it]) => it);
    expect(found).toEqual([
      '--subject: found "A=b"',
      '--subject: found "app=a/b"',
      '--subject: found "user=a b"',
      '--action: found "X Y"',
      '--name: found "gpt 4"',
      '--tag: found "Tag"',
      "--subject: found run more than once",
      "--subject: found tenant",
    ]);
  });
  test("a document with problems: 1, and the problems on standard error", async () => {
    const { status, stdout, stderr } = await imprest(
      "policy",
      "explain",
      fileOf("mode: 5\n"),
      "--tenant",
      "acme",
    );
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("mode 3:7: found 5");
  });
});
