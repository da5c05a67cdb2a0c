/**
 * Makes an authority, and serving certificates signed by it: X.509 v3, ECDSA on P-256 with SHA-256, which every API
 * server takes (some clouds' refuse Ed25519).
 *
 * Node reads certificates and signs bytes but issues none. A library for it brings a dozen packages for two shapes
 * of certificate that never change; those are written down here, and Node's reader, openssl and a real API server
 * agree on them.
 */
import { createHash, generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto";
import type { EpochMs } from "../../core/time.ts";
import * as der from "./der.ts";

export interface KeyPair {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

const OID = {
  commonName: "2.5.4.3",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyId: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;

/** Valid from this long before it was made, ms: a clock elsewhere may be late. */
const BACKDATED_MS = 300_000;
const SIGNATURE = der.sequence(der.oid(OID.ecdsaWithSha256));

export interface Life {
  readonly madeAt: EpochMs;
  readonly validUntil: EpochMs;
}

/** What `Life` a certificate was made with. */
export function lifeOf(cert: X509Certificate): Life {
  return {
    madeAt: cert.validFromDate.getTime() + BACKDATED_MS,
    validUntil: cert.validToDate.getTime(),
  };
}

/** It signs for itself, and only serving certificates. */
export function issueAuthority(life: Life): KeyPair {
  const pair = newKeys();
  const id = keyId(pair.spki);
  // A name of its own: of two authorities with one name a verifier may try the wrong one.
  const name = `imprest-injector ${id.toString("hex").slice(0, 12)}`;
  const usage = der.bits(Buffer.from([0b0000_0110]), 1); // signs certificates and revocations
  const extensions = [
    extension(
      OID.basicConstraints,
      der.sequence(der.boolean(true), der.integer(Buffer.from([0]))),
      true,
    ),
    extension(OID.keyUsage, usage, true),
    extension(OID.subjectKeyId, der.octets(id)),
  ];
  return issue(pair, { issuer: name, subject: name, extensions, life, signer: pair.key });
}

/** `names`: DNS names of the server; the first one is its common name too. */
export function issueLeaf(authority: KeyPair, names: readonly string[], life: Life): KeyPair {
  const pair = newKeys();
  const { publicKey, subject } = new X509Certificate(authority.cert);
  const usage = der.bits(Buffer.from([0b1000_0000]), 7); // signs handshakes
  const signerId = keyId(publicKey.export({ type: "spki", format: "der" }));
  const extensions = [
    extension(OID.basicConstraints, der.sequence(), true),
    extension(OID.keyUsage, usage, true),
    extension(OID.extendedKeyUsage, der.sequence(der.oid(OID.serverAuth))),
    extension(OID.subjectKeyId, der.octets(keyId(pair.spki))),
    extension(OID.authorityKeyId, der.sequence(der.tagged(0, signerId, false))),
    extension(
      OID.subjectAltName,
      der.sequence(...names.map((name) => der.tagged(2, Buffer.from(name, "ascii"), false))),
    ),
  ];
  const issuer = subject.replace(/^CN=/, "");
  // A common name has at most 64 characters; the names that count are the others.
  const common = names[0]?.slice(0, 64) ?? "";
  return issue(pair, { issuer, subject: common, extensions, life, signer: authority.key });
}

interface NewKeys {
  readonly spki: Buffer;
  readonly key: string;
}

function newKeys(): NewKeys {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    spki: publicKey.export({ type: "spki", format: "der" }),
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

interface Contents {
  readonly issuer: string;
  readonly subject: string;
  readonly extensions: readonly Buffer[];
  readonly life: Life;
  readonly signer: string;
}

function issue(pair: NewKeys, contents: Contents): KeyPair {
  const { issuer, subject, extensions, life, signer } = contents;
  const version3 = der.tagged(0, der.integer(Buffer.from([2])), true);
  const body = der.sequence(
    version3,
    der.integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    SIGNATURE,
    nameOf(issuer),
    der.sequence(
      der.time(new Date(life.madeAt - BACKDATED_MS)),
      der.time(new Date(life.validUntil)),
    ),
    nameOf(subject),
    pair.spki,
    der.tagged(3, der.sequence(...extensions), true),
  );
  const signature = sign("sha256", body, { key: signer, dsaEncoding: "der" });
  const whole = der.sequence(body, SIGNATURE, der.bits(signature));
  return { cert: new X509Certificate(whole).toString(), key: pair.key };
}

const nameOf = (common: string): Buffer =>
  der.sequence(der.setOf(der.sequence(der.oid(OID.commonName), der.utf8(common))));

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  const critical = isCritical ? [der.boolean(true)] : [];
  return der.sequence(der.oid(id), ...critical, der.octets(value));
}

/** RFC 7093, method 1: 160 bits of the key's SHA-256. */
const keyId = (spki: Buffer): Buffer => createHash("sha256").update(spki).digest().subarray(0, 20);
