import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { typeCommand } from "../../support/fake-host.ts";

describe("a kubeconfig that cannot be used is a configuration error", () => {
  const folder = mkdtempSync(join(tmpdir(), "imprest-doctor-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const entry = (cluster: object, user: object = {}) =>
    JSON.stringify({
      "current-context": "x",
      contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
      clusters: [{ name: "x", cluster }],
      users: [{ name: "x", user }],
    });
  const pem = Buffer.from("-----BEGIN CERTIFICATE-----\nno\n").toString("base64");

  test.each([
    ["no YAML", "a: [b", "found no YAML ("],
    ["nothing at all", "", "found no YAML ("],
    ["something else", "kind: Pod", "found no kubeconfig (current-context: "],
    ["another protocol", entry({ server: "ftp://a" }), "server: found ftp://a; allowed:"],
    [
      "a certificate that is none",
      entry({ server: "https://127.0.0.1:1" }, { "client-certificate-data": pem }),
      "found a certificate or key that cannot be used (",
    ],
  ])("%s", async (_, content, says) => {
    const file = join(folder, "config");
    writeFileSync(file, content);
    const typed = await typeCommand(["doctor", "--kubeconfig", file]);
    expect([typed.status, typed.stdout]).toEqual([2, ""]);
    expect(typed.stderr).toContain("imprest doctor: nothing was looked at\n");
    expect(typed.stderr).toContain(`  ${file}: ${says}`);
    expect(typed.stderr).toContain("; allowed: ");
  });

  test("a token whose file is not there", async () => {
    const file = join(folder, "config");
    writeFileSync(file, entry({ server: "http://127.0.0.1:1" }, { tokenFile: "/nowhere/token" }));
    const typed = await typeCommand(["doctor", "--kubeconfig", file]);
    expect([typed.status, typed.stderr]).toEqual([2, expect.stringContaining("/nowhere/token")]);
  });

  test("none at all", async () => {
    const typed = await typeCommand(["doctor", "--kubeconfig", "/nowhere/config"]);
    expect([typed.status, typed.stderr]).toEqual([2, expect.stringContaining("/nowhere/config")]);
  });
});
