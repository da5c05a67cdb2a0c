/**
 * The sidecars that the demo plays on: one that keeps its units itself, or several that share a store.
 *
 *   IR1  nothing that another run left in the store counts in this one: accounts of tenants are kept under uids,
 *        and that of the platform under a name, that nobody used before.
 *   IR2  when it is over no sidecar has anything: each is drained, which returns its leases.
 */
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type FleetSidecar, startSidecar } from "../../compose/fleet.ts";
import type { StoreConfig } from "../../compose/store-config.ts";
import {
  Decision,
  DenyReason,
  QuotaServiceService,
  ReleaseRequest,
  ReserveRequest,
} from "../../gen/imprest/v1/quota.ts";
import { connect, type QuotaConnection } from "../client.ts";
import { packageVersion } from "../version.ts";
import { tenantNames } from "./traffic.ts";
import { ACCOUNT_LIMIT } from "./unguarded.ts";

/** A sidecar that takes longer than this, in the same process, is taken for lost. */
const DEADLINE_MS = 10_000;
/** A store that has lost or restarted something gives nothing for at most this long. */
const READY_MS = 20_000;
const AGAIN_MS = 100;

export interface FleetPlan {
  /** The package's folder. */
  readonly root: URL;
  /** For sockets and documents; goes away with whoever made it. */
  readonly folder: string;
  readonly policy: string;
  readonly replicas: number;
  readonly store: StoreConfig;
}

export interface Replicas {
  /** To each, in order. */
  readonly quotas: readonly QuotaConnection[];
  /** Drains all but the first, which then sees what all of them have spent. */
  readonly leaveOne: () => Promise<void>;
}

/** Resolves with what `use` does, when all are drained (IR2). */
export async function withReplicas<T>(
  { root, folder, policy, replicas, store }: FleetPlan,
  use: (replicas: Replicas) => Promise<T>,
): Promise<T> {
  const version = packageVersion(root);
  const sidecars: FleetSidecar[] = [];
  const quotas: QuotaConnection[] = [];
  const drainFrom = async (first: number): Promise<void> => {
    for (const quota of quotas.splice(first)) quota.close();
    await Promise.all(sidecars.splice(first).map((sidecar) => sidecar.stop()));
  };
  try {
    for (let n = 1; n <= replicas; n++) {
      const sidecar = await startSidecar({ version, policy, folder, holder: `demo-${n}`, store });
      sidecars.push(sidecar);
      quotas.push(
        connect({ address: sidecar.address, timeoutMs: DEADLINE_MS, apiKey: undefined, root }),
      );
    }
    if (store.kind === "redis") await Promise.all(quotas.map(awaitUnits));
    return await use({ quotas, leaveOne: () => drainFrom(1) });
  } finally {
    await drainFrom(0);
  }
}

/** The document for a store that others use too, under names of its own (IR1), and what the account is called there. */
export async function writeSharedPolicy(
  policy: string,
  folder: string,
): Promise<{ readonly policy: string; readonly accountLimit: string }> {
  const run = randomBytes(4).toString("hex");
  const accountLimit = `${ACCOUNT_LIMIT}-${run}`;
  const text = await readFile(policy, "utf8");
  const tenants = tenantNames().map((name) => `  ${name}: {uid: ${name}.demo-${run}}\n`);
  const shared = join(folder, "shared.yaml");
  await writeFile(
    shared,
    `revision: 1\n${text.replace(ACCOUNT_LIMIT, accountLimit)}\ntenants:\n${tenants.join("")}`,
  );
  return { policy: shared, accountLimit };
}

/** Resolves once every tenant gets units: a store that restarted a moment ago gives none yet. */
async function awaitUnits(quota: QuotaConnection): Promise<void> {
  const until = performance.now() + READY_MS;
  await Promise.all(tenantNames().map((tenant) => tryOnce(quota, tenant, until)));
}

async function tryOnce(quota: QuotaConnection, tenant: string, until: number): Promise<void> {
  const request = ReserveRequest.fromPartial({
    subject: { tenant },
    action: { kind: "demo.try" },
    amounts: [{ meter: "usd_micros", units: 1n }],
  });
  for (;;) {
    const { message: held } = await quota.call(QuotaServiceService.reserve, request);
    if (held.verdict?.decision === Decision.ALLOW) {
      const release = ReleaseRequest.fromPartial({ reservationId: held.reservationId });
      await quota.call(QuotaServiceService.release, release);
      return;
    }
    const { reason, message = "" } = held.verdict?.denial ?? {};
    const mayCome = reason === DenyReason.LEASE_PENDING || reason === DenyReason.STORE_UNAVAILABLE;
    if (!mayCome || performance.now() > until) {
      throw new Error(`the store gives no units to begin with: ${message}`);
    }
    await sleep(AGAIN_MS);
  }
}
