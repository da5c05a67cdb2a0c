/**
 * The ways in which a pod comes by its sidecar. What becomes of a pod is tested for each of them alike:
 *
 *   in its manifest   `imprest inject render --as manifest` wrote it there; nothing of ours is installed in the cluster
 *   by a policy       `imprest inject render --as policy` is installed: the API server itself puts it there
 *   by the webhook    the chart is installed
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { load } from "js-yaml";
import { ROOT } from "../support/sources.ts";
import { type Namespace, STORE_URL, imprest, kubectl, run, succeed, waitFor } from "./cluster.ts";
import { type Manifest, type Metadata, type PodSpec, agentPod } from "./pods.ts";

export interface Way {
  readonly name: string;
  /** What the cluster needs for it. */
  install(): Promise<unknown>;
  uninstall(): Promise<unknown>;
  /** A pod, or a Job or Deployment of pods, that is to have a sidecar for this tenant. */
  dress(manifest: Manifest, tenant: string): Promise<Manifest>;
}

const SYSTEM = "imprest-system";

/** What the chart makes of its values, for where there is no chart. */
const CONFIGURATION = {
  apiVersion: "imprest.dev/v1",
  kind: "Injector",
  namespace: SYSTEM,
  service: "imprest-injector",
  secret: "imprest-injector-tls",
  webhook: "imprest-injector",
  lease: "imprest-injector",
  image: { reference: "localhost/imprest:e2e" },
  profiles: { default: { store: STORE_URL, policyConfigMap: "imprest-policy" } },
};

/** What `imprest inject render` prints. */
async function render(words: readonly string[], manifest?: Manifest): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "imprest-render-"));
  try {
    const [configuration, pod] = ["injector.json", "pod.json"].map((name) =>
      path.join(folder, name),
    );
    await writeFile(configuration ?? "", JSON.stringify(CONFIGURATION));
    await writeFile(pod ?? "", JSON.stringify(manifest ?? {}));
    const given = manifest === undefined ? [] : ["--pod", pod ?? ""];
    return await imprest(["inject", "render", "--config", configuration ?? "", ...given, ...words]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Template {
  readonly metadata: Partial<Metadata>;
  readonly spec: PodSpec;
}

const ask = (tenant: string, { metadata, spec }: Template): Template => {
  const asked = { "imprest.dev/inject": "true", "imprest.dev/tenant": tenant };
  return { spec, metadata: { ...metadata, labels: { ...metadata.labels, ...asked } } };
};

/** By labels alone, on the pod that a manifest is, or on those that it makes. */
function label(manifest: Manifest, tenant: string): Manifest {
  if (manifest.kind === "Pod") {
    const { metadata } = ask(tenant, manifest as Manifest & Template);
    return { ...manifest, metadata: { ...manifest.metadata, ...metadata } };
  }
  const spec = manifest["spec"] as { readonly template: Template };
  return { ...manifest, spec: { ...spec, template: ask(tenant, spec.template) } };
}

const manifestWay: Way = {
  name: "in its manifest",
  install: uninstallChart,
  uninstall: async () => undefined,
  dress: async (manifest, tenant) =>
    load(await render(["--as", "manifest", "--tenant", tenant], manifest)) as Manifest,
};

const policyWay: Way = {
  name: "by a policy",
  async install() {
    await uninstallChart();
    await succeed(["kubectl", "apply", "-f", "-"], await render(["--as", "policy"]));
  },
  uninstall: async () =>
    succeed(["kubectl", "delete", "-f", "-"], await render(["--as", "policy"])),
  dress: async (manifest, tenant) => label(manifest, tenant),
};

const webhookWay: Way = {
  name: "by the webhook",
  install: installChart,
  uninstall: uninstallChart,
  dress: async (manifest, tenant) => label(manifest, tenant),
};

export const WAYS: readonly Way[] = [manifestWay, policyWay, webhookWay];

const VALUES = {
  image: { repository: "localhost/imprest", tag: "e2e" },
  store: { hosts: [new URL(STORE_URL).host] },
};
const WAIT = ["--wait", "--timeout", "120s"];

/** In the namespace that the chart is installed in. */
export const inSystem = (...words: readonly string[]): Promise<string> =>
  kubectl("-n", SYSTEM, ...words);

export const helm = (words: readonly string[], input?: string): Promise<string> =>
  succeed(["helm4", "-n", SYSTEM, ...words], input);

/** Installs the chart, or upgrades it to what it is; resolves once what it brings is ready. */
export async function applyChart(values: object = {}): Promise<void> {
  const chart = path.join(ROOT, "deploy/helm/imprest");
  const words = ["upgrade", "--install", "imprest", chart, "--create-namespace", ...WAIT];
  await helm([...words, "-f", "-"], JSON.stringify({ ...VALUES, ...values }));
}

/** The same; resolves once all its injectors answer. */
export async function installChart(values: object = {}): Promise<void> {
  await applyChart(values);
  await inSystem("rollout", "status", "deployment/imprest-injector", "--timeout=60s");
}

/** Its certificates go with it. */
export async function uninstallChart(): Promise<void> {
  await helm(["uninstall", "imprest", "--ignore-not-found", ...WAIT]);
}

/** Resolves once pods get a sidecar: an API server takes up webhooks and policies a moment after they are written. */
export async function untilInjecting(space: Namespace, way: Way): Promise<void> {
  const pod = await way.dress(agentPod("dry", { tenant: space.name }), space.name);
  const words = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
  await waitFor("injection", async () => {
    const { stdout } = await run(["kubectl", "-n", space.name, ...words], JSON.stringify(pod));
    return stdout.includes("imprest-sidecar");
  });
}
