import { X509Certificate } from "node:crypto";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import {
  issueAuthority,
  issueLeaf,
  lifeOf,
} from "../../../../src/adapters/kubernetes/certificate.ts";
import { noOpenssl } from "../../../support/certificates.ts";

const NOW = Date.UTC(2026, 10, 21, 12, 0, 0);
const DAY = 86_400_000;
const NAMES = ["imprest-injector.imprest-system.svc", "imprest-injector"];

test("an authority signs itself, a leaf is signed by it and is for its names alone", () => {
  const authority = issueAuthority({ madeAt: NOW, validUntil: NOW + 365 * DAY });
  const leaf = issueLeaf(authority, NAMES, { madeAt: NOW, validUntil: NOW + DAY });
  const ca = new X509Certificate(authority.cert);
  const cert = new X509Certificate(leaf.cert);
  expect([ca.ca, cert.ca]).toEqual([true, false]);
  expect(ca.verify(ca.publicKey)).toBe(true);
  expect(cert.verify(ca.publicKey)).toBe(true);
  expect(cert.checkIssued(ca)).toBe(true);
  expect(NAMES.map((name) => cert.checkHost(name))).toEqual(NAMES);
  expect(cert.checkHost("other")).toBeUndefined();
  expect(cert.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  expect(lifeOf(cert)).toEqual({ madeAt: NOW, validUntil: NOW + DAY });
});

test("two authorities have two names, so that a verifier with both finds the right one", () => {
  const life = { madeAt: NOW, validUntil: NOW + DAY };
  const [a, b] = [issueAuthority(life), issueAuthority(life)];
  expect(new X509Certificate(a.cert).subject).not.toBe(new X509Certificate(b.cert).subject);
});

test.each([2049, 2050, 2060])("a certificate that ends in %i is read as such", (year) => {
  const validUntil = Date.UTC(year, 5, 1);
  const { cert } = issueAuthority({ madeAt: NOW, validUntil });
  expect(lifeOf(new X509Certificate(cert)).validUntil).toBe(validUntil);
});

test("openssl accepts the chain by the strict rules, for a server of that name", (ctx) => {
  if (noOpenssl !== undefined) ctx.skip(noOpenssl);
  const folder = mkdtempSync(path.join(tmpdir(), "imprest-cert-"));
  try {
    const at = Date.now();
    const authority = issueAuthority({ madeAt: at, validUntil: at + DAY });
    const leaf = issueLeaf(authority, NAMES, { madeAt: at, validUntil: at + DAY });
    writeFileSync(path.join(folder, "ca.pem"), authority.cert);
    writeFileSync(path.join(folder, "leaf.pem"), leaf.cert);
    const words = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "ca.pem"];
    const verify = (name: string) =>
      execFileSync("openssl", [...words, "-verify_hostname", name, "leaf.pem"], {
        cwd: folder,
        stdio: "pipe",
      }).toString();
    expect(verify(NAMES[0] ?? "")).toBe("leaf.pem: OK\n");
    expect(() => verify("other")).toThrow(/Hostname mismatch/i);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
