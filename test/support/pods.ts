/** Pods, namespaces and a configuration for tests of injection, as the API server would send them. */
import { readPod } from "../../src/adapters/kubernetes/object.ts";
import { readInjectorConfig } from "../../src/adapters/kubernetes/injector-config.ts";
import type { InjectorConfig } from "../../src/adapters/kubernetes/injector-config.ts";
import type { Addition } from "../../src/core/inject/patch.ts";
import type { Json, Namespace, Pod } from "../../src/core/inject/pod.ts";
import type { Ruling } from "../../src/core/inject/ruling.ts";

export type JsonObject = { readonly [key: string]: Json };

export const CONFIG = {
  apiVersion: "imprest.dev/v1",
  kind: "Injector",
  namespace: "imprest-system",
  service: "imprest-injector",
  secret: "imprest-injector-tls",
  webhook: "imprest-injector",
  lease: "imprest-injector",
  image: { reference: "localhost/imprest:0.1.0" },
  profiles: {
    default: {
      store: "redis://redis.redis:6379",
      policyConfigMap: "imprest-policy",
      storePasswordSecret: { name: "imprest-store", key: "password" },
    },
    large: {
      store: "rediss://redis.redis:6380?ca=/etc/imprest-tls/ca.crt",
      policyConfigMap: "imprest-policy-large",
      storeTlsSecret: { name: "imprest-store-tls" },
      logLevel: "warn",
      runAsUser: null,
      resources: {
        requests: { cpu: "100m", memory: "256Mi" },
        limits: { memory: "512Mi" },
      },
      args: ["--wait=500ms"],
    },
    old: { store: "memory:", policyConfigMap: "imprest-policy", mode: "classic" },
  },
} as const satisfies JsonObject;

export function configOf(document: JsonObject = CONFIG): InjectorConfig {
  const reading = readInjectorConfig(JSON.stringify(document), "0.1.0");
  if ("problems" in reading) throw new Error(reading.problems.join("; "));
  return reading.config;
}

export interface PodParts {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly Json[];
  readonly spec?: JsonObject;
  /** It says nothing of injection itself. */
  readonly isSilent?: true;
}

/** One container, opted in. */
export function podJson(parts: PodParts = {}): JsonObject {
  const { labels, annotations, ownerReferences, spec, isSilent } = parts;
  const asks = isSilent ? {} : { "imprest.dev/inject": "true" };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "agent-1",
      labels: { app: "agent", ...asks, ...labels },
      ...(annotations === undefined ? {} : { annotations }),
      ...(ownerReferences === undefined ? {} : { ownerReferences }),
    },
    spec: { containers: [{ name: "agent", image: "agent:1" }], ...spec },
  };
}

export const podOf = (parts: PodParts = {}): Pod => readPod(podJson(parts));

export const namespaceOf = (
  labels: Readonly<Record<string, string>> = {},
  annotations: Readonly<Record<string, string>> = {},
  name = "acme",
): Namespace => ({
  name,
  labels: new Map(Object.entries(labels)),
  annotations: new Map(Object.entries(annotations)),
});

/** RFC 6902, as far as the injector uses it: each place must be there, an array's element is put in. */
export function applied(object: Json, patch: readonly Addition[]): Json {
  const copy = structuredClone(object) as Json;
  for (const { path, value } of patch) {
    const keys = path.split("/").slice(1).map(unescaped);
    const last = keys.pop() ?? "";
    let place: unknown = copy;
    for (const key of keys) place = (place as Record<string, unknown>)[key];
    if (Array.isArray(place)) {
      const index = last === "-" ? place.length : Number(last);
      if (!(index >= 0 && index <= place.length)) throw new Error(`no place ${path}`);
      place.splice(index, 0, structuredClone(value));
    } else if (typeof place === "object" && place !== null) {
      (place as Record<string, unknown>)[last] = structuredClone(value);
    } else throw new Error(`no place ${path}`);
  }
  return copy;
}

const unescaped = (key: string): string => key.replaceAll("~1", "/").replaceAll("~0", "~");

/** What a ruling put the pod into; it is a fault of the test where it is not injected. */
export function injectedPod(pod: JsonObject, ruling: Ruling): JsonObject {
  if (ruling.kind !== "injected") throw new Error(JSON.stringify(ruling));
  return applied(pod, ruling.patch) as JsonObject;
}

/** Why it was refused, or what became of it. */
export const problemsOf = (ruling: Ruling): string =>
  ruling.kind === "refused" ? `${ruling.reason}: ${ruling.problems.join("; ")}` : ruling.kind;
