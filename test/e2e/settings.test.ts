/**
 * What a user may choose, in a real cluster: a store behind TLS and a password, a classic sidecar, one sidecar
 * for a whole node.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { makeCertificates } from "../support/certificates.ts";
import { STORE_HOST, ask, askAgain, needsCluster, noCluster, waitFor } from "./cluster.ts";
import { type Manifest, agentPod, agentSpec, secret } from "./pods.ts";
import {
  type Stage,
  type StageOptions,
  USAGE,
  CALL_MICROS,
  followBoth,
  openStage,
  operation,
  policyOf,
  saidAt,
} from "./stage.ts";
import { applyChart, inSystem, installChart, uninstallChart } from "./ways.ts";

beforeEach(needsCluster);

const INJECTED = { "imprest.dev/injection": "enabled" };

let stage: Stage | undefined;
const open = async (name: string, options: StageOptions): Promise<Stage> =>
  (stage = await openStage(name, options));
// Injectors that are there already take other values up only when the kubelet delivers them.
beforeAll(async () => {
  if (noCluster === undefined) await uninstallChart();
});
afterEach(async () => {
  if (noCluster !== undefined) return;
  await stage?.close();
  stage = undefined;
  await uninstallChart();
});

describe("a store that asks who comes", () => {
  test("password and certificates come from Secrets; a password is exchanged without a restart, and a wrong one spends nothing", async () => {
    const certificates = await makeCertificates();
    const tlsPort = 6380;
    const { ca, cert, key } = certificates;
    const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca];
    const { space } = await open("guarded", {
      labels: INJECTED,
      store: ["--tls-port", String(tlsPort), "--requirepass", "a-secret", ...files],
    });
    await installChart({
      store: {
        hosts: [`${STORE_HOST}:${tlsPort}`],
        passwordSecret: { name: "store-login" },
        tls: {
          enabled: true,
          secret: "store-tls",
          clientCertificate: true,
          serverName: "localhost", // what is in the server's certificate
        },
      },
    });
    const [authority = "", ours = "", ourKey = ""] = await Promise.all(
      [ca, cert, key].map((file) => readFile(file, "utf8")),
    );
    const tls = { "ca.crt": authority, "tls.crt": ours, "tls.key": ourKey };
    await space.mustApply(secret("store-tls", tls), secret("store-login", { password: "wrong" }));
    const tenant = space.name;
    await space.mustApply(agentPod("guest", { tenant }));
    const guest = await space.ready("guest");
    const refused = await ask(guest, "Consume", operation(tenant));
    expect(refused.verdict?.decision).toBe("DECISION_DENY");
    await space.mustApply(secret("store-login", { password: "a-secret" }));
    await waitFor("the right password", async () => {
      const { verdict } = await ask(guest, "Consume", operation(tenant));
      return verdict?.decision === "DECISION_ALLOW";
    });
    const sidecar = (await space.pod("guest")).status.initContainerStatuses?.[0];
    expect(sidecar?.restartCount).toBe(0);
    expect(await space.kubectl("logs", "guest", "-c", "imprest-sidecar")).not.toContain("a-secret");
    await certificates.remove();
  });
});

describe("a classic sidecar", () => {
  test("serves its agent until the pod's time is nearly over, and gives its leases back then", async () => {
    const { space, ledger } = await open("classic", { labels: INJECTED });
    await installChart();
    const tenant = space.name;
    const annotations = { "imprest.dev/mode": "classic" };
    await space.mustApply(agentPod("old", { tenant, annotations, linger: 4 }));
    const pod = await space.ready("old");
    expect(pod.spec.containers.map(({ name }) => name)).toEqual(["agent", "imprest-sidecar"]);
    // Its store was made a moment ago, and listens before it grants.
    const held = await waitFor("units", async () => {
      const answer = await ask(pod, "Reserve", operation(tenant));
      return answer.verdict?.decision === "DECISION_ALLOW" && answer;
    });
    const settled = await ask(pod, "Commit", { reservation_id: held.reservation_id, usage: USAGE });
    expect(settled.charged).toContainEqual({ meter: "usd_micros", units: String(CALL_MICROS) });
    const { agent, sidecar } = await followBoth(space, "old");
    await Promise.all([space.remove("old"), agent.ended, sidecar.ended]);
    expect(saidAt(sidecar.lines, "draining")).toBeGreaterThan(saidAt(agent.lines, "exit"));
    expect(saidAt(sidecar.lines, "drained")).toBeGreaterThan(0);
    expect(agent.lines).toContainEqual(
      expect.objectContaining({ what: "last call", decision: "DECISION_ALLOW" }),
    );
    expect(await ledger(tenant)).toMatchObject({ leased: 0, quarantined: 0 });
  });
});

describe("one sidecar a node", () => {
  /** An agent that mounts the node's socket. */
  const onNode = (name: string, tenant: string, folder: string): Manifest => {
    const [agent] = agentSpec({ tenant }).containers;
    const env = [
      { name: "TENANT", value: tenant },
      { name: "IMPREST_SOCKET", value: "unix:/run/imprest/imprest.sock" },
    ];
    const volumeMounts = [{ name: "imprest", mountPath: "/run/imprest", readOnly: true }];
    const spec = {
      ...agentSpec({ tenant }),
      containers: [{ ...agent, env, volumeMounts }],
      volumes: [{ name: "imprest", hostPath: { path: folder, type: "Directory" } }],
    };
    return { ...agentPod(name, { tenant }), spec };
  };

  test("serves all pods that mount its socket, for its tenant alone, and its successor goes on from the journal", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "imprest-node-"));
    const socketPath = path.join(folder, "run");
    // A hostPath is for namespaces that may have one.
    const { space, ledger } = await open("node", {
      labels: { "pod-security.kubernetes.io/enforce": "privileged" },
    });
    const tenant = "of-the-node";
    await applyChart({
      injector: { enabled: false },
      backstop: { enabled: false },
      policy: { configMap: "node-policy", document: policyOf(1, "$1000") },
      daemonSet: { enabled: true, tenant, socketPath, journalPath: path.join(folder, "journal") },
    });
    await space.mustApply(onNode("one", tenant, socketPath), onNode("two", tenant, socketPath));
    const [one, two] = await Promise.all(["one", "two"].map((name) => space.ready(name)));
    if (one === undefined || two === undefined) throw new Error("no pods");
    const held = await ask(one, "Reserve", operation(tenant));
    expect(held.verdict?.decision).toBe("DECISION_ALLOW");
    expect((await ask(two, "Check", operation("another"))).error).toBe("PERMISSION_DENIED");
    await inSystem("rollout", "restart", "daemonset/imprest-node");
    await inSystem("rollout", "status", "daemonset/imprest-node", "--timeout=60s");
    const commit = { reservation_id: held.reservation_id, usage: USAGE };
    const settled = await askAgain(two, "Commit", commit);
    expect(settled.verdict?.decision).toBe("DECISION_ALLOW");
    expect((await ledger(tenant)).holders).toHaveLength(1);
    await rm(folder, { recursive: true, force: true });
  });
});
