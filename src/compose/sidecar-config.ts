/** Everything that the sidecar is told before it starts. The command line parses flags into it. */
import type { ListenAddress, TcpAddress } from "../adapters/grpc/address.ts";
import type { DurationMs } from "../core/time.ts";
import type { StoreConfig } from "./store-config.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface SidecarConfig {
  /** Of the program, for the log and `imprest_build_info`. */
  readonly version: string;
  /** Path of the policy document. */
  readonly policy: string;
  /** Where QuotaService answers, with health and reflection; at least one. */
  readonly listen: readonly ListenAddress[];
  /** Permission bits of unix sockets, 0 … 0o777. */
  readonly socketMode: number;
  /** Group of unix sockets, by name or number; "": the group of the process. */
  readonly socketGroup: string;
  /** grpc.health.v1 alone. */
  readonly health: TcpAddress;
  /** /livez, /readyz, /metrics. */
  readonly http: TcpAddress;
  readonly store: StoreConfig;
  /** Longest wait of a request for the store. */
  readonly waitMs: DurationMs;
  /** The one tenant that is served; "": every tenant. */
  readonly tenant: string;
  /** A label in logs and balances, not an identity. */
  readonly holder: string;
  /** After this long a drain no longer waits for anybody. */
  readonly drainTimeoutMs: DurationMs;
  /** Folder of the journal; "": none is kept. */
  readonly journal: string;
  /** How often the journal is synced to the device. */
  readonly journalSyncMs: DurationMs;
  /** Most idempotency keys and settled answers that are remembered. */
  readonly idempotencyKeys: number;
  /** Tenants whose decisions are counted by name. */
  readonly metricsTenants: readonly string[];
  readonly logLevel: LogLevel;
}

/** What cli.md says where a flag is absent; `version`, `policy` and `holder` have no default. */
export const SIDECAR_DEFAULTS = {
  listen: [
    { kind: "unix", path: "/run/imprest/imprest.sock" },
    { kind: "tcp", host: "127.0.0.1", port: 4600 },
  ],
  socketMode: 0o666,
  socketGroup: "",
  health: { kind: "tcp", host: "0.0.0.0", port: 4601 },
  http: { kind: "tcp", host: "0.0.0.0", port: 4602 },
  store: { kind: "memory" },
  waitMs: 250,
  tenant: "",
  drainTimeoutMs: 1_500,
  journal: "",
  journalSyncMs: 1_000,
  idempotencyKeys: 100_000,
  metricsTenants: [],
  logLevel: "info",
} as const satisfies Omit<SidecarConfig, "version" | "policy" | "holder">;

/**
 * Nothing was started, and the operator has to change something: a policy with errors, an address in use, a
 * live socket. The command prints every problem and exits with status 2.
 */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("; "));
    this.problems = problems;
  }
}

/** Another process has what belongs to one alone. The command says so and exits with status 1. */
export class InUseError extends Error {
  override readonly name = "InUseError";
}
