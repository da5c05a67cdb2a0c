/**
 * How connections are made: the one place that configures ioredis. Its defaults resend what was in flight when a
 * connection broke, and queue what is sent while there is none; both are off (DL1), because whoever sent a message
 * decides what becomes of it.
 *
 *   DL1  A command is written to one connection, once, and to none where there is none.
 *   DL2  The password and the certificates are read again before every attempt, so that they can be exchanged.
 */
import { readFileSync } from "node:fs";
import type { ConnectionOptions as TlsOptions } from "node:tls";
import { Redis, type RedisOptions } from "ioredis";
import type { Rng } from "../../ports/rng.ts";
import type { StoreHost, StoreUrl } from "./store-url.ts";

/** No byte for so long where one is due: the connection is given up. A server that takes 2 s is still heard. */
export const SILENCE_MS = 5_000;
const CONNECT_TIMEOUT_MS = 3_000;
const LONGEST_BACKOFF_MS = 2_000;

export interface DialOptions {
  readonly url: StoreUrl;
  /** Path; "": the password is in the address, or there is none. */
  readonly passwordFile: string;
  /** How the server's list of clients names this one. */
  readonly label: string;
  readonly rng: Rng;
}

export interface Dial {
  /** Not yet connected. The primary behind the address, or one node of a Cluster. */
  create(node?: StoreHost): Redis;
  /** Milliseconds before the n-th attempt in a row; n from 1. */
  backoff(attempt: number): number;
}

interface Secrets {
  readonly password: string;
  readonly tls: TlsOptions | undefined;
}

/** @throws where the password file or a certificate cannot be read; the message names the file */
export function createDial({ url, passwordFile, label, rng }: DialOptions): Dial {
  let secrets = readSecrets(url, passwordFile);

  const renew = (): Secrets => {
    try {
      secrets = readSecrets(url, passwordFile);
    } catch {
      // In the middle of an exchange a file may be gone; the last one that was read is tried again.
    }
    return secrets;
  };

  const backoff = (attempt: number): number =>
    Math.ceil(
      Math.min(LONGEST_BACKOFF_MS, 50 * 2 ** Math.min(attempt - 1, 10)) * (0.5 + rng.next() / 2),
    );

  const common = (): RedisOptions => ({
    lazyConnect: true,
    protocol: 2,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    // Of a broken connection every command fails at once.
    maxRetriesPerRequest: 0,
    retryStrategy: backoff,
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_MS,
    disconnectTimeout: 200,
    keepAlive: 5_000,
    connectionName: `imprest:${label.replaceAll(/[^A-Za-z0-9_.:@-]/g, "-")}`,
    disableClientInfo: true,
    // A heartbeat tells more, and a refused INFO would be printed on standard error.
    enableReadyCheck: false,
    db: url.database,
    ...(url.username === "" ? {} : { username: url.username }),
    ...(secrets.password === "" ? {} : { password: secrets.password }),
    ...(secrets.tls === undefined ? {} : { tls: secrets.tls }),
  });

  const sentinels = (): RedisOptions => ({
    sentinels: url.hosts.map(({ host, port }) => ({ host, port })),
    name: url.name,
    role: "master",
    // Of the server that a Sentinel names: it may not know yet that it is no longer the primary.
    enableReadyCheck: true,
    sentinelRetryStrategy: backoff,
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    ...(secrets.tls === undefined
      ? {}
      : { enableTLSForSentinelMode: true, sentinelTLS: secrets.tls }),
    ...(url.sentinelLogin && url.username !== "" ? { sentinelUsername: url.username } : {}),
    ...(url.sentinelLogin ? { sentinelPassword: secrets.password } : {}),
  });

  return {
    backoff,
    create(node) {
      renew();
      const [first = { host: "", port: 0 }] = url.hosts;
      const target: RedisOptions = url.kind === "sentinel" ? sentinels() : (node ?? first);
      const redis = new Redis({ ...common(), ...target, replyMapping: "legacy" });
      redis.on("reconnecting", () => {
        const { password, tls } = renew();
        if (password !== "") redis.options.password = password; // (DL2)
        if (tls !== undefined) redis.options.tls = tls;
      });
      return redis;
    },
  };
}

function readSecrets(url: StoreUrl, passwordFile: string): Secrets {
  const password =
    passwordFile === "" ? url.password : readFileSync(passwordFile, "utf8").replace(/\r?\n$/, "");
  if (url.tls === undefined) return { password, tls: undefined };
  const { ca, cert, key, servername } = url.tls;
  return {
    password,
    tls: {
      minVersion: "TLSv1.2",
      ...(ca === "" ? {} : { ca: readFileSync(ca) }),
      ...(cert === "" ? {} : { cert: readFileSync(cert), key: readFileSync(key) }),
      ...(servername === "" ? {} : { servername }),
    },
  };
}
