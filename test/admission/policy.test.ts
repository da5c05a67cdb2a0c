/** The three ways to a sidecar, tried out on a real API server: each pod has to come out the same. */
import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ApiError } from "../../src/adapters/kubernetes/api-client.ts";
import { startControlPlane, noControlPlane, type ControlPlane } from "../support/control-plane.ts";
import { eventually } from "../support/eventually.ts";
import { typeCommand } from "../support/fake-host.ts";
import {
  endpoints,
  installInjector,
  openReplicas,
  SLICES,
  WEBHOOK_PATH,
  type Replicas,
} from "../support/injector-install.ts";
import { podJson, type JsonObject, type PodParts } from "../support/pods.ts";

interface Sample extends PodParts {
  readonly called: string;
  readonly namespace?: string;
}

const app = (name: string, more: JsonObject = {}): JsonObject => ({ name, image: "a:1", ...more });

const ACCEPTED: readonly Sample[] = [
  { called: "a plain one" },
  { called: "one of a namespace with a tenant of its own", namespace: "globex" },
  {
    called: "one that names a further tenant",
    namespace: "globex",
    labels: { "imprest.dev/tenant": "initech" },
  },
  { called: "one with an init container", spec: { initContainers: [app("a"), app("b")] } },
  {
    called: "one with variables, mounts and volumes of its own",
    spec: {
      containers: [
        app("agent", {
          env: [{ name: "A", value: "1" }],
          volumeMounts: [{ name: "data", mountPath: "/data" }],
        }),
        app("worker", { env: [{ name: "IMPREST_SOCKET", value: "unix:///elsewhere" }] }),
      ],
      volumes: [{ name: "data", emptyDir: {} }],
    },
  },
  {
    called: "one that selects containers",
    annotations: { "imprest.dev/containers": "worker, b" },
    spec: { initContainers: [app("b")], containers: [app("agent"), app("worker")] },
  },
  { called: "one with a log level", annotations: { "imprest.dev/log-level": "debug" } },
  { called: "one with another profile", annotations: { "imprest.dev/profile": "large" } },
  { called: "one without a token", spec: { automountServiceAccountToken: false } },
  { called: "one that did not opt in", labels: { "imprest.dev/inject": "false" } },
  { called: "one on its node's network", spec: { hostNetwork: true } },
  { called: "one for Windows", spec: { os: { name: "windows" } } },
];

/** What becomes of them is for their namespace to say. */
const SILENT: readonly Sample[] = [
  { called: "one of a namespace that opted in", isSilent: true },
  { called: "one of a namespace that says nothing", isSilent: true, namespace: "globex" },
];

const REFUSED: readonly (Sample & { readonly says: string })[] = [
  {
    called: "another's tenant",
    labels: { "imprest.dev/tenant": "umbrella" },
    says: "imprest.dev/tenant",
  },
  {
    called: "an unknown annotation",
    annotations: { "imprest.dev/profle": "large" },
    says: "imprest.dev/profile",
  },
  {
    called: "an unknown profile",
    annotations: { "imprest.dev/profile": "larg" },
    says: "imprest.dev/profile",
  },
  {
    called: "an unknown level",
    annotations: { "imprest.dev/log-level": "loud" },
    says: "trace, debug",
  },
  {
    called: "a container that is not there",
    annotations: { "imprest.dev/containers": "agent,nobody" },
    says: "imprest.dev/containers",
  },
  {
    called: "neither true nor false",
    labels: { "imprest.dev/inject": "yes" },
    says: '"true", "false"',
  },
  {
    called: "a sidecar of another tenant",
    spec: { initContainers: [app("imprest-sidecar", { args: ["--tenant=umbrella"] })] },
    says: "imprest-sidecar",
  },
  {
    called: "a policy of its own",
    spec: { volumes: [{ name: "imprest-policy", emptyDir: {} }] },
    says: "imprest-policy",
  },
];

let plane: ControlPlane;
let replicas: Replicas;
/** What the webhook made of each. */
const byWebhook = new Map<string, string>();

beforeAll(async () => {
  if (noControlPlane !== undefined) return;
  plane = await startControlPlane(7453);
  await installInjector(plane);
  replicas = await openReplicas(plane);
  const replica = await replicas.start("injector-a");
  await eventually(async () => (await replica.readyz()).isReady);
  const { ports = [] } = endpoints(plane.address, replica.port);
  await plane.api.patch(`${SLICES}/imprest-injector`, "merge", { ports });
  await plane.namespace("acme", { "imprest.dev/injection": "enabled" });
  await plane.namespace(
    "globex",
    { "imprest.dev/tenant": "globex-1" },
    { "imprest.dev/tenants": "initech" },
  );
  await eventually(() =>
    create({ called: "" }).then(
      () => true,
      () => false,
    ),
  );
  for (const sample of [...ACCEPTED, ...SILENT]) byWebhook.set(sample.called, await create(sample));
}, 300_000);
afterAll(async () => {
  await replicas?.stop();
  await plane?.stop();
});
beforeEach((context) => {
  if (noControlPlane !== undefined) context.skip(noControlPlane);
});

const create = (sample: Sample): Promise<string> => put(podJson(sample), sample.namespace);

/** The pod as it would be stored, without what no two pods share. */
async function put(pod: JsonObject, into = "acme"): Promise<string> {
  const stored = (await plane.api.create(`/api/v1/namespaces/${into}/pods?dryRun=All`, pod)) as {
    readonly metadata: { readonly labels: object; readonly annotations: object };
    readonly spec: object;
  };
  const { labels, annotations } = stored.metadata;
  const whole = JSON.stringify({ labels, annotations, spec: stored.spec }, undefined, 1);
  return whole.replaceAll(/kube-api-access-\w+/g, "kube-api-access");
}
/** The API server puts its token last into what comes with a sidecar, and before it where the sidecar is put in later. */
const withoutToken = (pod: string): unknown =>
  JSON.parse(pod, (_, value: unknown) =>
    Array.isArray(value) ? value.filter(({ name }) => name !== "kube-api-access") : value,
  );
const refusal = (sample: Sample): Promise<string> =>
  create(sample).then(
    () => "admitted",
    (error: unknown) => (error instanceof ApiError ? error.message : String(error)),
  );
async function render(...words: readonly string[]): Promise<string> {
  const ran = await typeCommand(["inject", "render", "--config", replicas.config, ...words]);
  if (ran.status !== 0) throw new Error(ran.stderr);
  return ran.stdout;
}

test("the webhook put a sidecar into those that opted in", () => {
  const has = [...byWebhook].filter(([, pod]) => pod.includes('"imprest-sidecar"'));
  expect(has).toHaveLength(ACCEPTED.length - 3 + 1);
  expect(byWebhook.get("one that names a further tenant")).toContain("--tenant=initech");
});

test.each(REFUSED.map((sample) => [sample.called, sample] as const))(
  "the webhook refuses %s",
  async (_, sample) => {
    expect(await refusal(sample)).toContain(sample.says);
  },
);

describe("a manifest", () => {
  beforeAll(async () => {
    if (noControlPlane === undefined)
      await plane.kubectl(["delete", "-f", "-"], JSON.stringify(await plane.api.get(WEBHOOK_PATH)));
  });

  test.each(ACCEPTED.map((sample) => [sample.called, sample] as const))(
    "of %s gives the pod that the webhook makes",
    async (_, sample) => {
      const file = `${replicas.config}.pod.yaml`;
      await writeFile(file, JSON.stringify(podJson(sample)));
      const { namespace: into = "acme" } = sample;
      const tenant =
        sample.labels?.["imprest.dev/tenant"] ?? (into === "acme" ? "acme" : "globex-1");
      const text = await render(
        "--as",
        "manifest",
        "--pod",
        file,
        "--namespace",
        into,
        "--tenant",
        tenant,
      );
      const { load } = await import("js-yaml");
      const made = await put(load(text) as JsonObject, into);
      expect(withoutToken(made)).toEqual(withoutToken(byWebhook.get(sample.called) ?? "{}"));
    },
  );
});

describe("policies", () => {
  beforeAll(async () => {
    if (noControlPlane !== undefined) return;
    for (const profile of ["default", "large"]) {
      const said = await plane.kubectl(
        ["apply", "-f", "-"],
        await render("--as", "policy", "--profile", profile),
      );
      if (said.match(/ created$/gm)?.length !== 4) throw new Error(said);
    }
    const [large] = ACCEPTED.filter(({ called }) => called === "one with another profile");
    for (const sample of [ACCEPTED[0], large]) {
      if (sample === undefined) continue;
      await eventually(
        async () =>
          (await refusal(sample)) === "admitted" &&
          (await create(sample)).includes('"imprest-sidecar"'),
      );
    }
  }, 300_000);

  test.each([...ACCEPTED, ...SILENT].map((sample) => [sample.called, sample] as const))(
    "PM1: make of %s what the webhook makes",
    async (_, sample) => {
      expect(await create(sample)).toBe(byWebhook.get(sample.called));
    },
  );

  test.each(REFUSED.map((sample) => [sample.called, sample] as const))(
    "PM2: refuse %s",
    async (_, sample) => {
      const said = await refusal(sample);
      expect(said).toContain("imprest: ");
      expect(said).toContain(sample.says);
    },
  );

  test.each(["mode", "memory-limit", "allow-job"])(
    "PM2: refuse annotation imprest.dev/%s, which only the webhook can follow",
    async (name) => {
      const annotations = { [`imprest.dev/${name}`]: "native" };
      expect(await refusal({ called: "", annotations })).toContain(
        "annotations of a pod: allowed:",
      );
    },
  );
});
