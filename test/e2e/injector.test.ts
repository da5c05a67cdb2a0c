/** The chart, installed by helm, and its injector: who gets a sidecar, who is refused and why, and what the injector lives through. */
import { once } from "node:events";
import { connect } from "node:tls";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  ask,
  kubectl,
  needsCluster,
  noCluster,
  openNamespace,
  succeed,
  waitFor,
} from "./cluster.ts";
import {
  type AgentOptions,
  type Manifest,
  type Pod,
  agentDeployment,
  agentPod,
  agentSpec,
} from "./pods.ts";
import { type Stage, USAGE, openStage, operation } from "./stage.ts";
import { helm, inSystem, installChart, uninstallChart } from "./ways.ts";

const WEBHOOK = "imprest-injector";
const ANYONE = { "pod-security.kubernetes.io/enforce": "privileged" };

let stage: Stage;
beforeAll(async () => {
  if (noCluster !== undefined) return;
  stage = await openStage("injected", {
    labels: { "imprest.dev/injection": "enabled" },
    annotations: { "imprest.dev/tenants": "chosen" },
  });
  // Afresh: while one authority is being handed over to the next, no other is begun.
  await uninstallChart();
  await installChart();
});
afterAll(() => stage?.close());
beforeEach(needsCluster);

/** A pod of the namespace's own tenant, unless it says otherwise. */
const aPod = (name: string, more: Partial<AgentOptions> = {}): Manifest =>
  agentPod(name, { tenant: stage.space.name, ...more });

const firstOf = (pod: Pod): string | undefined => pod.spec.initContainers?.[0]?.name;

/** As the API server would store it: a dry run goes through the webhook too. */
async function tryOut(manifest: Manifest, namespace = stage.space.name): Promise<Pod> {
  const words = ["-n", namespace, "create", "--dry-run=server", "-o", "json", "-f", "-"];
  return JSON.parse(await succeed(["kubectl", ...words], JSON.stringify(manifest)));
}

async function caBundles(): Promise<string[]> {
  const hook = JSON.parse(
    await kubectl("get", "mutatingwebhookconfiguration", WEBHOOK, "-o", "json"),
  );
  return hook.webhooks.map(
    ({ clientConfig }: { clientConfig: { caBundle?: string } }) => clientConfig.caBundle ?? "",
  );
}

/** The fingerprint of what the webhook's Service shows. */
async function servedCertificate(): Promise<string> {
  const host = await inSystem("get", "service", WEBHOOK, "-o", "jsonpath={.spec.clusterIP}");
  const socket = connect({ host, port: 443, rejectUnauthorized: false }); // who trusts it is the API server's affair
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

const injectorPods = async (): Promise<string[]> =>
  (await inSystem("get", "pods", "-o", "name"))
    .split("\n")
    .filter((name) => name.includes("imprest-injector"));

describe("who gets a sidecar", () => {
  test("a pod of a namespace that opted in: first of its init containers, labelled, and of the namespace's tenant", async () => {
    await stage.space.mustApply(aPod("plain"));
    const pod = await stage.space.ready("plain");
    expect(firstOf(pod)).toBe("imprest-sidecar");
    expect(pod.metadata.labels).toMatchObject({ "imprest.dev/injected": "true" });
    expect(JSON.parse(pod.metadata.annotations?.["imprest.dev/status"] ?? "{}")).toMatchObject({
      mode: "native",
      profile: "default",
      tenant: stage.space.name,
    });
    // Its store was made a moment ago, and listens before it grants.
    const held = await waitFor("units", async () => {
      const answer = await ask(pod, "Reserve", operation(stage.space.name));
      return answer.verdict?.decision === "DECISION_ALLOW" && answer;
    });
    const settled = await ask(pod, "Commit", { reservation_id: held.reservation_id, usage: USAGE });
    expect(settled.verdict?.decision).toBe("DECISION_ALLOW");
    expect((await ask(pod, "Check", operation("chosen"))).error).toBe("PERMISSION_DENIED");
  });

  test("a pod that says so itself, in a namespace that says nothing; no other pod there", async () => {
    const space = await openNamespace("says-nothing");
    const asks = await tryOut(
      aPod("asks", { labels: { "imprest.dev/inject": "true" } }),
      space.name,
    );
    const does = await tryOut(aPod("does-not"), space.name);
    expect([firstOf(asks), firstOf(does)]).toEqual(["imprest-sidecar", undefined]);
    await space.close();
  });

  test("not a pod that declines, nor any of a namespace that is excluded", async () => {
    const declines = aPod("declines", { labels: { "imprest.dev/inject": "false" } });
    expect(firstOf(await tryOut(declines))).toBeUndefined();
    const system = aPod("system", { labels: { "imprest.dev/inject": "true" } });
    expect(firstOf(await tryOut(system, "kube-system"))).toBeUndefined();
  });

  test("a pod with init containers of its own: they come after it, and may spend", async () => {
    const own = aPod("own-init");
    const [agent] = agentSpec({ tenant: stage.space.name, once: true }).containers;
    const spec = { ...(own["spec"] as object), initContainers: [{ ...agent, name: "before" }] };
    await stage.space.mustApply({ ...own, spec });
    const pod = await stage.space.ready("own-init");
    expect(pod.spec.initContainers?.map(({ name }) => name)).toEqual(["imprest-sidecar", "before"]);
    const said = await stage.space.said("own-init", "before");
    expect(said.map(({ what }) => what)).toEqual(["started", "reserved", "committed"]);
  });

  test("not a pod of the host's network, and an Event on its owner says why", async () => {
    const space = await openNamespace("host-network", {
      labels: { ...ANYONE, "imprest.dev/injection": "enabled" },
    });
    const onTheHost = agentDeployment("on-the-host", 1, { tenant: space.name, hostNetwork: true });
    await space.mustApply(onTheHost);
    const pod = await waitFor("the pod", async () => (await space.pods("app=on-the-host"))[0]);
    expect(firstOf(pod)).toBeUndefined();
    const told = await waitFor("the Event", async () => {
      const { items } = JSON.parse(await space.kubectl("get", "events", "-o", "json"));
      return items.find(({ message }: { message: string }) => message.startsWith("no sidecar: "));
    });
    expect(told).toMatchObject({
      type: "Warning",
      reason: "ImprestSidecarSkipped",
      involvedObject: { kind: "ReplicaSet" },
    });
    await space.close();
  });
});

describe("what is refused, with words that help", () => {
  test("an annotation that is none: the answer lists those that are", async () => {
    const typo = aPod("typo", { annotations: { "imprest.dev/log-levle": "debug" } });
    const { status, stderr } = await stage.space.apply(typo);
    expect(status).toBe(1);
    expect(stderr).toContain("imprest.dev/log-levle");
    expect(stderr).toContain("imprest.dev/log-level");
  });

  test("a value that is none", async () => {
    const wrong = aPod("wrong", { annotations: { "imprest.dev/log-level": "loud" } });
    const { status, stderr } = await stage.space.apply(wrong);
    expect(status).toBe(1);
    expect(stderr).toContain("loud");
  });

  test("another namespace's tenant, unless the namespace lists it", async () => {
    const theirs = aPod("theirs", { labels: { "imprest.dev/tenant": "somebody-else" } });
    const { status, stderr } = await stage.space.apply(theirs);
    expect(status).toBe(1);
    expect(stderr).toContain("somebody-else");
    const listed = aPod("listed", { labels: { "imprest.dev/tenant": "chosen" } });
    expect(firstOf(await tryOut(listed))).toBe("imprest-sidecar");
  });
});

/** Brief, so that what takes hours is seen; and kept, since an authority of two days is old for one of a year. */
const certificates = { caLifetime: "2d", leafLifetime: "1h", overlap: "8s" };

describe("what the injector lives through", () => {
  test("one of two killed: no pod is refused, and none goes without", async () => {
    const [victim = ""] = await injectorPods();
    const killing = inSystem("delete", victim, "--grace-period=0", "--force");
    for (let n = 0; n < 20; n += 1) {
      expect(firstOf(await tryOut(aPod(`killed-${n}`)))).toBe("imprest-sidecar");
    }
    await killing;
    await inSystem("rollout", "status", "deployment/imprest-injector");
  });

  test("a new certificate authority is trusted, then serves, and the old one goes; no pod is refused meanwhile", async () => {
    await installChart({ injector: { certificates } });
    const [old = ""] = await caBundles();
    const oldLeaf = await servedCertificate();
    const now = `imprest.dev/rotate=${Date.now()}`;
    await inSystem("annotate", "secret", `${WEBHOOK}-tls`, "--overwrite", now);
    const seen: string[] = [];
    await waitFor("the new authority alone", async () => {
      expect(firstOf(await tryOut(aPod(`rotated-${seen.length}`)))).toBe("imprest-sidecar");
      const [bundle = ""] = await caBundles();
      const authorities = Buffer.from(bundle, "base64").toString().split("BEGIN").length - 1;
      const leaf = (await servedCertificate()) === oldLeaf ? "old" : "new";
      const state = `${authorities} trusted, the ${leaf} serves`;
      if (state !== seen.at(-1)) seen.push(state);
      return authorities === 1 && bundle !== old;
    });
    // Both replicas read of a new certificate in their own time: for a moment either may answer.
    expect(seen[0]).toMatch(/^[12] trusted, the old serves$/);
    expect(seen).toContain("2 trusted, the old serves");
    expect(seen).toContain("2 trusted, the new serves");
    expect(seen.at(-1)).toBe("1 trusted, the new serves");
  });

  test("what `helm test` looks at", async () => {
    expect(await helm(["test", "imprest", "--timeout", "60s"])).toContain("Succeeded");
  });

  test("what it finds: a pod that is older than its namespace's label, and what to do", async () => {
    const space = await openNamespace("late");
    const [agent] = agentSpec({ tenant: space.name }).containers;
    const env = [{ name: "IMPREST_SOCKET", value: "unix:/nowhere" }];
    const older = aPod("older");
    const spec = { ...(older["spec"] as object), containers: [{ ...agent, env }] };
    await space.mustApply({ ...older, spec });
    await space.ready("older");
    await kubectl("label", "namespace", space.name, "imprest.dev/injection=enabled");
    await expect(helm(["test", "imprest", "--timeout", "60s"])).rejects.toThrow("failed");
    const found = await inSystem("logs", "imprest-test");
    expect(found).toContain(`${space.name}/older`);
    expect(found).toContain("kubectl rollout restart");
    await space.close();
  });

  test("an upgrade of the chart, and the way back: no conflict over caBundle, which stays", async () => {
    const before = await caBundles();
    await installChart({ injector: { certificates, timeoutSeconds: 5 } });
    expect(await caBundles()).toEqual(before);
    await helm(["rollback", "imprest", "--wait", "--timeout", "120s"]);
    expect(await caBundles()).toEqual(before);
    expect(firstOf(await tryOut(aPod("rolled-back")))).toBe("imprest-sidecar");
  });

  test("none left: pods that opted in are refused, all others start", async () => {
    await inSystem("scale", "deployment/imprest-injector", "--replicas=0");
    await Promise.all(
      (await injectorPods()).map((pod) => inSystem("wait", "--for=delete", pod, "--timeout=60s")),
    );
    const { status, stderr } = await stage.space.apply(aPod("refused"));
    expect(status).toBe(1);
    expect(stderr).toContain("failed calling webhook");
    const space = await openNamespace("unconcerned");
    expect(firstOf(await tryOut(aPod("unconcerned"), space.name))).toBeUndefined();
    await space.close();
    await installChart();
    expect(firstOf(await tryOut(aPod("again")))).toBe("imprest-sidecar");
  });
});
