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
import { podJson, type JsonObject } from "../support/pods.ts";
import { ACCEPTED, ADDED, app, LET_BE, REFUSED, SILENT, TAMPERED, type Sample } from "./samples.ts";

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
  await plane.namespace("hooli", { "imprest.dev/tenant": "" });
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
/** A pod with its sidecar, created once more with that changed. */
async function createChanged(change: (sidecar: JsonObject) => JsonObject): Promise<string> {
  const { labels, annotations, spec } = JSON.parse(byWebhook.get("a plain one") ?? "{}");
  const initContainers = spec.initContainers.map((each: JsonObject) => change(each));
  const volumes = [...spec.volumes, { name: "mine", emptyDir: {} }];
  const metadata = { name: "copy", labels, annotations };
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata,
    spec: { ...spec, initContainers, volumes },
  };
  return put(pod).then(
    () => "admitted",
    (error: unknown) => (error instanceof ApiError ? error.message : String(error)),
  );
}
const withAdded =
  (list: string, each: JsonObject) =>
  (sidecar: JsonObject): JsonObject => ({
    ...sidecar,
    [list]: [...(sidecar[list] as readonly JsonObject[]), each],
  });

/** Whoever looks at it. */
function testCopies(who: string): void {
  test(`${who}: a sidecar that the pod brings along is taken as it is`, async () => {
    expect(await createChanged((sidecar) => sidecar)).toBe("admitted");
    for (const [list, each] of LET_BE) {
      expect(await createChanged(withAdded(list, each))).toBe("admitted");
    }
  });
  test.each(TAMPERED)(`${who}: with another %s it is refused`, async (member, change) => {
    const said = await createChanged((sidecar) => ({ ...sidecar, ...change }));
    expect(said).toContain(`container imprest-sidecar: ${member}`);
  });
  test.each(ADDED)(`${who}: with %s %j added it is refused`, async (list, each, member) => {
    const said = await createChanged(withAdded(list, each));
    expect(said).toContain(`container imprest-sidecar: ${member}`);
  });
}

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

testCopies("IJ3, the webhook");

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
        sample.labels?.["imprest.dev/tenant"] ?? (into === "globex" ? "globex-1" : into);
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

  testCopies("IJ3, PM2, the policy");

  test("PM2: name the container that takes what is the sidecar's", async () => {
    const thief = app("thief", { ports: [{ containerPort: 4601 }] });
    expect(await refusal({ called: "", spec: { containers: [app("agent"), thief] } })).toContain(
      "imprest: container thief: allowed: any port but 4601 and 4602",
    );
  });

  test("their expressions are well typed", async () => {
    const said = await plane.kubectl(
      ["get", "validatingadmissionpolicies", "-o", "jsonpath={.items[*].status.typeChecking}"],
      "",
    );
    expect(said).not.toContain("expressionWarnings");
  });

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
