import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { load, loadAll } from "js-yaml";
import { afterAll, expect, test } from "vitest";
import { typeCommand } from "../../support/fake-host.ts";
import { CONFIG, podJson } from "../../support/pods.ts";

const folder = mkdtempSync(path.join(tmpdir(), "imprest-inject-"));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(name: string, content: unknown): string {
  const file = path.join(folder, name);
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}
const config = fileOf("injector.yaml", CONFIG);
const render = (...words: readonly string[]) =>
  typeCommand(["inject", "render", "--config", config, ...words]);

test("without a pod an example is printed, with the tenant of the namespace", async () => {
  const { status, stdout } = await render("--as", "manifest", "--namespace", "acme");
  expect(status).toBe(0);
  expect(load(stdout)).toMatchObject({
    kind: "Pod",
    spec: { initContainers: [{ name: "imprest-sidecar", restartPolicy: "Always" }] },
  });
  expect(stdout).toContain("--tenant=acme");
});

test("templates get the sidecar, other objects pass as they are", async () => {
  const template = { metadata: { labels: { app: "a" } }, spec: podJson()["spec"] ?? null };
  const deployment = { kind: "Deployment", metadata: { name: "d" }, spec: { template } };
  const cron = {
    kind: "CronJob",
    metadata: { name: "c" },
    spec: { jobTemplate: { spec: { template } } },
  };
  const map = { kind: "ConfigMap", metadata: { name: "m" }, data: { a: "yes" } };
  const pod = fileOf(
    "all.yaml",
    [deployment, cron, map].map((each) => JSON.stringify(each)).join("\n---\n"),
  );
  const { stdout } = await render("--as", "manifest", "--pod", pod, "--tenant", "globex");
  const objects = loadAll(stdout);
  const sidecar = { spec: { initContainers: [{ name: "imprest-sidecar" }] } };
  expect(objects[0]).toMatchObject({ spec: { template: sidecar } });
  expect(objects[1]).toMatchObject({ spec: { jobTemplate: { spec: { template: sidecar } } } });
  expect(objects[2]).toEqual(map);
  expect(stdout.match(/--tenant=globex/g)).toHaveLength(2);
});

test("an object's own namespace says whose pods they are, and the flag must not say another; a List is what it lists", async () => {
  const own = { ...podJson(), metadata: { name: "p", namespace: "globex" } };
  const file = fileOf("list.yaml", { apiVersion: "v1", kind: "List", items: [own, podJson()] });
  const { stdout } = await render("--as", "manifest", "--pod", file);
  expect(stdout.match(/--tenant=\w+/g)).toEqual(["--tenant=globex", "--tenant=default"]);
  const other = await render("--as", "manifest", "--pod", file, "--namespace", "acme");
  expect([other.status, other.stdout]).toEqual([1, ""]);
  expect(other.stderr).toContain("Pod p: found namespace globex; allowed: acme");
});

test("a classic sidecar in a CronJob is refused, as the webhook refuses its pods", async () => {
  const template = { spec: podJson()["spec"] ?? null };
  const cron = {
    kind: "CronJob",
    metadata: { name: "nightly" },
    spec: { jobTemplate: { spec: { template } } },
  };
  const { status, stderr } = await render(
    ...["--as", "manifest", "--pod", fileOf("cron.yaml", cron), "--profile", "old"],
  );
  expect(status).toBe(1);
  expect(stderr).toContain("CronJob nightly: a Job with a classic sidecar never completes");
});

test("a profile that is asked for is that of pods that name none", async () => {
  const { stdout } = await render("--as", "manifest", "--profile", "large");
  expect(stdout).toContain("imprest-policy-large");
});

test("policies come with their bindings, and leave the injector's own and excluded namespaces alone", async () => {
  const excluding = fileOf("excluding.yaml", { ...CONFIG, excludedNamespaces: ["cert-manager"] });
  const words = ["--as", "policy", "--config", excluding, "--exclude", "kube-system"];
  const { stdout } = await typeCommand(["inject", "render", ...words]);
  const objects = loadAll(stdout) as readonly { readonly kind: string }[];
  expect(objects.map(({ kind }) => kind)).toEqual([
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
  ]);
  const values = ["kube-system", "cert-manager", "imprest-system"];
  expect(objects[2]).toMatchObject({
    spec: {
      matchConstraints: {
        namespaceSelector: { matchExpressions: [{ operator: "NotIn", values }] },
      },
    },
  });
});

test.each([
  [["--as", "policy", "--profile", "larg"], 1, "did you mean large?"],
  [["--as", "policy", "--profile", "old"], 1, "which is classic; allowed: a native one"],
  [["--as", "manifest", "--pod", "/nowhere"], 1, "ENOENT"],
  [["--as", "manifest", "--pod", fileOf("bad.yaml", "a: [")], 1, "nothing was printed"],
  [["--as", "manifest", "--pod", fileOf("no-pod.yaml", { kind: "Pod" })], 1, "no pod's shape"],
  [["--as", "polic"], 2, "did you mean policy?"],
])("%j ends with %i and says why", async (words, status, says) => {
  const ran = await render(...words);
  expect([ran.status, ran.stdout]).toEqual([status, ""]);
  expect(ran.stderr).toContain(says);
});

test("the injector refuses to start on addresses that others have, and names them all", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => void taken.listen(0, "127.0.0.1", resolve));
  const at = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
  const access = fileOf("access", ACCESS);
  const words = ["injector", "--config", config, "--kubeconfig", access, "--log-level", "silent"];
  const ran = await typeCommand([...words, "--listen", at, "--http", at]);
  taken.close();
  expect(ran.status).toBe(2);
  for (const flag of ["--listen", "--http"]) {
    expect(ran.stderr).toContain(`  ${flag}: found ${at} (listen EADDRINUSE`);
  }
  expect(ran.stderr).toContain("allowed: an address of this machine that nobody listens on");
});

const ACCESS = {
  "current-context": "x",
  contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
  clusters: [{ name: "x", cluster: { server: "https://127.0.0.1:1" } }],
  users: [{ name: "x", user: {} }],
};

test("the injector refuses to start on a broken configuration, and outside of a cluster", async () => {
  const broken = fileOf("broken.yaml", { ...CONFIG, image: 7, profiles: {} });
  const kubeconfig = fileOf("kubeconfig", "current-context: x");
  const outside = await typeCommand(["injector", "--config", config]);
  expect([outside.status, outside.stderr]).toEqual([
    2,
    expect.stringContaining("--kubeconfig FILE"),
  ]);
  const unread = await typeCommand(["injector", "--config", config, "--kubeconfig", kubeconfig]);
  expect([unread.status, unread.stderr]).toEqual([
    2,
    expect.stringContaining("found no kubeconfig (contexts: "),
  ]);
  const access = fileOf("access", ACCESS);
  const ran = await typeCommand(["injector", "--config", broken, "--kubeconfig", access]);
  expect(ran.status).toBe(2);
  expect(ran.stderr).toMatch(/image: .*\n.*profiles: /);
});
