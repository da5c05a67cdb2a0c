/** What every subcommand that talks to a running sidecar shares: where it is, how to ask, how errors end. */
import { readFile } from "node:fs/promises";
import { formatAddress } from "../adapters/grpc/address.ts";
import { isLoopback, peerAddress } from "./address.ts";
import { CallError } from "./call-error.ts";
import type { QuotaConnection } from "./client.ts";
import type { Exits, Found } from "./command.ts";
import type { Problem } from "./configuration.ts";
import { defaulted, optional, pending, toggle, type Values } from "./flag.ts";
import type { Host } from "./host.ts";
import { duration, text } from "./reader.ts";

export const CONNECTION_FLAGS = {
  address: {
    ...defaulted(
      "ADDRESS",
      "unix:/run/imprest/imprest.sock",
      "Where the sidecar listens: unix:PATH or HOST:PORT.",
      peerAddress,
    ),
    furtherVariable: "IMPREST_SOCKET",
  },
  timeout: defaulted("DURATION", "10s", "Longest wait for an answer.", duration(1, 3_600_000)),
  "api-key-file": optional("FILE", "Holds the API key, sent as x-api-key.", text),
  "tls-ca": pending("FILE", "Who signed the sidecar's certificate."),
  json: toggle("Print the answer as proto3 JSON, on one line."),
};

export const CALL_EXITS: Exits = {
  0: "answered",
  1: "an error: the sidecar could not be reached, or refused to decide",
  2: "a configuration error; nothing was asked",
};

export const DECISION_EXITS: Exits = { ...CALL_EXITS, 0: "allowed", 3: "denied" };

/** A key must not cross a network in the clear. */
export function checkConnection({
  values,
}: Pick<Found<typeof CONNECTION_FLAGS>, "values">): readonly Problem[] {
  const { address } = values;
  if (values["api-key-file"] === undefined || address === undefined || isLoopback(address))
    return [];
  return [
    {
      where: "--api-key-file",
      found: `an address beyond this machine, ${formatAddress(address)}`,
      allowed: "unix:PATH and loopback: this version does not have TLS yet",
    },
  ];
}

/**
 * Connects, lets `use` ask, and ends the connection. Resolves with the exit status of `use`, or 1 after a line
 * on standard error where the sidecar answered with an error.
 */
export async function withSidecar(
  host: Host,
  name: string,
  values: Values<typeof CONNECTION_FLAGS>,
  use: (connection: QuotaConnection) => Promise<number>,
): Promise<number> {
  const keyFile = values["api-key-file"];
  const apiKey = keyFile === undefined ? undefined : await readKey(keyFile);
  if (apiKey instanceof Error) {
    host.stderr.write(
      `imprest ${name}: a configuration error\n  --api-key-file: ${apiKey.message}; allowed: a file that holds a key, one line\n`,
    );
    return 2;
  }
  const { address, timeout } = values;
  // Only now: help and configuration errors need no gRPC.
  const { connect } = await import("./client.ts");
  const connection = connect({ address, timeoutMs: timeout, apiKey, root: host.root });
  try {
    return await use(connection);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    host.stderr.write(`imprest ${name}: ${error.message}\n`);
    return 1;
  } finally {
    connection.close();
  }
}

/** An error without the file's content, which is a secret. */
async function readKey(path: string): Promise<string | Error> {
  try {
    const key = (await readFile(path, "utf8")).trim();
    return /^[\x21-\x7e]+$/.test(key) ? key : new Error("found something that is no key");
  } catch (error) {
    return new Error(`found ${error instanceof Error ? error.message : String(error)}`);
  }
}
