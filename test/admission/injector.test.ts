/** The injector against a real API server, with the rights that the chart gives it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ApiError } from "../../src/adapters/kubernetes/api-client.ts";
import type { Json } from "../../src/core/inject/pod.ts";
import { startControlPlane, noControlPlane, type ControlPlane } from "../support/control-plane.ts";
import { eventually } from "../support/eventually.ts";
import {
  endpoints,
  installInjector,
  openReplicas,
  SECRET_PATH,
  SLICES,
  WEBHOOK,
  WEBHOOK_PATH,
  type Replica,
  type Replicas,
} from "../support/injector-install.ts";
import { CONFIG, podJson, type JsonObject, type PodParts } from "../support/pods.ts";

interface Stored {
  readonly metadata: {
    readonly labels: Record<string, string>;
    readonly annotations: Record<string, string>;
  };
  readonly spec: {
    readonly initContainers?: readonly {
      readonly name: string;
      readonly args: readonly string[];
      readonly restartPolicy: string;
      readonly volumeMounts: readonly { readonly mountPath: string }[];
    }[];
    readonly containers: readonly { readonly name: string }[];
  };
}

let plane: ControlPlane;
let replicas: Replicas;
let first: Replica;

beforeAll(async () => {
  if (noControlPlane !== undefined) return;
  plane = await startControlPlane(7443);
  await installInjector(plane);
  replicas = await openReplicas(plane, {
    ...CONFIG,
    certificates: { caLifetime: "2d", leafLifetime: "1h", overlap: "2s" },
  });
  first = await replicas.start("injector-a");
  await eventually(async () => (await first.readyz()).isReady);
  await plane.namespace("acme", { "imprest.dev/injection": "enabled" });
  await plane.namespace("plain", {});
  await route(first);
}, 300_000);
afterAll(async () => {
  await replicas?.stop();
  await plane?.stop();
});
beforeEach((context) => {
  if (noControlPlane !== undefined) context.skip(noControlPlane);
});

/** The service leads to this replica. */
async function route({ port }: Replica): Promise<void> {
  const path = `${SLICES}/imprest-injector`;
  const slice = endpoints(plane.address, port);
  await plane.api.patch(path, "merge", { ports: slice["ports"] ?? [] });
  await eventually(() =>
    create("acme").then(
      () => true,
      () => false,
    ),
  );
}
let made = 0;
async function create(into: string, parts: PodParts = {}): Promise<Stored> {
  made += 1;
  const pod = podJson(parts) as { readonly metadata: JsonObject };
  const named = { ...pod, metadata: { ...pod.metadata, name: `agent-${made}` } };
  return (await plane.api.create(`/api/v1/namespaces/${into}/pods?dryRun=All`, named)) as Stored;
}
const refusal = async (into: string, parts: PodParts): Promise<string> =>
  create(into, parts).then(
    () => "admitted",
    (error: unknown) => (error instanceof ApiError ? error.message : String(error)),
  );
const firstOf = (pod: Stored): string | undefined => pod.spec.initContainers?.[0]?.name;
const caBundles = async (): Promise<readonly string[]> => {
  const webhook = (await plane.api.get(WEBHOOK_PATH)) as {
    readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
  };
  return webhook.webhooks.map(({ clientConfig }) => clientConfig.caBundle ?? "");
};

describe("a pod that opted in", () => {
  test("comes back with its sidecar first and pinned to its namespace's tenant", async () => {
    const pod = await create("acme", {
      spec: { initContainers: [{ name: "a", image: "a:1" }] } as never,
    });
    expect(pod.spec.initContainers?.map(({ name }) => name)).toEqual(["imprest-sidecar", "a"]);
    expect(pod.spec.initContainers?.[0]).toMatchObject({ restartPolicy: "Always" });
    expect(pod.spec.initContainers?.[0]?.args.at(-1)).toBe("--tenant=acme");
    expect(pod.metadata.labels["imprest.dev/injected"]).toBe("true");
  });

  test("by its own label is served in a namespace that says nothing", async () => {
    expect(firstOf(await create("plain"))).toBe("imprest-sidecar");
  });

  test("is there in full right after its namespace", async () => {
    await plane.api.create("/api/v1/namespaces", {
      metadata: { name: "brand-new", labels: { "imprest.dev/tenant": "globex" } },
    });
    // Only the service account has to be waited for.
    await eventually(async () => !(await refusal("brand-new", {})).includes("serviceaccount"));
    const pod = await create("brand-new");
    expect(pod.spec.initContainers?.[0]?.args.at(-1)).toBe("--tenant=globex");
  });

  test("is admitted by restricted Pod Security", async () => {
    await plane.namespace("strict", { "pod-security.kubernetes.io/enforce": "restricted" });
    const securityContext = {
      ...{ runAsNonRoot: true, runAsUser: 1000, allowPrivilegeEscalation: false },
      ...{ capabilities: { drop: ["ALL"] }, seccompProfile: { type: "RuntimeDefault" } },
    };
    const containers = [{ name: "agent", image: "agent:1", securityContext }];
    expect(firstOf(await create("strict", { spec: { containers } }))).toBe("imprest-sidecar");
  });

  test("and is copied with all that it got is taken as it is", async () => {
    const pod = await create("acme");
    const again = (await plane.api.create("/api/v1/namespaces/acme/pods?dryRun=All", {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: "copy",
        labels: pod.metadata.labels,
        annotations: pod.metadata.annotations,
      },
      spec: pod.spec as unknown as Json,
    })) as Stored;
    expect(again.spec).toEqual(pod.spec);
  });

  test("is refused with what may stand there, and with whose tenant it may name", async () => {
    expect(await refusal("acme", { annotations: { "imprest.dev/profle": "large" } })).toContain(
      "did you mean imprest.dev/profile?",
    );
    expect(await refusal("acme", { labels: { "imprest.dev/tenant": "umbrella" } })).toMatch(
      /403 .*found "umbrella"; allowed in namespace acme: acme/,
    );
    expect(await refusal("plain", { labels: { "imprest.dev/inject": "True" } })).toContain(
      'allowed: "true", "false"',
    );
  });

  test("warns whoever creates it", async () => {
    const pod = podJson({ spec: { terminationGracePeriodSeconds: 1 } });
    const words = ["-n", "acme", "create", "--dry-run=server", "-f", "-"];
    expect(await plane.kubectl(words, JSON.stringify(pod))).toContain(
      "Warning: imprest: terminationGracePeriodSeconds is 1",
    );
  });
});

describe("a pod that did not opt in", () => {
  test("is never asked about", async () => {
    const before = (await first.metrics()).match(/admission_seconds_count (\d+)/)?.[1];
    const pod = await create("acme", { labels: { "imprest.dev/inject": "false" } });
    expect(firstOf(pod)).toBeUndefined();
    expect((await first.metrics()).match(/admission_seconds_count (\d+)/)?.[1]).toBe(before);
  });
});

test("a pod on its node's network goes without, and its owner's Events say why", async () => {
  await plane.api.create("/apis/apps/v1/namespaces/acme/deployments", {
    metadata: { name: "host" },
    spec: {
      selector: { matchLabels: { app: "host" } },
      template: {
        metadata: { labels: { app: "host" } },
        spec: { hostNetwork: true, containers: [{ name: "a", image: "a:1" }] },
      },
    },
  });
  const events = async (): Promise<string> =>
    JSON.stringify(
      await plane.api.get(
        "/api/v1/namespaces/acme/events?fieldSelector=reason=ImprestSidecarSkipped",
      ),
    );
  await eventually(async () => (await events()).includes("on its node's network"));
  expect(await events()).toContain('"kind":"ReplicaSet"');
  expect(await first.metrics()).toMatch(
    /admissions_total\{result="skipped",reason="HostNetwork"\} 1/,
  );
});

describe("certificates", () => {
  test("KC1: a caBundle that is wiped comes back, and who applies without one leaves it alone", async () => {
    const before = await caBundles();
    const { webhooks } = WEBHOOK as { readonly webhooks: readonly { readonly name: string }[] };
    const apply = (body: JsonObject) => plane.api.patch(WEBHOOK_PATH, "apply", body);
    await apply(WEBHOOK);
    expect(await caBundles()).toEqual(before);
    await plane.api.patch(
      WEBHOOK_PATH,
      "json",
      webhooks.map((_, index) => ({
        op: "remove",
        path: `/webhooks/${index}/clientConfig/caBundle`,
      })),
    );
    await eventually(async () => (await caBundles()).every((bundle, at) => bundle === before[at]));
    await eventually(async () => (await first.readyz()).isReady);
    await eventually(() =>
      create("acme").then(
        () => true,
        () => false,
      ),
    );
  });

  test("RT1, RT2: a new authority comes without a pod refused on the way", async () => {
    const [before = ""] = await caBundles();
    await plane.api.patch(SECRET_PATH, "merge", {
      metadata: { annotations: { "imprest.dev/rotate": "now" } },
    });
    const seen = new Set<number>();
    await eventually(async () => {
      await create("acme");
      const [bundle = ""] = await caBundles();
      const count = Buffer.from(bundle, "base64").toString().split("BEGIN").length - 1;
      seen.add(count);
      return seen.has(2) && count === 1 && bundle !== before;
    });
    expect(firstOf(await create("acme"))).toBe("imprest-sidecar");
  });
});

describe("two replicas", () => {
  let second: Replica;

  test("KC2: a second one serves at once what the first one made", async () => {
    second = await replicas.start("injector-b");
    await eventually(async () => (await second.readyz()).isReady);
    await route(second);
    expect(firstOf(await create("acme"))).toBe("imprest-sidecar");
    expect(await second.metrics()).toContain("imprest_injector_leader 0");
    expect(await first.metrics()).toContain("imprest_injector_leader 1");
  });

  test("LD2: when the leader is told to stop, the other one leads and puts the caBundle back", async () => {
    first.process.send("SIGTERM");
    expect((await first.process.ended()).status).toBe(0);
    await eventually(async () => (await second.metrics()).includes("imprest_injector_leader 1"));
    await plane.api.patch(WEBHOOK_PATH, "json", [
      { op: "remove", path: "/webhooks/0/clientConfig/caBundle" },
    ]);
    await eventually(async () => (await caBundles()).every((bundle) => bundle !== ""));
  });

  test("a configuration that is edited holds for the next pod, a broken one does not", async () => {
    await replicas.configure({ ...CONFIG, image: { reference: "localhost/imprest:0.2.0" } });
    await eventually(async () => JSON.stringify(await create("acme")).includes("imprest:0.2.0"));
    await replicas.configure({ ...CONFIG, profiles: {} });
    await eventually(async () =>
      (await second.metrics()).includes("imprest_injector_config_reload_errors_total 1"),
    );
    expect(JSON.stringify(await create("acme"))).toContain("imprest:0.2.0");
  });

  test("with none left a pod that opted in is refused, and every other one is not", async () => {
    second.process.send("SIGKILL");
    await second.process.ended();
    expect(await refusal("acme", {})).toContain("failed calling webhook");
    expect(firstOf(await create("plain", { labels: { "imprest.dev/inject": "false" } }))).toBe(
      undefined,
    );
    const bare = {
      metadata: { name: "bare" },
      spec: { containers: [{ name: "a", image: "a:1" }] },
    };
    await plane.api.create("/api/v1/namespaces/plain/pods?dryRun=All", bare);
  });
});
