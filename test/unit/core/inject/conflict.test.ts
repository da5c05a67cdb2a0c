/** Pods that bring along what is in the sidecar's place, or a sidecar of their own. */
import { describe, expect, test } from "vitest";
import { rule } from "../../../../src/core/inject/ruling.ts";
import { readPod } from "../../../../src/adapters/kubernetes/object.ts";
import {
  configOf,
  namespaceOf,
  podJson,
  injectedPod,
  podOf,
  problemsOf,
  type JsonObject,
  type PodParts,
} from "../../../support/pods.ts";

const { injection } = configOf();
const NAMESPACE = namespaceOf();

const problems = (pod: JsonObject): string => problemsOf(rule(readPod(pod), NAMESPACE, injection));
const injected = (parts: PodParts = {}): JsonObject =>
  injectedPod(podJson(parts), rule(podOf(parts), NAMESPACE, injection));

type Spec = { readonly [list: string]: readonly JsonObject[] };

/** An injected pod in which its sidecar was changed. */
function tampered(change: (sidecar: JsonObject) => JsonObject, parts: PodParts = {}): JsonObject {
  const pod = injected(parts);
  const spec = pod["spec"] as Spec;
  const lists = ["initContainers", "containers"].filter((list) => list in spec);
  const changed = lists.map((list) => [
    list,
    spec[list]?.map((each) => (each["name"] === "imprest-sidecar" ? change(each) : each)) ?? [],
  ]);
  return { ...pod, spec: { ...spec, ...Object.fromEntries(changed) } };
}
const envOf = (sidecar: JsonObject): readonly JsonObject[] => sidecar["env"] as never;
const mountsOf = (sidecar: JsonObject): readonly JsonObject[] => sidecar["volumeMounts"] as never;

describe("IJ3: a sidecar of the pod's own making is refused", () => {
  test.each<[string, JsonObject]>([
    ["image", { image: "elsewhere/imprest:0.1.0" }],
    ["command", { command: ["/usr/local/bin/node", "/app/dist/main.js", "sidecar"] }],
    ["args", { args: ["sidecar", "--tenant=acme"] }],
    ["envFrom", { envFrom: [{ configMapRef: { name: "mine" } }] }],
    ["workingDir", { workingDir: "/run/imprest" }],
    ["lifecycle", { lifecycle: { postStart: { exec: { command: ["x"] } } } }],
    ["livenessProbe.exec", { livenessProbe: { exec: { command: ["x"] } } }],
    ["restartPolicy", { restartPolicy: null }],
  ])("with another %s", (member, change) => {
    const said = problems(tampered((sidecar) => ({ ...sidecar, ...change })));
    expect(said).toMatch(`Tenant: container imprest-sidecar: ${member}: found `);
    expect(said).toContain("; allowed: ");
  });

  test.each(["IMPREST_TENANT", "IMPREST_AUTH", "NODE_EXTRA_CA_CERTS", "LD_PRELOAD"])(
    "with the variable %s",
    (name) => {
      const change = (sidecar: JsonObject) => ({
        ...sidecar,
        env: [...envOf(sidecar), { name, value: "secret" }],
      });
      const said = problems(tampered(change));
      expect(said).toContain(`container imprest-sidecar: env: found ${name}; allowed: none that`);
      expect(said).not.toContain("secret");
    },
  );

  test("with NODE_OPTIONS of its own, said instead or once more", () => {
    const own = { name: "NODE_OPTIONS", value: "--import=/run/imprest/mine.js" };
    const instead = (sidecar: JsonObject) => ({
      ...sidecar,
      env: envOf(sidecar).map((each) => (each["name"] === own.name ? own : each)),
    });
    const again = (sidecar: JsonObject) => ({ ...sidecar, env: [...envOf(sidecar), own] });
    for (const change of [instead, again]) {
      expect(problems(tampered(change))).toContain("env NODE_OPTIONS: found another; allowed: {");
    }
  });

  test.each(["/app", "/var/run/secrets/imprest/x", "/var/run/secrets/a/../imprest-store", "/etc"])(
    "with a volume of the pod's at %s",
    (mountPath) => {
      const change = (sidecar: JsonObject) => ({
        ...sidecar,
        volumeMounts: [...mountsOf(sidecar), { name: "mine", mountPath }],
      });
      expect(problems(tampered(change))).toContain("volumeMounts: found ");
    },
  );

  test("with one of its mounts exchanged, or reading another part of the volume", () => {
    const change = (more: JsonObject) => (sidecar: JsonObject) => ({
      ...sidecar,
      volumeMounts: mountsOf(sidecar).map((each) =>
        each["mountPath"] === "/etc/imprest" ? { ...each, ...more } : each,
      ),
    });
    for (const more of [{ name: "mine" }, { subPath: "mine" }]) {
      expect(problems(tampered(change(more)))).toContain(
        "volumeMounts /etc/imprest: found another",
      );
    }
  });

  test("among the containers where it should be an init container, and the other way round", () => {
    const pod = injected();
    const { initContainers: [sidecar] = [], containers = [] } = pod["spec"] as Spec;
    if (sidecar === undefined) throw new Error("no sidecar");
    const spec = {
      ...(pod["spec"] as Spec),
      initContainers: [],
      containers: [...containers, sidecar],
    };
    expect(problems({ ...pod, spec })).toContain("found in containers; allowed: in initContainers");
    const asClassic = podJson({ annotations: { "imprest.dev/mode": "classic" } });
    expect(problems({ ...asClassic, spec: pod["spec"] ?? {} })).toContain("allowed: in containers");
  });

  test("whose policy comes from another key, or whose volumes are others'", () => {
    const pod = injected();
    const { volumes = [] } = pod["spec"] as Spec;
    const items = [{ key: "mine", path: "policy.yaml" }];
    const changed = volumes.map((each) =>
      each["name"] === "imprest-policy"
        ? { ...each, configMap: { name: "imprest-policy", items } }
        : each,
    );
    expect(problems({ ...pod, spec: { ...(pod["spec"] as Spec), volumes: changed } })).toBe(
      "Conflict: volume imprest-policy: found another one of that name; allowed: any other name",
    );
  });
});

describe("PB2: a sidecar that the injector put in is taken", () => {
  test.each([
    ["a native one", {}],
    ["a classic one", { annotations: { "imprest.dev/mode": "classic" } }],
    ["one of a profile", { annotations: { "imprest.dev/profile": "large" } }],
  ])("%s, as it is", (_, parts) => {
    expect(problems(injected(parts))).toBe("injected");
  });

  test("with what the API server and other webhooks add to every container", () => {
    const pod = tampered((sidecar) => ({
      ...sidecar,
      imagePullPolicy: "Always",
      terminationMessagePath: "/dev/termination-log",
      resizePolicy: [{ resourceName: "cpu", restartPolicy: "NotRequired" }],
      resources: { limits: { cpu: "1", memory: "1Gi" } },
      livenessProbe: { httpGet: { path: "/app-health/imprest-sidecar/livez", port: 15_020 } },
      env: [{ name: "DD_AGENT_HOST", value: "10.0.0.1" }, ...envOf(sidecar)],
      volumeMounts: [
        ...mountsOf(sidecar),
        { name: "aws", mountPath: "/var/run/secrets/eks.amazonaws.com/serviceaccount" },
      ],
    }));
    const volumes = (pod["spec"] as Spec)["volumes"]?.map((each) =>
      each["name"] === "imprest-policy"
        ? { ...each, configMap: { name: "imprest-policy", defaultMode: 420 } }
        : each,
    );
    expect(problems({ ...pod, spec: { ...(pod["spec"] as Spec), volumes: volumes ?? [] } })).toBe(
      "injected",
    );
  });
});

const agent = (more: JsonObject): JsonObject =>
  podJson({ spec: { containers: [{ name: "agent", image: "agent:1", ...more }] } });
const mounting = (mount: JsonObject): JsonObject => agent({ volumeMounts: [mount] });

describe("a container of the app", () => {
  test("may mount the socket to connect to it, and no more", () => {
    const socket = { name: "imprest-socket", mountPath: "/elsewhere" };
    expect(problems(mounting({ ...socket, readOnly: true }))).toBe("injected");
    expect(problems(mounting(socket))).toBe(
      "Conflict: container agent: found volume imprest-socket to be written to; allowed: readOnly: true, or none, the injector mounts it",
    );
  });

  test.each(["imprest-journal", "imprest-token", "imprest-store", "imprest-policy"])(
    "that mounts %s is refused",
    (name) => {
      expect(problems(mounting({ name, mountPath: "/mine", readOnly: true }))).toBe(
        `Conflict: container agent: found volume ${name}; allowed: none of the sidecar's volumes but imprest-socket`,
      );
    },
  );

  test("that is no part of it is looked at too, as are init containers", () => {
    const mount = { name: "imprest-token", mountPath: "/mine" };
    const pod = podJson({
      annotations: { "imprest.dev/containers": "agent" },
      spec: { initContainers: [{ name: "thief", image: "x", volumeMounts: [mount] }] },
    });
    expect(problems(pod)).toContain("container thief: found volume imprest-token");
  });

  test.each(["/run/imprest", "/run/imprest/", "//run/./imprest", "/run/x/../imprest"])(
    "with a volume of its own at %s is refused",
    (mountPath) => {
      expect(problems(mounting({ name: "x", mountPath }))).toContain(
        "Conflict: container agent: found another volume at /run/imprest",
      );
    },
  );

  test("with a port of the sidecar's is refused, but for one of UDP", () => {
    const pod = (containerPort: number, protocol = "TCP") =>
      agent({ ports: [{ containerPort, protocol }] });
    expect(problems(pod(4_601))).toBe(
      "Conflict: container agent: found port 4601, where the sidecar listens; allowed: any but 4601 and 4602",
    );
    expect(problems(pod(4_602))).toContain("found port 4602");
    expect(problems(pod(4_602, "UDP"))).toBe("injected");
    expect(problems(pod(4_600))).toBe("injected");
  });
});

describe("a classic sidecar", () => {
  const classic = { "imprest.dev/mode": "classic" };

  test.each(["Never", "OnFailure"])(
    "keeps a pod with restartPolicy %s from ending",
    (restartPolicy) => {
      expect(problems(podJson({ spec: { restartPolicy } }))).toBe("injected");
      expect(problems(podJson({ annotations: classic, spec: { restartPolicy } }))).toContain(
        "Job: a pod whose restartPolicy is not Always, with a classic sidecar never completes; allowed: annotation imprest.dev/mode: native",
      );
      const annotations = { ...classic, "imprest.dev/allow-job": "true" };
      expect(problems(podJson({ annotations, spec: { restartPolicy } }))).toBe("injected");
    },
  );

  test.each([
    [0, undefined],
    [1, { preStop: { sleep: { seconds: 1 } } }],
    [30, { preStop: { sleep: { seconds: 26 } } }],
  ])("of a pod with %d s to end sleeps no longer than that", (seconds, lifecycle) => {
    const spec = { terminationGracePeriodSeconds: seconds };
    const pod = injected({ annotations: classic, spec });
    expect((pod["spec"] as Spec)["containers"]?.at(-1)?.["lifecycle"]).toEqual(lifecycle);
  });
});

test("IJ2: all that is in the way is told at once", () => {
  const pod = podJson({
    annotations: { "imprest.dev/mode": "classic" },
    spec: {
      restartPolicy: "Never",
      volumes: [{ name: "imprest-token", emptyDir: {} }],
      containers: [{ name: "agent", ports: [{ containerPort: 4_601 }] }],
    },
  });
  expect(problems(pod)).toMatch(/^Job: .*never completes.*volume imprest-token.*port 4601/);
});
