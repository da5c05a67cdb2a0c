/**
 * The ways in which a pod comes by its sidecar. What becomes of a pod is tested for each of them alike:
 *
 *   by hand      the manifest has it; nothing of ours is installed in the cluster
 *   by a label   the chart is installed, and its webhook puts it there
 */
import path from "node:path";
import { ROOT } from "../support/sources.ts";
import { STORE_URL, kubectl, succeed } from "./cluster.ts";
import { withPlainSidecar } from "./plain-sidecar.ts";
import type { Manifest, Metadata, PodSpec } from "./pods.ts";

export interface Way {
  readonly name: string;
  /** Of the namespaces that are made for it. */
  readonly annotations: Readonly<Record<string, string>>;
  /** What the cluster needs for it. */
  install(): Promise<unknown>;
  /** Gives a pod, or the pods of a Job or Deployment, a sidecar for this tenant. */
  dress(manifest: Manifest, tenant: string): Manifest;
}

interface Template {
  readonly metadata: Partial<Metadata>;
  readonly spec: PodSpec;
}

/** Changes the pod that a manifest is, or has a template of. */
function change(manifest: Manifest, dress: (template: Template) => Template): Manifest {
  if (manifest.kind === "Pod") {
    const { metadata, spec } = dress(manifest as Manifest & Template);
    return { ...manifest, metadata: { ...manifest.metadata, ...metadata }, spec };
  }
  const spec = manifest["spec"] as { readonly template: Template };
  return { ...manifest, spec: { ...spec, template: dress(spec.template) } };
}

const byHand: Way = {
  name: "by hand",
  annotations: {},
  install: async () => undefined,
  dress: (manifest, tenant) =>
    change(manifest, (template) => ({
      ...template,
      spec: withPlainSidecar(template.spec, { store: STORE_URL, tenant, policy: "imprest-policy" }),
    })),
};

/** Every tenant that a suite uses: a namespace says for whom its pods may ask. */
const TENANTS =
  "first,caller,twins,survivor,leaver,errand,rolled,early,reader,injected,chosen,early-bird";

const byLabel: Way = {
  name: "by a label",
  annotations: { "imprest.dev/tenants": TENANTS },
  install: installChart,
  dress: (manifest, tenant) =>
    change(manifest, ({ metadata, spec }) => {
      const asked = { "imprest.dev/inject": "true", "imprest.dev/tenant": tenant };
      return { spec, metadata: { ...metadata, labels: { ...metadata.labels, ...asked } } };
    }),
};

export const WAYS: readonly Way[] = [byHand, byLabel];

export const SYSTEM = "imprest-system";

const VALUES = {
  image: { repository: "localhost/imprest", tag: "e2e" },
  store: { hosts: [new URL(STORE_URL).host] },
};

/** Installs the chart, or upgrades it to what it is; resolves once its injector answers. */
export async function installChart(): Promise<string> {
  const chart = path.join(ROOT, "deploy/helm/imprest");
  const words = ["upgrade", "--install", "imprest", chart, "-n", SYSTEM, "--create-namespace"];
  const wait = ["--wait", "--timeout", "120s"];
  const told = await succeed(["helm4", ...words, ...wait, "-f", "-"], JSON.stringify(VALUES));
  await kubectl("-n", SYSTEM, "rollout", "status", "deployment/imprest-injector", "--timeout=60s");
  return told;
}
