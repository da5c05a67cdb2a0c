/** Certificates that nobody but a test trusts, made by openssl. */
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export const noOpenssl: string | undefined =
  spawnSync("openssl", ["version"]).status === 0 ? undefined : "no openssl here";

export interface Certificates {
  /** Paths of files. The server's is for localhost and 127.0.0.1. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  remove(): Promise<void>;
}

export async function makeCertificates(): Promise<Certificates> {
  const folder = await mkdtemp(path.join(tmpdir(), "imprest-tls-"));
  const at = (name: string): string => path.join(folder, name);
  const openssl = (...words: readonly string[]) => run("openssl", words);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await openssl(
    ...["req", "-x509", ...newKey, "-keyout", at("ca.key"), "-out", at("ca.pem")],
    ...["-days", "2", "-subj", "/CN=test authority"],
  );
  await openssl(
    ...["req", ...newKey, "-keyout", at("server.key"), "-out", at("server.csr")],
    ...["-subj", "/CN=localhost"],
  );
  await writeFile(at("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  await openssl(
    ...["x509", "-req", "-in", at("server.csr"), "-CA", at("ca.pem"), "-CAkey", at("ca.key")],
    ...["-CAcreateserial", "-days", "2", "-extfile", at("names"), "-out", at("server.pem")],
  );
  return {
    ca: at("ca.pem"),
    cert: at("server.pem"),
    key: at("server.key"),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
