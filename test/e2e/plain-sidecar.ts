/** The sidecar as a manifest has it that somebody writes by hand: no injector, no chart, no rights in the cluster. */
import type { Container, PodSpec } from "./pods.ts";

export interface SidecarOptions {
  readonly store: string;
  readonly tenant: string;
  /** The ConfigMap whose key policy.yaml is the policy. */
  readonly policy: string;
}

const SOCKET_MOUNT = { name: "imprest-socket", mountPath: "/run/imprest" };
const health = { grpc: { port: 4601, service: "imprest.v1.QuotaService" } };

const sidecar = ({ store, tenant }: SidecarOptions): Container => ({
  name: "imprest-sidecar",
  image: "localhost/imprest:e2e",
  restartPolicy: "Always",
  args: [
    "sidecar",
    "--policy=/etc/imprest/policy.yaml",
    "--listen=unix:/run/imprest/imprest.sock",
    "--journal=/var/lib/imprest",
    `--store=${store}`,
    `--tenant=${tenant}`,
  ],
  env: [{ name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
  startupProbe: { ...health, periodSeconds: 1, failureThreshold: 60 },
  readinessProbe: { ...health, periodSeconds: 5 },
  livenessProbe: { httpGet: { path: "/livez", port: 4602 }, periodSeconds: 10 },
  resources: { requests: { cpu: "20m", memory: "128Mi" }, limits: { memory: "192Mi" } },
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"] },
    readOnlyRootFilesystem: true,
    runAsGroup: 65532,
    runAsNonRoot: true,
    runAsUser: 65532,
    seccompProfile: { type: "RuntimeDefault" },
  },
  volumeMounts: [
    SOCKET_MOUNT,
    { name: "imprest-journal", mountPath: "/var/lib/imprest" },
    { name: "imprest-policy", mountPath: "/etc/imprest", readOnly: true },
  ],
});

const SOCKET_VARIABLE = { name: "IMPREST_SOCKET", value: "unix:///run/imprest/imprest.sock" };

export function withPlainSidecar(spec: PodSpec, options: SidecarOptions): PodSpec {
  const containers = spec.containers.map((container) => ({
    ...container,
    env: [SOCKET_VARIABLE, ...list(container["env"])],
    volumeMounts: [...list(container["volumeMounts"]), { ...SOCKET_MOUNT, readOnly: true }],
  }));
  const volumes = [
    { name: "imprest-socket", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
    { name: "imprest-journal", emptyDir: { medium: "Memory", sizeLimit: "32Mi" } },
    { name: "imprest-policy", configMap: { name: options.policy } },
  ];
  return {
    ...spec,
    initContainers: [sidecar(options), ...(spec.initContainers ?? [])],
    containers,
    volumes: [...list(spec["volumes"]), ...volumes],
  };
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
