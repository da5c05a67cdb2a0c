import { X509Certificate } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createApiClient, type ApiClient } from "../../../../src/adapters/kubernetes/api-client.ts";
import {
  keepCertificates,
  type Certificates,
} from "../../../../src/adapters/kubernetes/certificates.ts";
import type { Leaf } from "../../../../src/adapters/kubernetes/keyring.ts";
import { startFakeApiServer, type FakeApiServer } from "../../../support/fake-api-server.ts";
import type { Log } from "../../../../src/ports/log.ts";
import { createManualClock, type ManualClock } from "../../../support/manual-clock.ts";
import { eventually } from "../../../support/eventually.ts";
import { SILENT } from "../../../support/silence.ts";

const SECRET = "/api/v1/namespaces/system/secrets/tls";
const WEBHOOK = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/injector";
const NAMES = ["injector.system.svc", "injector"];
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const TIMES = { caLifetimeMs: 365 * DAY, leafLifetimeMs: 7 * DAY, overlapMs: HOUR };

let server: FakeApiServer;
let api: ApiClient;
let clock: ManualClock;
const all: Certificates[] = [];
/** Errors of the log. */
const told: string[] = [];
const log: Log = {
  ...SILENT,
  error: ({ err }) => void told.push(err instanceof Error ? err.message : ""),
};

beforeEach(async () => {
  server = await startFakeApiServer();
  api = createApiClient(server.access);
  clock = createManualClock(Date.UTC(2026, 10, 21));
  server.put(SECRET, { metadata: { name: "tls" }, type: "Opaque" });
  wipe();
});
afterEach(async () => {
  for (const each of all.splice(0)) each.stop();
  api.close();
  await server.close();
});

function start(isLeader = true): { readonly certificates: Certificates; readonly served: Leaf[] } {
  const served: Leaf[] = [];
  const certificates = keepCertificates({
    ...{ api, clock, log, namespace: "system", secret: "tls", webhook: "injector" },
    names: NAMES,
    times: () => TIMES,
    isLeader: () => isLeader,
    serve: (leaf) => void served.push(leaf),
  });
  all.push(certificates);
  return { certificates, served };
}

/** As a chart leaves it, or somebody's `apply`. */
function wipe(): void {
  const entry = (name: string) => ({ name, clientConfig: { service: { name: "injector" } } });
  server.put(WEBHOOK, {
    metadata: { name: "injector" },
    webhooks: [entry("namespace.injector"), entry("pod.injector")],
  });
}
interface Entry {
  readonly clientConfig: { readonly caBundle?: string };
}
const bundles = (): readonly string[] => {
  const entries = (server.get(WEBHOOK)?.["webhooks"] ?? []) as readonly Entry[];
  return entries.map(({ clientConfig }) =>
    Buffer.from(clientConfig.caBundle ?? "", "base64").toString(),
  );
};
const authorities = (): readonly string[] =>
  (bundles()[0] ?? "").match(/-----BEGIN[^]*?-----END CERTIFICATE-----\n/g) ?? [];
const isTrusted = (leaf: Leaf | undefined): boolean =>
  leaf !== undefined &&
  authorities().some((ca) =>
    new X509Certificate(leaf.cert).verify(new X509Certificate(ca).publicKey),
  );
const annotate = (value: string): void => {
  const secret = server.get(SECRET);
  if (secret === undefined) throw new Error("no Secret");
  const { metadata } = secret;
  server.put(SECRET, {
    ...secret,
    metadata: { ...metadata, annotations: { "imprest.dev/rotate": value } },
  });
};
/** Lets time pass in steps that the keeper looks at. */
async function pass(ms: number, until: () => boolean): Promise<void> {
  for (let left = ms; left > 0 && !until(); left -= 60_000) {
    clock.advance(60_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually(until);
}

describe("the leader", () => {
  test("KC1, KC3: makes an authority from nothing and writes it to every entry", async () => {
    const { certificates, served } = start();
    expect([certificates.isInSync(), certificates.servedUntil()]).toEqual([false, undefined]);
    expect(certificates.problem()).toContain("holds no usable certificate");
    await eventually(certificates.isInSync);
    expect(new Set(bundles()).size).toBe(1);
    expect(authorities()).toHaveLength(1);
    expect(isTrusted(served.at(-1))).toBe(true);
    expect(certificates.problem()).toBe("");
    expect(new X509Certificate(served[0]?.cert ?? "").checkHost(NAMES[0] ?? "")).toBe(NAMES[0]);
  });

  test("KC1: puts a caBundle back that somebody wiped", async () => {
    const { certificates } = start();
    await eventually(certificates.isInSync);
    const before = bundles();
    wipe();
    await eventually(() => bundles().every((bundle) => bundle !== ""));
    expect(bundles()).toEqual(before);
  });

  test("RT1, RT2: an operator's wish leads to a new authority, with both trusted on the way", async () => {
    const { certificates, served } = start();
    await eventually(certificates.isInSync);
    const [old = ""] = authorities();
    annotate("now");
    await eventually(() => authorities().length === 2);
    expect(authorities()[0]).toBe(old);
    expect(served).toHaveLength(1);
    await pass(2 * HOUR, () => served.length === 2 && authorities()[1] === old);
    expect(isTrusted(served[1])).toBe(true);
    await pass(2 * HOUR, () => authorities().length === 1);
    expect(authorities()).not.toContain(old);
    expect(isTrusted(served[1])).toBe(true);
  });

  test("what a Secret held that was wiped stays trusted, for replicas that still serve it", async () => {
    const { certificates, served } = start();
    await eventually(certificates.isInSync);
    const [old = ""] = authorities();
    server.put(SECRET, { metadata: { name: "tls" }, type: "Opaque" });
    await eventually(() => served.length === 2 && authorities().length === 2);
    expect(authorities()[1]).toBe(old);
    expect(isTrusted(served[1])).toBe(true);
  });

  test("KC3: goes on while its Secret is gone, says how to put it back, and fills it then", async () => {
    const { certificates, served } = start();
    await eventually(certificates.isInSync);
    const [old = ""] = authorities();
    server.remove(SECRET);
    const late = start(false).certificates;
    await eventually(() => late.problem().includes("kubectl -n system create secret generic tls"));
    expect([certificates.isInSync(), certificates.problem()]).toEqual([true, ""]);
    expect(late.isInSync()).toBe(false);
    expect(told.at(-1)).toContain("there is no Secret tls in namespace system; make an empty one");
    expect(server.asked.filter((line) => line.startsWith("POST"))).toEqual([]);
    server.put(SECRET, { metadata: { name: "tls" }, type: "Opaque" });
    await eventually(() => served.length === 2 && late.isInSync());
    expect(authorities()[1]).toBe(old);
  });
});

describe("another replica", () => {
  test("KC2: serves what the Secret holds and follows it, and writes nothing", async () => {
    const follower = start(false);
    const leader = start();
    await eventually(follower.certificates.isInSync);
    expect(follower.served.at(-1)?.cert).toBe(leader.served.at(-1)?.cert);
    const writes = server.asked.filter((line) => !line.startsWith("GET"));
    expect(writes).toEqual([`PUT ${SECRET}`, `PATCH ${WEBHOOK}`]);
  });

  test("KC3: is out of sync while the live caBundle does not trust what it serves", async () => {
    const leader = start();
    await eventually(leader.certificates.isInSync);
    for (const each of all.splice(0)) each.stop();
    const { certificates } = start(false);
    await eventually(certificates.isInSync);
    wipe();
    await eventually(() => !certificates.isInSync());
    expect(certificates.problem()).toBe("the caBundle of injector does not trust what is served");
  });
});
