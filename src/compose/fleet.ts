/** Sidecars for whoever wants some without an operator: the demo, the benchmark, tests. */
import { join } from "node:path";
import type { UnixAddress } from "../adapters/grpc/address.ts";
import { createSidecar } from "./sidecar.ts";
import { SIDECAR_DEFAULTS } from "./sidecar-config.ts";
import type { StoreConfig } from "./store-config.ts";

export interface FleetOptions {
  /** Of the program. */
  readonly version: string;
  /** Path of the policy document. */
  readonly policy: string;
  /** Where the socket goes; short, since a socket's path holds 107 bytes at most. */
  readonly folder: string;
  /** Its label, and its socket's name: another one for each of a folder. */
  readonly holder: string;
  readonly store: StoreConfig;
}

export interface FleetSidecar {
  readonly address: UnixAddress;
  /** Drains it. */
  stop(): Promise<void>;
}

/** A whole sidecar in this process, silent, on a unix socket; its other listeners take any free port. */
export async function startSidecar(options: FleetOptions): Promise<FleetSidecar> {
  const { version, policy, folder, holder, store } = options;
  const address = { kind: "unix", path: join(folder, `${holder}.sock`) } as const;
  const anyPort = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
  const sidecar = createSidecar({
    ...SIDECAR_DEFAULTS,
    version,
    policy,
    listen: [address],
    health: anyPort,
    http: anyPort,
    store,
    holder,
    logLevel: "silent",
  });
  await sidecar.start();
  return { address, stop: () => sidecar.drain() };
}
