/**
 * What becomes of a pod with a sidecar: started, probed, called, killed, drained and deleted by a real kubelet, in a
 * namespace with restricted Pod Security. The agent is of another image, in Python, and runs as another user.
 */
import { readdir, readFile } from "node:fs/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Namespace, ask, askAgain, needsCluster, noCluster, run, waitFor } from "./cluster.ts";
import { AGENT_UID, agentDeployment, agentJob, agentPod, type Manifest, type Pod } from "./pods.ts";
import {
  CALL_MICROS,
  type Stage,
  USAGE,
  followBoth,
  openStage,
  operation,
  saidAt,
} from "./stage.ts";
import { WAYS, untilInjecting } from "./ways.ts";

beforeEach(needsCluster);

const CHARGED = { meter: "usd_micros", units: String(CALL_MICROS) };

/** Inside the agent's container: its image has no shell, but a Python. */
const inAgent = (space: Namespace, pod: string, code: string) =>
  run(`kubectl -n ${space.name} exec ${pod} -c agent -- python -c`.split(" ").concat(code));

/** The processes of a pod whose command line has `text`. */
async function processesOf(pod: Pod, text: string): Promise<number[]> {
  const numbers = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    numbers.map(async (number) => {
      const read = (file: string) => readFile(`/proc/${number}/${file}`, "utf8").catch(() => "");
      const isOurs = (await read("cgroup")).includes(`pod${pod.metadata.uid ?? ""}`);
      return isOurs && (await read("cmdline")).includes(text) ? [Number(number)] : [];
    }),
  );
  return found.flat();
}

/** Each test's own. A namespace says for whom its pods may ask. */
const TENANTS = [
  ...(["first", "caller", "twins", "survivor", "leaver"] as const),
  ...(["errand", "rolled", "early", "reader"] as const),
];
type Tenant = (typeof TENANTS)[number];

describe.each(WAYS)("a pod that got its sidecar $name", (way) => {
  let stage: Stage;
  beforeAll(async () => {
    if (noCluster !== undefined) return;
    stage = await openStage("life", { annotations: { "imprest.dev/tenants": TENANTS.join() } });
    await way.install();
    await untilInjecting(stage.space, way);
  });
  afterAll(async () => {
    await stage?.close();
    if (noCluster === undefined) await way.uninstall();
  });

  const make = async (manifest: Manifest, tenant: string): Promise<void> =>
    stage.space.mustApply(await way.dress(manifest, tenant));

  async function start(name: Tenant, more: { readonly linger?: number } = {}): Promise<Pod> {
    await make(agentPod(name, { tenant: name, ...more }), name);
    return stage.space.ready(name);
  }

  test("is ready by the kubelet's probes (S35), and its agent finds the socket at its first call", async () => {
    const { status } = await start("first");
    expect(status.initContainerStatuses).toMatchObject([
      { name: "imprest-sidecar", started: true, ready: true, restartCount: 0 },
    ]);
    const agent = await stage.space.said("first", "agent");
    const sidecar = await stage.space.said("first", "imprest-sidecar");
    expect(agent[1]).toMatchObject({ what: "first call", decision: "DECISION_ALLOW" });
    expect(saidAt(agent, "started")).toBeGreaterThan(saidAt(sidecar, "serving"));
  });

  test("serves a stock client of another language under another user, who cannot touch the socket", async () => {
    const pod = await start("caller");
    const held = await ask(pod, "Reserve", operation("caller"));
    expect(held.verdict?.decision).toBe("DECISION_ALLOW");
    const settled = await ask(pod, "Commit", { reservation_id: held.reservation_id, usage: USAGE });
    expect(settled.charged).toContainEqual(CHARGED);
    expect((await stage.ledger("caller")).holders).toMatchObject([{ label: "caller" }]);
    const users = await inAgent(
      stage.space,
      "caller",
      "import os; s = os.stat('/run/imprest/imprest.sock'); print(os.getuid(), s.st_uid)",
    );
    expect(users.stdout).toBe(`${AGENT_UID} 65532\n`);
    const unlinked = await inAgent(
      stage.space,
      "caller",
      "import os; os.unlink('/run/imprest/imprest.sock')",
    );
    expect(unlinked.stderr).toContain("Read-only file system");
  });

  test("spends of one limit with every other pod, and not a call more", async () => {
    await Promise.all(
      ["twin-a", "twin-b"].map((name) => make(agentPod(name, { tenant: "twins" }), "twins")),
    );
    const twins = await Promise.all(["twin-a", "twin-b"].map((name) => stage.space.ready(name)));
    const dear = { ...operation("twins"), usage: { ...USAGE, output_tokens: "9999900" } }; // $100
    const spendAll = async (twin: Pod): Promise<number> => {
      for (let allowed = 0; ;) {
        const { verdict } = await ask(twin, "Consume", dear);
        if (verdict?.decision === "DECISION_ALLOW") allowed += 1;
        if (verdict?.denial?.reason === "DENY_REASON_BUDGET_EXHAUSTED") return allowed;
      }
    };
    const [a = 0, b = 0] = await Promise.all(twins.map(spendAll));
    expect(a + b).toBe(10);
  });

  test("whose sidecar is killed goes on with its reservations, and the agent does not notice", async () => {
    const pod = await start("survivor");
    const held = await ask(pod, "Reserve", operation("survivor"));
    const [victim] = await processesOf(pod, "main.js");
    process.kill(victim ?? 0, "SIGKILL");
    const { status } = await waitFor("the restart", async () => {
      const now = await stage.space.pod("survivor");
      const [sidecar] = now.status.initContainerStatuses ?? [];
      return sidecar?.restartCount === 1 && sidecar.ready && now;
    });
    expect(status.containerStatuses[0]?.restartCount).toBe(0);
    const commit = { reservation_id: held.reservation_id, usage: USAGE };
    const settled = await askAgain(pod, "Commit", commit);
    expect(settled.charged).toContainEqual(CHARGED);
  });

  test("that is deleted stops its agent first, and gives its leases back after it (S36)", async () => {
    const pod = await start("leaver", { linger: 8 });
    await ask(pod, "Consume", operation("leaver"));
    const { agent, sidecar } = await followBoth(stage.space, "leaver");
    const removed = stage.space.remove("leaver");
    await waitFor("SIGTERM", async () => agent.lines.some(({ what }) => what === "SIGTERM"));
    expect((await stage.ledger("leaver")).leased).toBeGreaterThan(0);
    await Promise.all([removed, agent.ended, sidecar.ended]);
    expect(agent.lines).toContainEqual(
      expect.objectContaining({ what: "last call", decision: "DECISION_ALLOW" }),
    );
    expect(saidAt(sidecar.lines, "draining")).toBeGreaterThanOrEqual(saidAt(agent.lines, "exit"));
    expect(saidAt(sidecar.lines, "drained")).toBeGreaterThan(0);
    expect(await stage.ledger("leaver")).toMatchObject({
      spent: 2 * CALL_MICROS,
      leased: 0,
      quarantined: 0,
    });
  });

  test("of a Job does not keep it from completing, and leaves nothing leased", async () => {
    await make(agentJob("errand", { tenant: "errand" }), "errand");
    await stage.space.kubectl("wait", "--for=condition=Complete", "job/errand", "--timeout=60s");
    const [pod] = await stage.space.pods("app=errand");
    expect(pod?.status.phase).toBe("Succeeded");
    const [sidecar] = pod?.status.initContainerStatuses ?? [];
    expect(sidecar?.state.terminated?.exitCode).toBe(0);
    expect(await stage.ledger("errand")).toMatchObject({
      spent: CALL_MICROS,
      leased: 0,
      quarantined: 0,
    });
  });

  test("of a Deployment is replaced without a unit stranded or miscounted, under load", async () => {
    const { space } = stage;
    const rolled = agentDeployment("rolled", 2, { tenant: "rolled", linger: 1 });
    await make(rolled, "rolled");
    await space.kubectl("rollout", "status", "deployment/rolled", "--timeout=90s");
    const before = await space.pods("app=rolled");
    const tails = await Promise.all(before.map(({ metadata }) => followBoth(space, metadata.name)));
    const books = { told: 0, unclear: 0 };
    let isOver = false;
    const spend = async (pod: Pod): Promise<void> => {
      while (!isOver) {
        const answer = await ask(pod, "Consume", operation("rolled")).catch(() => undefined);
        // Its agent is gone, perhaps with the answer to the last question.
        if (answer === undefined) return void (books.unclear += 1);
        if (answer.verdict?.decision === "DECISION_ALLOW") books.told += 1;
        else if (answer.error !== undefined) books.unclear += 1;
      }
    };
    const spenders = before.map(spend);
    await space.kubectl("rollout", "restart", "deployment/rolled");
    await space.kubectl("rollout", "status", "deployment/rolled", "--timeout=90s");
    await Promise.all(
      before.map(({ metadata }) =>
        space.kubectl("wait", "--for=delete", `pod/${metadata.name}`, "--timeout=60s"),
      ),
    );
    isOver = true;
    await Promise.all([
      ...spenders,
      ...tails.flatMap((tail) => [tail.agent.ended, tail.sidecar.ended]),
    ]);
    for (const { agent, sidecar } of tails) {
      const lastCall = { what: "last call", decision: "DECISION_ALLOW" };
      expect(agent.lines).toContainEqual(expect.objectContaining(lastCall));
      expect(sidecar.lines.filter(({ level }) => level !== "info")).toEqual([]);
    }
    const { spent, quarantined, holders } = await stage.ledger("rolled");
    expect(quarantined).toBe(0);
    const calls = spent / CALL_MICROS - before.length;
    expect(calls).toBeGreaterThanOrEqual(books.told);
    expect(calls).toBeLessThanOrEqual(books.told + books.unclear);
    const gone = new Set(before.map(({ metadata }) => metadata.name));
    expect(holders.filter(({ label, out }) => gone.has(label) && out > 0)).toEqual([]);
  });

  test("starts, and is ready, while there is no store; hard limits refuse until there is", async () => {
    await stage.store.kill();
    let pod: Pod;
    try {
      pod = await start("early");
      const refused = await ask(pod, "Consume", operation("early"));
      expect(refused.verdict?.decision).toBe("DECISION_DENY");
    } finally {
      await stage.store.restart();
    }
    await waitFor("units", async () => {
      const { verdict } = await ask(pod, "Consume", operation("early"));
      return verdict?.decision === "DECISION_ALLOW";
    });
  });

  test("hears of an edit of its ConfigMap, which the kubelet swaps by symlinks, without a restart", async () => {
    const pod = await start("reader");
    const dear = { ...operation("reader"), usage: { ...USAGE, output_tokens: "199999900" } }; // $2000
    const { verdict } = await ask(pod, "Check", dear);
    expect(verdict?.denial?.reason).toBe("DENY_REASON_REQUEST_TOO_LARGE");
    await stage.setPolicy(2, "$4000");
    await waitFor("the new limit", async () => {
      return (await ask(pod, "Check", dear)).verdict?.decision === "DECISION_ALLOW";
    });
    expect((await stage.space.pod("reader")).status.initContainerStatuses?.[0]?.restartCount).toBe(
      0,
    );
  });
});
