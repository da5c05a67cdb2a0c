import fc from "fast-check";
import { expect, test } from "vitest";
import { readPod } from "../../src/adapters/kubernetes/object.ts";
import type { Json } from "../../src/core/inject/pod.ts";
import { rule } from "../../src/core/inject/ruling.ts";
import { applied, configOf, namespaceOf } from "../support/pods.ts";

const { injection } = configOf();
const lenient = { ...injection, strictAnnotations: false };

const word = fc.constantFrom("agent", "worker", "migrate", "istio-proxy", "a", "b");
const texts = fc.dictionary(fc.stringMatching(/^[a-z]{1,8}(\/[a-z]{1,4})?$/), fc.string(), {
  maxKeys: 3,
});
const settings = fc.record(
  {
    "imprest.dev/profile": fc.constantFrom("default", "large", "large", "old", "typo"),
    "imprest.dev/containers": fc.constantFrom("agent", "worker,agent", "nobody"),
    "imprest.dev/mode": fc.constantFrom("native", "classic", "nativ"),
    "imprest.dev/memory-limit": fc.constantFrom("192Mi", "1Gi", "4Ki"),
    "imprest.dev/status": fc.string(),
    "imprest.dev/other": fc.string(),
  },
  { requiredKeys: [] },
);
const labels = fc.record(
  {
    "imprest.dev/inject": fc.constantFrom("true", "true", "true", "false"),
    "imprest.dev/injected": fc.constantFrom("true", "false"),
    "imprest.dev/tenant": fc.constantFrom("acme", "acme", "acme", "umbrella"),
  },
  { requiredKeys: [] },
);
const container = fc.record(
  {
    name: word,
    image: fc.string(),
    env: fc.array(
      fc.record({ name: fc.constantFrom("IMPREST_SOCKET", "PATH"), value: fc.string() }),
      { maxLength: 2 },
    ),
    volumeMounts: fc.array(
      fc.record({
        name: word,
        mountPath: fc.constantFrom("/data", "/data", "/logs", "/tmp", "/run/imprest"),
      }),
      { maxLength: 2 },
    ),
    lifecycle: fc.constant({ preStop: { sleep: { seconds: 1 } } }),
  },
  { requiredKeys: ["name"] },
);
const containers = fc.uniqueArray(container, { selector: ({ name }) => name, maxLength: 3 });
const pod = fc.record({
  metadata: fc.record(
    {
      name: fc.string(),
      labels: fc.tuple(texts, labels).map(([a, b]) => ({ ...a, ...b })),
      annotations: fc.tuple(texts, settings).map(([a, b]) => ({ ...a, ...b })),
    },
    { requiredKeys: [] },
  ),
  spec: fc.record(
    {
      containers: containers.filter((list) => list.length > 0),
      initContainers: containers,
      volumes: fc.uniqueArray(
        fc.record({
          name: fc.constantFrom("data", "logs", "imprest-socket", "imprest-policy"),
          emptyDir: fc.constant({ medium: "Memory", sizeLimit: "1Mi" }),
        }),
        { selector: ({ name }) => name, maxLength: 2 },
      ),
      hostNetwork: fc.constantFrom(false, false, false, true),
      terminationGracePeriodSeconds: fc.integer({ min: 0, max: 100 }),
    },
    { requiredKeys: ["containers"] },
  ),
});
const namespace = fc
  .constantFrom("enabled", "enabled", "disabled", "")
  .map((value) => namespaceOf(value === "" ? {} : { "imprest.dev/injection": value }));

const clone = (value: unknown): Json => JSON.parse(JSON.stringify(value)) as Json;

/** Everything of `before` is in `after`: members with the same value, elements in the same order. */
function isKept(before: Json, after: Json | undefined): boolean {
  if (typeof before !== "object" || before === null) return before === after;
  if (typeof after !== "object" || after === null) return false;
  if (Array.isArray(before)) {
    const left = [...(after as readonly Json[])];
    return (before as readonly Json[]).every((item) => {
      const at = left.findIndex((each) => isKept(item, each));
      left.splice(0, at + 1);
      return at !== -1;
    });
  }
  return Object.entries(before).every(
    ([key, value]) => OWN.has(key) || isKept(value, new Map(Object.entries(after)).get(key)),
  );
}
const OWN = new Set(["imprest.dev/status", "imprest.dev/injected"]);

test("PB1, PB2: a patch only adds, and leaves nothing to add", () => {
  let looked = 0;
  fc.assert(
    fc.property(pod, namespace, fc.nat(3), (object, of, strictness) => {
      const config = strictness === 0 ? injection : lenient;
      const before = clone(object);
      const ruling = rule(readPod(before), of, config);
      if (ruling.kind !== "injected") return;
      looked += 1;
      const after = applied(before, ruling.patch);
      expect(ruling.patch.every(({ op }) => op === "add")).toBe(true);
      expect(isKept(before, after)).toBe(true);
      const again = rule(readPod(after), of, config);
      expect(again.kind === "injected" ? again.patch : again).toEqual([]);
    }),
    { numRuns: 500 },
  );
  expect(looked).toBeGreaterThan(50);
});

test("PB3: a container that comes later gets what it lacks, and nothing else changes", () => {
  fc.assert(
    fc.property(pod, container, (object, late) => {
      const before = clone(object);
      const first = rule(readPod(before), namespaceOf(), lenient);
      if (first.kind !== "injected") return;
      const after = applied(before, first.patch) as {
        readonly spec: { readonly containers: Json[] };
      };
      const name = "late";
      const place = after.spec.containers.push(clone({ ...late, volumeMounts: [], name })) - 1;
      const again = rule(readPod(after), namespaceOf(), lenient);
      if (again.kind !== "injected") throw new Error(JSON.stringify(again));
      const paths = again.patch.map(({ path }) => path);
      expect(paths.every((path) => path.startsWith(`/spec/containers/${place}/`))).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test("IJ1: a pod that did not opt in is never blocked and never changed", () => {
  fc.assert(
    fc.property(pod, (object) => {
      const plain = clone({
        ...object,
        metadata: {
          ...object.metadata,
          labels: { ...object.metadata.labels, "imprest.dev/inject": "false" },
        },
      });
      expect(
        rule(readPod(plain), namespaceOf({ "imprest.dev/injection": "enabled" }), injection),
      ).toEqual({
        kind: "ignored",
      });
    }),
    { numRuns: 200 },
  );
});
